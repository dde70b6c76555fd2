"""Short safe names from content: ``5d4f8c7b9``, the very ones that upstream gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from controllers.lib.gotext import pod_template_text

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


def pod_template_hash(template: Mapping[str, Any], collisions: int | None = None) -> str:
    """The hash in names and labels of what is made from the template; another one for each number of collisions."""
    state = fnv32a(pod_template_text(template).encode())
    if collisions is not None:
        state = fnv32a(collisions.to_bytes(8, "little"), state)
    return safe_encode(str(state))
