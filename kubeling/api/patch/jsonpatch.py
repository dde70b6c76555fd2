"""RFC 6902 with the behaviour of evanphx/json-patch v4, which upstream applies.

That library goes beyond the RFC: negative array indices count from the end, ``replace`` and ``test`` accept the empty path,
a missing key of an object counts as null for ``test``, ``copy`` and ``replace``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kubeling.api.errors import failure, request_entity_too_large

MAX_OPERATIONS = 10_000
MAX_PATCH_DEPTH = 10_000

_INDEX = re.compile(r"[+-]?\d+")


class JSONPatchFailed(Exception):
    """An operation cannot be applied; the text says why (upstream hides it from the client)."""


Operation = Mapping[str, Any]


def json_patch(doc: Any, operations: Sequence[Operation | None]) -> Any:
    """``doc`` with the operations applied in order.

    Containers on a touched path are copied and come out with sorted keys, as upstream's re-encoding leaves them.
    Raises StatusError: 413 for too many operations, 422 for one that cannot be applied.
    """
    if len(operations) > MAX_OPERATIONS:
        message = f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}"
        raise request_entity_too_large(message)
    try:
        return apply_operations(doc, operations)
    except JSONPatchFailed:
        raise failure(422, "Invalid", "the server rejected our request due to an error in our request", {}) from None


def apply_operations(doc: Any, operations: Sequence[Operation | None]) -> Any:
    """As ``json_patch`` without limits; raises JSONPatchFailed."""
    document = _Document(doc)
    for operation in operations:
        if operation is None:  # [null]: Go's nil map, an operation of no kind
            raise JSONPatchFailed("Unexpected kind: unknown")
        run = _OPERATIONS.get(str(operation.get("op")))
        if run is None:
            raise JSONPatchFailed(f"Unexpected kind: {operation.get('op')}")
        run(document, operation)
    return document.root


class _Document:
    """The document under change: what a path leads to is copied once, then changed in place."""

    def __init__(self, doc: Any) -> None:
        self._owned: set[int] = set()
        self._alive: list[Any] = []
        self.root = self.own(doc)

    def own(self, node: Any) -> Any:
        """A private copy of a container (or the container, when it is private already)."""
        if not isinstance(node, dict | list) or id(node) in self._owned:
            return node
        copy: Any = {k: node[k] for k in sorted(node)} if isinstance(node, dict) else list(node)
        self._owned.add(id(copy))
        self._alive.append(copy)
        return copy

    def parent(self, path: str, what: str) -> tuple[Any, str]:
        """The private container that holds the end of a path, and the last segment."""
        segments = [s.replace("~1", "/").replace("~0", "~") for s in path.split("/")]
        if len(segments) < 2:
            raise JSONPatchFailed(f"{what} operation does not apply: doc is missing path: {path!r}")
        node = self.root
        for segment in segments[1:-1]:
            if isinstance(node, dict) and segment in node:
                child = node[segment] = self.own(node[segment])
            elif isinstance(node, list) and segment != "-":
                at = index_of(segment, len(node))
                child = node[at] = self.own(node[at])
            else:
                child = None
            if not isinstance(child, dict | list):
                raise JSONPatchFailed(f"{what} operation does not apply: doc is missing path: {path!r}")
            node = child
        return node, segments[-1]


def index_of(segment: str, length: int) -> int:
    """The position that a segment names in a list of this length. Raises JSONPatchFailed."""
    if not _INDEX.fullmatch(segment):
        raise JSONPatchFailed(f"value was not a proper array index: {segment!r}")
    at = int(segment)
    if at >= length or at < -length:
        raise JSONPatchFailed(f"Unable to access invalid index: {at}")
    return at + length if at < 0 else at


def _get(container: Any, key: str) -> Any:
    """The value under a key; a key that an object does not have counts as null."""
    if isinstance(container, dict):
        return container.get(key)
    return container[index_of(key, len(container))]


def _insert(document: _Document, container: Any, key: str, value: Any) -> None:
    if isinstance(container, dict):
        added = key not in container
        container[key] = value
        if added:
            ordered = {k: container[k] for k in sorted(container)}
            container.clear()
            container.update(ordered)
    elif key == "-":
        container.append(value)
    else:
        container.insert(index_of(key, len(container) + 1), value)


def _remove_from(container: Any, key: str) -> None:
    if isinstance(container, dict):
        if key not in container:
            raise JSONPatchFailed(f"Unable to remove nonexistent key: {key}")
        del container[key]
    else:
        del container[index_of(key, len(container))]


def _path(operation: Operation, name: str = "path") -> str:
    path = operation.get(name)
    if not isinstance(path, str):
        raise JSONPatchFailed(f"missing {name}")
    return path


def _add(document: _Document, operation: Operation) -> None:
    container, key = document.parent(_path(operation), "add")
    _insert(document, container, key, operation.get("value"))


def _remove(document: _Document, operation: Operation) -> None:
    container, key = document.parent(_path(operation), "remove")
    _remove_from(container, key)


def _replace(document: _Document, operation: Operation) -> None:
    path, value = _path(operation), operation.get("value")
    if not path:
        if not isinstance(value, dict | list):
            raise JSONPatchFailed("replace operation value must be object or array")
        document.root = document.own(value)
        return
    container, key = document.parent(path, "replace")
    if isinstance(container, dict):
        _insert(document, container, key, value)
    else:
        container[index_of(key, len(container))] = value


def _move(document: _Document, operation: Operation) -> None:
    source, target = _path(operation, "from"), _path(operation)
    container, key = document.parent(source, "move")
    value = _get(container, key)
    _remove_from(container, key)
    container, key = document.parent(target, "move")
    _insert(document, container, key, value)


def _copy(document: _Document, operation: Operation) -> None:
    container, key = document.parent(_path(operation, "from"), "copy")
    value = _duplicate(_get(container, key))
    container, key = document.parent(_path(operation), "copy")
    _insert(document, container, key, value)


def _duplicate(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _duplicate(v) for k, v in value.items()}
    return [_duplicate(v) for v in value] if isinstance(value, list) else value


def _test(document: _Document, operation: Operation) -> None:
    path, expected = _path(operation), operation.get("value")
    if path:
        container, key = document.parent(path, "test")
        actual = _get(container, key)
    else:
        actual = document.root
    if not same(actual, expected):
        raise JSONPatchFailed(f"testing value {path} failed")


def same(left: Any, right: Any) -> bool:
    """Equality of JSON values, in which ``true`` is not 1."""
    if isinstance(left, dict):
        return (
            isinstance(right, dict) and left.keys() == right.keys() and all(same(v, right[k]) for k, v in left.items())
        )
    if isinstance(left, list):
        return isinstance(right, list) and len(left) == len(right) and all(map(same, left, right))
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


_OPERATIONS: dict[str, Callable[[_Document, Operation], None]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}
