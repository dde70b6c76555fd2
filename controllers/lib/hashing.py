"""Short safe names from content: ``5d4f8c7b9``. The form is upstream's; the hash is of our own JSON."""

from __future__ import annotations

from typing import Any

import orjson

_SAFE = "bcdfghjklmnpqrstvwxz2456789"  # no vowels, no look-alikes: no words arise
_HTML = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}
_FNV_OFFSET, _FNV_PRIME = 2166136261, 16777619


def fnv32a(data: bytes, state: int = _FNV_OFFSET) -> int:
    """The 32-bit FNV-1a hash."""
    for byte in data:
        state = ((state ^ byte) * _FNV_PRIME) & 0xFFFFFFFF
    return state


def fnv32(data: bytes) -> int:
    """The 32-bit FNV-1 hash."""
    state = _FNV_OFFSET
    for byte in data:
        state = (state * _FNV_PRIME & 0xFFFFFFFF) ^ byte
    return state


def go_json(value: Any) -> bytes:
    """The JSON of Go's encoder for a map: keys sorted, what could be HTML escaped."""
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    return text.translate(_HTML).encode()


def revision_hash(data: Any, collisions: int) -> str:
    """The hash in a StatefulSet's revision's name, of its data. Source: kubernetes/pkg/controller/history."""
    return safe_encode(str(fnv32(go_json(data) + str(collisions).encode())))


def safe_encode(text: str) -> str:
    """Each character as one of the safe alphabet."""
    return "".join(_SAFE[byte % len(_SAFE)] for byte in text.encode())


def content_hash(content: Any, collisions: int | None = None) -> str:
    """The safe-encoded hash of a JSON value; another one for each number of collisions."""
    state = fnv32a(orjson.dumps(content, option=orjson.OPT_SORT_KEYS))
    if collisions is not None:
        state = fnv32a(collisions.to_bytes(8, "little"), state)
    return safe_encode(str(state))
