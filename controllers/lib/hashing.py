"""Short safe names from content: ``5d4f8c7b9``. The form is upstream's; the hash is of our own JSON."""

from __future__ import annotations

from typing import Any

import orjson

_SAFE = "bcdfghjklmnpqrstvwxz2456789"  # no vowels, no look-alikes: no words arise
_FNV_OFFSET, _FNV_PRIME = 2166136261, 16777619


def fnv32a(data: bytes, state: int = _FNV_OFFSET) -> int:
    """The 32-bit FNV-1a hash."""
    for byte in data:
        state = ((state ^ byte) * _FNV_PRIME) & 0xFFFFFFFF
    return state


def safe_encode(text: str) -> str:
    """Each character as one of the safe alphabet."""
    return "".join(_SAFE[byte % len(_SAFE)] for byte in text.encode())


def content_hash(content: Any, collisions: int | None = None) -> str:
    """The safe-encoded hash of a JSON value; another one for each number of collisions."""
    state = fnv32a(orjson.dumps(content, option=orjson.OPT_SORT_KEYS))
    if collisions is not None:
        state = fnv32a(collisions.to_bytes(8, "little"), state)
    return safe_encode(str(state))
