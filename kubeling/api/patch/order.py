"""The order of merged lists: patched items as the patch orders them, the server's own where they stood."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

Identity = Callable[[Any], Hashable]


def identity(value: Any) -> Hashable:
    """What makes a scalar the same: ``1`` and ``true`` differ."""
    return (type(value).__name__, value) if isinstance(value, str | int | float | bool | None) else repr(value)


def key_of_item(merge_key: str, missing: Callable[[Any, str], Exception]) -> Identity:
    """The identity of an object in a list: the value of its merge key. Objects without it raise ``missing(item, key)``."""

    def key(item: Any) -> Hashable:
        if not isinstance(item, dict) or merge_key not in item:
            raise missing(item, merge_key)
        return identity(item[merge_key])

    return key


class Order:
    """Arranges merged items by an identity."""

    def __init__(self, by: Identity) -> None:
        self._by = by

    def arrange(self, merged: Sequence[Any], patch_order: Sequence[Any], server_order: Sequence[Any]) -> list[Any]:
        """``merged`` in order: items named by ``patch_order`` follow it, the others follow ``server_order``, and where both kinds
        stood on the server their relative place is kept."""
        by = self._by
        patch_rank = {by(v): i for i, v in reversed(list(enumerate(patch_order)))}
        server_rank = {by(v): i for i, v in reversed(list(enumerate(server_order)))}
        patched = sorted((v for v in merged if by(v) in patch_rank), key=lambda v: patch_rank[by(v)])
        own = sorted((v for v in merged if by(v) not in patch_rank), key=lambda v: server_rank.get(by(v), -1))
        return self._interleave(own, patched, server_rank)

    def _interleave(self, own: list[Any], patched: list[Any], rank: dict[Hashable, int]) -> list[Any]:
        result: list[Any] = []
        i = j = 0
        while i < len(own) and j < len(patched):
            left, right = rank.get(self._by(own[i])), rank.get(self._by(patched[j]))
            if left is not None and right is not None and left < right:
                result.append(own[i])
                i += 1
            else:
                result.append(patched[j])
                j += 1
        return result + own[i:] + patched[j:]
