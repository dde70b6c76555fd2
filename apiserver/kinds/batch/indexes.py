"""Sets of a Job's completion indexes as texts: ``1,3-5,7``."""

from __future__ import annotations

import re


def parse_indexes(text: str, completions: int) -> list[tuple[int, int]]:
    """The intervals of the text, first and last inclusive, in order. Raises ValueError with upstream's message."""
    found: list[tuple[int, int]] = []
    for interval in text.split(",") if text else ():
        first, last = _interval(interval, completions)
        if found and found[-1][1] >= first:
            raise ValueError(f"non-increasing order, previous: {found[-1][1]}, current: {first}")
        found.append((first, last))
    return found


def _interval(text: str, completions: int) -> tuple[int, int]:
    limits = text.split("-")
    if len(limits) > 2:
        rule = "an index interval can have at most two parts separated by '-'"
        raise ValueError(f'the fragment "{text}" violates the requirement that {rule}')
    numbers = [_number(limit) for limit in limits]
    for limit, number in zip(limits, numbers, strict=True):
        if number >= completions:
            raise ValueError(f'too large index: "{limit}"')
    if len(numbers) == 2 and numbers[0] >= numbers[1]:
        raise ValueError(f"non-increasing order, previous: {numbers[0]}, current: {numbers[1]}")
    return numbers[0], numbers[-1]


def _number(text: str) -> int:
    if not re.fullmatch("[+-]?[0-9]+", text):
        raise ValueError(f'cannot convert string to integer for index: "{text}"')
    return int(text)


def overlap(completed: list[tuple[int, int]], failed: list[tuple[int, int]]) -> int | None:
    """The first index that is in both, or None."""
    shared = [max(c[0], f[0]) for c in completed for f in failed if c[0] <= f[1] and f[0] <= c[1]]
    return min(shared) if shared else None
