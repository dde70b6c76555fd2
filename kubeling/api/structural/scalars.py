"""Checks of single values: types, enumerations, strings, formats, numbers.

Source: k8s.io/kube-openapi/pkg/validation/validate.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from kubeling.api import fields
from kubeling.api.structural.formats import check_of
from kubeling.api.structural.results import Part, Result, Schema, failed, go_float, kind_of, path_of, plain, said

_INT64 = 1 << 63
_INT32 = 1 << 31

# types


def _types(schema: Schema) -> tuple[str, ...]:
    if schema.get("x-kubernetes-int-or-string"):
        return ("integer", "string")
    return (schema["type"],) if schema.get("type") else ()


def type_check(schema: Schema) -> Part | None:
    types, nullable, form = _types(schema), bool(schema.get("nullable")), schema.get("format") or ""
    if not types and not form:
        return None
    shown = ",".join(types)

    def wrong(path: str, actual: str, wanted: str) -> Result:
        text = said(path, f"must be of type {wanted}: {fields.go_quoted(actual)}")
        return failed(fields.type_invalid(path_of(path), actual, text))

    def check(value: Any, path: str) -> Result | None:
        if value is None:
            return None if nullable or not types else wrong(path, "null", shown)
        actual = kind_of(value)
        whole = actual == "number" and value == math.floor(value) and "integer" in types
        if actual in types or whole or (actual == "integer" and "number" in types):
            return Result()
        if form and not {"integer", "number"} & set(types) and actual in ("string", "array"):
            return Result() if not types else wrong(path, actual, shown)
        return wrong(path, actual, shown) if types else Result()

    return check


def enum_check(schema: Schema) -> Part | None:
    allowed = schema.get("enum")
    if not allowed:
        return None
    shown = [v if isinstance(v, str) else orjson.dumps(v).decode() for v in allowed]

    def check(value: Any, path: str) -> Result:
        if any((type(v) is type(value) and v == value) or _same_number(v, value) for v in allowed):
            return Result()
        return failed(fields.not_supported(path_of(path), value, shown))

    return check


def _same_number(a: Any, b: Any) -> bool:
    numbers = isinstance(a, int | float) and isinstance(b, int | float)
    return numbers and not isinstance(a, bool) and not isinstance(b, bool) and a == b


# strings


def string_check(schema: Schema) -> Part | None:
    longest, shortest, pattern = schema.get("maxLength"), schema.get("minLength"), schema.get("pattern")
    if longest is None and shortest is None and not pattern:
        return None
    regex = _regex(pattern) if pattern else None

    def check(value: Any, path: str) -> Result | None:
        if not isinstance(value, str):
            return None
        where = path_of(path)
        if longest is not None and len(value) > longest:
            return failed(fields.too_long(where, longest))
        if shortest is not None and len(value) < shortest:
            text = said(path, f"should be at least {shortest} chars long")
            return failed(fields.invalid(where, value, text))
        if regex is not None and regex.search(value) is None:
            return failed(fields.invalid(where, value, said(path, f"should match '{pattern}'")))
        return Result()

    return check


def _regex(pattern: str) -> re.Pattern[str] | None:
    """RE2's syntax in Python's, where they differ; None for what Python cannot read."""
    try:
        return re.compile(pattern.replace(r"\z", r"\Z"), re.ASCII)
    except re.error:
        return None


def format_check(schema: Schema) -> Part | None:
    name = schema.get("format") or ""
    known = check_of(name) if name else None
    if known is None:
        return None
    right = known

    def check(value: Any, path: str) -> Result | None:
        if not isinstance(value, str):
            return None
        if right(value):
            return Result()
        text = said(path, f"must be of type {name}: {fields.go_quoted(value)}")
        return failed(fields.type_invalid(path_of(path), value, text))

    return check


# numbers


def number_check(schema: Schema) -> Part | None:
    types = _types(schema)
    type_, form = (types[0] if len(types) == 1 else ""), schema.get("format") or ""
    multiple, most, least = schema.get("multipleOf"), schema.get("maximum"), schema.get("minimum")
    bounds: list[tuple[Callable[[Any], bool], str]] = []
    if multiple is not None:
        bounds.append((lambda v: _divides(multiple, v), f"should be a multiple of {go_float(multiple)}"))
    if most is not None:
        open_ = bool(schema.get("exclusiveMaximum"))
        words = f"should be less than {'' if open_ else 'or equal to '}{go_float(most)}"
        bounds.append((lambda v: v < most if open_ else v <= most, words))
    if least is not None:
        open_below = bool(schema.get("exclusiveMinimum"))
        words = f"should be greater than {'' if open_below else 'or equal to '}{go_float(least)}"
        bounds.append((lambda v: v > least if open_below else v >= least, words))

    def check(value: Any, path: str) -> Result | None:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
        errors = [plain(text) for text in _out_of_range(value, type_, form, path)]
        errors += [
            fields.invalid(path_of(path), value, said(path, words)) for right, words in bounds if not right(value)
        ]
        return Result(errors)

    return check


def _divides(multiple: float, value: float) -> bool:
    quotient = value / multiple
    return abs(quotient - round(quotient)) < 1e-9 * max(1.0, abs(quotient))


def _out_of_range(value: float, type_: str, form: str, path: str) -> Iterable[str]:
    if type_ != "integer":
        return
    limit = _INT32 if form == "int32" else _INT64
    if value != math.floor(value) or not -limit <= value < limit:
        how = f"with format {form}" if form else "(default format)"
        yield f"Checked value must be of type {type_} {how} in {path}"
