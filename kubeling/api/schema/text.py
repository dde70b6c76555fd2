"""Request bodies as text: JSON and YAML to values, duplicate keys, and syntax errors in the words of Go's parsers."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

MAX_DEPTH = 200
"""Levels of nesting that are taken; upstream takes 10,000. No schema comes near either."""


class SyntaxFailure(Exception):
    """The text is not JSON or YAML; the message is that of Go's parser, without prefix."""


def parse_json(body: bytes, *, duplicates: bool = True) -> tuple[Any, list[str]]:
    """The value of a JSON text, and ``duplicate field "metadata"`` for keys that come twice (the last one counts).

    ``duplicates=False`` skips the search. Raises SyntaxFailure with the message of Go's encoding/json.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = _lenient(body)
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and too_deep(value):
        raise SyntaxFailure("exceeded max depth")
    if not duplicates or not may_repeat(body, value):
        return value, []
    found: list[str] = []
    return _with_duplicates(body, found), found


def too_deep(value: Any) -> bool:
    """Whether containers are nested deeper than MAX_DEPTH."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            inner
            for node in level
            for inner in (node.values() if isinstance(node, dict) else node if isinstance(node, list) else ())
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


_UNUSUAL = (b" :", b"\t:", b"\n:", b"\r:", b"\\u0022")


def may_repeat(body: bytes, value: Any) -> bool:
    """Cheap test for repeated keys: written again, the value has fewer of them. Texts it cannot judge count as suspicious."""
    for mark in _UNUSUAL:
        if mark in body:
            return True
    try:
        return body.count(b'":') != orjson.dumps(value).count(b'":')
    except TypeError:  # an integer of more than 64 bits
        return True


class _Pairs(list[tuple[str, Any]]):
    """An object whose repeated keys are still there."""


_ESCAPE = re.compile(r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


def _loads(body: bytes, **options: Any) -> Any:
    """Python's reading of JSON; what is no character (bytes, halves of surrogate pairs) becomes U+FFFD, as in Go."""
    text = body.decode("utf-8", errors="replace")
    whole = _ESCAPE.sub(lambda m: m[0] if len(m[0]) != 6 else "\\ufffd", text)
    return json.loads(whole, **options)


def _with_duplicates(body: bytes, found: list[str]) -> Any:
    value = _loads(body, object_pairs_hook=_Pairs)
    return _collapse(value, "", found)


def _collapse(value: Any, path: str, found: list[str]) -> Any:
    if isinstance(value, _Pairs):
        result: dict[str, Any] = {}
        for key, inner in value:
            where = f"{path}.{key}" if path else key
            if key in result:
                text = f'duplicate field "{where}"'
                if text not in found:
                    found.append(text)
            result[key] = _collapse(inner, where, found)
        return result
    if isinstance(value, list):
        return [_collapse(inner, f"{path}[{i}]", found) for i, inner in enumerate(value)]
    return value


def _lenient(body: bytes) -> Any:
    """What orjson refuses and Go takes (invalid UTF-8, huge numbers); else raises SyntaxFailure."""
    from kubeling.api.schema.gojson import syntax_error

    failure = syntax_error(body)
    if failure:
        raise SyntaxFailure(failure)
    try:
        return _loads(body)
    except (ValueError, RecursionError):  # nothing else is left that Go takes and Python does not
        raise SyntaxFailure("exceeded max depth") from None
