"""Validation of a value against an OpenAPI v3 schema, with the errors of Kubernetes' own validator.

Source: k8s.io/kube-openapi/pkg/validation/validate (which checks follow each other, what each one says) and
k8s.io/apiextensions-apiserver/pkg/apiserver/validation (how its errors become field errors).
A schema is compiled once to closures; fields are looked at in sorted order, where upstream takes Go's random one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from kubeling.api import fields
from kubeling.api.fields import ErrorList
from kubeling.api.structural import scalars
from kubeling.api.structural.results import Check, Part, Result, Schema, failed, path_of, plain, said


def compile_schema(schema: Schema) -> Check:
    """The check of a schema: types, formats, bounds, enumerations, properties and combinations."""
    parts = tuple(
        part
        for part in (
            scalars.type_check(schema),
            _combinations(schema),
            scalars.string_check(schema),
            scalars.format_check(schema),
            scalars.number_check(schema),
            _array(schema),
            scalars.enum_check(schema),
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
            text = said(path, f"should have at least {least} items")
            result.errors.append(fields.invalid(path_of(path), len(value), text))
        if most is not None and len(value) > most:
            result.errors.append(fields.too_many(path_of(path), len(value), most))
        if unique and len({orjson.dumps(v, option=orjson.OPT_SORT_KEYS) for v in value}) < len(value):
            result.errors.append(fields.invalid(path_of(path), "", said(path, "shouldn't contain duplicates")))
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
            text = said(path, f"should have at least {least} properties")
            return failed(fields.invalid(path_of(path), len(value), text))
        if most is not None and len(value) > most:
            return failed(fields.too_many(path_of(path), len(value), most))
        result = Result()
        below = f"{path}." if path else ""
        if other is not None:
            for name in sorted(value.keys() - properties.keys()):
                result.merge(other(value[name], below + name))
        for name, inner in properties.items():
            if name in value:
                result.merge(inner(value[name], below + name))
        result.errors += [fields.required(path_of(below + name)) for name in required if name not in value]
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
            result.errors.append(plain(f'"{path}" must not validate the schema (not)'))
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
        return Result([plain(f"{title}. Found {good} valid alternatives")])
    return _and_best(f"{title}. Found none valid", results)


def _and_best(title: str, results: list[Result]) -> Result:
    """The failure, and why the alternative that got furthest failed."""
    best = max(results, key=lambda r: r.checks)
    return Result([plain(title), *best.errors], best.checks)


def _all_of(checks: list[Check], value: Any, path: str) -> Result:
    result, good = Result(), 0
    for check in checks:
        found = check(value, path)
        good += not found.errors
        result.merge(found)
    if good < len(checks):
        more = "" if good else ". None validated"
        result.errors.append(plain(f'"{path}" must validate all the schemas (allOf){more}'))
    return result
