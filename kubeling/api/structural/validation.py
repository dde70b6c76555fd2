"""Validation of a value against an OpenAPI v3 schema, with the errors of Kubernetes' own validator.

Source: k8s.io/kube-openapi/pkg/validation/validate (which checks follow each other, what each one says) and
k8s.io/apiextensions-apiserver/pkg/apiserver/validation (how its errors become field errors).
A schema is compiled once to closures; fields are looked at in sorted order, where upstream takes Go's random one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from kubeling.api import fields
from kubeling.api.fields import ErrorList, FieldError, Path
from kubeling.api.structural.formats import check_of

Schema = Mapping[str, Any]


@dataclass(slots=True)
class Result:
    """Errors, and how many checks were made: of alternatives that all fail, the one that got furthest is reported."""

    errors: ErrorList = field(default_factory=list)
    checks: int = 0

    def merge(self, other: Result) -> None:
        self.errors += other.errors
        self.checks += other.checks


Check = Callable[[Any, str], Result]
"""Value and path (``spec.ports[0]``) to what is wrong."""
Part = Callable[[Any, str], Result | None]
"""One kind of check; None: it does not apply to such a value."""

_INT64 = 1 << 63
_INT32 = 1 << 31


def compile_schema(schema: Schema) -> Check:
    """The check of a schema: types, formats, bounds, enumerations, properties and combinations."""
    parts = tuple(
        part
        for part in (
            _type(schema),
            _combinations(schema),
            _string(schema),
            _format(schema),
            _number(schema),
            _array(schema),
            _enum(schema),
            _object(schema),
        )
        if part is not None
    )

    def check(value: Any, path: str) -> Result:
        result = Result()
        for part in parts:
            found = part(value, path)
            if found is not None:
                result.merge(found)
                result.checks += 1
        return result

    return check


def validate(check: Check, value: Any) -> ErrorList:
    """What is wrong with a whole object."""
    return check(value, "").errors


def kind_of(value: Any) -> str:
    """The JSON type's name as errors show it."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def _failed(error: FieldError) -> Result:
    return Result([error])


def _path(path: str) -> Path:
    return Path(path) if path else Path()


def _plain(message: str) -> FieldError:
    """An error that names no field."""
    return fields.invalid(Path(), "", message)


def _said(path: str, text: str) -> str:
    return f"{path} in body {text}"


def go_float(value: float) -> str:
    """A bound as Go's ``%v`` prints a float64."""
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    return repr(float(value))


# types


def _types(schema: Schema) -> tuple[str, ...]:
    if schema.get("x-kubernetes-int-or-string"):
        return ("integer", "string")
    return (schema["type"],) if schema.get("type") else ()


def _type(schema: Schema) -> Part | None:
    types, nullable, form = _types(schema), bool(schema.get("nullable")), schema.get("format") or ""
    if not types and not form:
        return None
    shown = ",".join(types)

    def wrong(path: str, actual: str, wanted: str) -> Result:
        text = _said(path, f"must be of type {wanted}: {fields.go_quoted(actual)}")
        return _failed(fields.type_invalid(_path(path), actual, text))

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


def _enum(schema: Schema) -> Part | None:
    allowed = schema.get("enum")
    if not allowed:
        return None
    shown = [v if isinstance(v, str) else orjson.dumps(v).decode() for v in allowed]

    def check(value: Any, path: str) -> Result:
        if any((type(v) is type(value) and v == value) or _same_number(v, value) for v in allowed):
            return Result()
        return _failed(fields.not_supported(_path(path), value, shown))

    return check


def _same_number(a: Any, b: Any) -> bool:
    numbers = isinstance(a, int | float) and isinstance(b, int | float)
    return numbers and not isinstance(a, bool) and not isinstance(b, bool) and a == b


# strings


def _string(schema: Schema) -> Part | None:
    longest, shortest, pattern = schema.get("maxLength"), schema.get("minLength"), schema.get("pattern")
    if longest is None and shortest is None and not pattern:
        return None
    regex = _regex(pattern) if pattern else None

    def check(value: Any, path: str) -> Result | None:
        if not isinstance(value, str):
            return None
        where = _path(path)
        if longest is not None and len(value) > longest:
            return _failed(fields.too_long(where, longest))
        if shortest is not None and len(value) < shortest:
            text = _said(path, f"should be at least {shortest} chars long")
            return _failed(fields.invalid(where, value, text))
        if regex is not None and regex.search(value) is None:
            return _failed(fields.invalid(where, value, _said(path, f"should match '{pattern}'")))
        return Result()

    return check


