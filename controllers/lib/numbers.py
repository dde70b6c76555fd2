"""Numbers that may be percentages (``IntOrString``)."""

from __future__ import annotations


def scaled(value: int | str | None, total: int, *, round_up: bool) -> int:
    """The number, or the percentage of ``total`` rounded as asked; None and malformed text are 0."""
    if value is None:
        return 0
    if isinstance(value, int):
        return value
    text = value.removesuffix("%")
    if text == value or not text.lstrip("-").isdigit():
        return 0
    product = int(text) * total
    return -(-product // 100) if round_up else product // 100
