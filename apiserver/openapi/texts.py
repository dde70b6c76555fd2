"""Descriptions that the published definitions do not carry: query parameters, enumerations, a few types.

Source: the OpenAPI documents of kube-apiserver; held in ``texts.json``, read at first use.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Any

import orjson


@lru_cache(maxsize=1)
def texts() -> dict[str, dict[str, Any]]:
    """``enums``: Go type to value to meaning; ``descriptions``: definition to text; ``parameters``: name to type and text."""
    found: dict[str, dict[str, Any]] = orjson.loads((resources.files(__package__) / "texts.json").read_bytes())
    return found


def enum_of(go_type: str) -> dict[str, str]:
    """The values of a string type with what each means; empty where it is no enumeration."""
    found: dict[str, str] = texts()["enums"].get(go_type, {})
    return found


def enum_text(values: dict[str, str]) -> str:
    """What upstream appends to a field's description."""
    lines = [f' - `"{value}"` {meaning}'.rstrip() for value, meaning in values.items()]
    return "\n\nPossible enum values:\n" + "\n".join(lines)
