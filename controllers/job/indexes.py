"""Sets of completion indexes in their compressed form, ``0-2,5``. Pure."""

from __future__ import annotations

from collections.abc import Iterable


def parse(text: str | None, limit: int) -> set[int]:
    """The indexes below ``limit`` in a compressed list."""
    found: set[int] = set()
    for part in (text or "").split(","):
        first, _, last = part.partition("-")
        if first.isdigit() and (last.isdigit() or not last):
            found.update(range(int(first), min(int(last or first), limit - 1) + 1))
    return {index for index in found if index < limit}


def compress(indexes: Iterable[int]) -> str:
    """The compressed list of the indexes; two neighbours are written ``1,2``, three ``1-3``."""
    runs: list[list[int]] = []
    for index in sorted(indexes):
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    parts = []
    for run in runs:
        parts.append(f"{run[0]}" if len(run) == 1 else f"{run[0]}{',' if len(run) == 2 else '-'}{run[-1]}")
    return ",".join(parts)