def _regex(pattern: str) -> re.Pattern[str] | None:
    """RE2's syntax in Python's, where they differ; None for what Python cannot read."""
    try:
        return re.compile(pattern.replace(r"\z", r"\Z"), re.ASCII)
    except re.error:
        return None


def _format(schema: Schema) -> Part | None:
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
        text = _said(path, f"must be of type {name}: {fields.go_quoted(value)}")
        return _failed(fields.type_invalid(_path(path), value, text))

    return check


# numbers


def _number(schema: Schema) -> Part | None:
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
        errors = [_plain(text) for text in _out_of_range(value, type_, form, path)]
        errors += [
            fields.invalid(_path(path), value, _said(path, words)) for right, words in bounds if not right(value)
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


# arrays and objects


def _array(schema: Schema) -> Part | None:
    items = schema.get("items")
    item = compile_schema(items) if isinstance(items, Mapping) else None
    least, most, unique = schema.get("minItems"), schema.get("maxItems"), schema.get("uniqueItems")

    def check(value: Any, path: str) -> Result | None:
        if not isinstance(value, list):
            return None
        result = Result()
        if item is not None:
            for i, inner in enumerate(value):
                result.merge(item(inner, f"{path}[{i}]"))
        if least is not None and len(value) < least:
            text = _said(path, f"should have at least {least} items")
            result.errors.append(fields.invalid(_path(path), len(value), text))
        if most is not None and len(value) > most:
            result.errors.append(fields.too_many(_path(path), len(value), most))
        if unique and len({orjson.dumps(v, option=orjson.OPT_SORT_KEYS) for v in value}) < len(value):
            result.errors.append(fields.invalid(_path(path), "", _said(path, "shouldn't contain duplicates")))
        return result

    return check


def _object(schema: Schema) -> Part | None:
    properties = {n: compile_schema(s) for n, s in sorted((schema.get("properties") or {}).items())}
    additional = schema.get("additionalProperties")
    other = compile_schema(additional) if isinstance(additional, Mapping) else None
    least, most = schema.get("minProperties"), schema.get("maxProperties")
    required = tuple(schema.get("required") or ())

    def check(value: Any, path: str) -> Result | None:
        if not isinstance(value, dict):
            return None
        if least is not None and len(value) < least:
            text = _said(path, f"should have at least {least} properties")
            return _failed(fields.invalid(_path(path), len(value), text))
        if most is not None and len(value) > most:
            return _failed(fields.too_many(_path(path), len(value), most))
        result = Result()
        below = f"{path}." if path else ""
        if other is not None:
            for name in sorted(value.keys() - properties.keys()):
                result.merge(other(value[name], below + name))
        for name, inner in properties.items():
            if name in value:
                result.merge(inner(value[name], below + name))
        result.errors += [fields.required(_path(below + name)) for name in required if name not in value]
        return result

    return check


# combinations


def _combinations(schema: Schema) -> Part | None:
    every, some, one = ([compile_schema(s) for s in schema.get(k) or ()] for k in ("allOf", "anyOf", "oneOf"))
    not_ = compile_schema(schema["not"]) if schema.get("not") else None
    if not (every or some or one or not_):
        return None

    def check(value: Any, path: str) -> Result:
        result = Result()
        if some:
            result.merge(_any_of(some, value, path))
        if one:
            result.merge(_one_of(one, value, path))
        if every:
            result.merge(_all_of(every, value, path))
        if not_ is not None and not not_(value, path).errors:
            result.errors.append(_plain(f'"{path}" must not validate the schema (not)'))
        return result

    return check


def _any_of(checks: list[Check], value: Any, path: str) -> Result:
    results = [check(value, path) for check in checks]
    if any(not r.errors for r in results):
        return Result()
    return _and_best(f'"{path}" must validate at least one schema (anyOf)', results)


def _one_of(checks: list[Check], value: Any, path: str) -> Result:
    results = [check(value, path) for check in checks]
    good = sum(not r.errors for r in results)
    if good == 1:
        return Result()
    title = f'"{path}" must validate one and only one schema (oneOf)'
    if good:
        return Result([_plain(f"{title}. Found {good} valid alternatives")])
    return _and_best(f"{title}. Found none valid", results)


def _and_best(title: str, results: list[Result]) -> Result:
    """The failure, and why the alternative that got furthest failed."""
    best = max(results, key=lambda r: r.checks)
    return Result([_plain(title), *best.errors], best.checks)


def _all_of(checks: list[Check], value: Any, path: str) -> Result:
    result, good = Result(), 0
    for check in checks:
        found = check(value, path)
        good += not found.errors
        result.merge(found)
    if good < len(checks):
        more = "" if good else ". None validated"
        result.errors.append(_plain(f'"{path}" must validate all the schemas (allOf){more}'))
    return result
