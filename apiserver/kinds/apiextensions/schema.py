"""Rules for the schemas of custom resources beyond being structural: what is not supported, list types, defaults.

Source: k8s.io/apiextensions-apiserver pkg/apis/apiextensions/validation (ValidateCustomResourceDefinitionOpenAPISchema).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from apiserver.kinds.apiextensions.structural import validate_structural
from apiserver.kinds.apiextensions.wellformed import malformed
from kubeling.api.fields import ErrorList, FieldError, Path, forbidden, invalid, not_supported, required
from kubeling.api.structural.rules import BadRule, compile_rule
from kubeling.api.structural.validation import compile_schema

Schema = Mapping[str, Any]

TYPES = ("array", "boolean", "integer", "number", "object", "string")
_LIST_TYPES, _MAP_TYPES = ("atomic", "map", "set"), ("atomic", "granular")
_UNSUPPORTED = ("definitions", "dependencies", "patternProperties", "additionalItems", "id", "$ref")
_LIST, _KEYS, _MAP = "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"
_PRESERVE = "x-kubernetes-preserve-unknown-fields"


def validate_schema(schema: Schema, path: Path) -> ErrorList:
    """Everything wrong with the ``openAPIV3Schema`` of a version."""
    found = malformed(schema, path)
    if found:
        return found
    if schema.get("nullable"):
        found.append(forbidden(path.child("nullable"), "nullable cannot be true at the root"))
    for inner, where in _schemas(schema, path):
        found += _rules(inner, where)
    found = found or validate_structural(schema, path)
    if found:
        return found
    for inner, where in _schemas(schema, path):
        found += [*_default(inner, where), *_validations(inner, where, root=inner is schema)]
    return found


def _validations(schema: Schema, path: Path, *, root: bool) -> ErrorList:
    """The rules must compile against the schema that they stand in."""
    found: ErrorList = []
    for i, rule in enumerate(schema.get("x-kubernetes-validations") or ()):
        where = path.child("x-kubernetes-validations").index(i)
        if not str(rule.get("rule") or "").strip():
            found.append(required(where.child("rule"), "rule is not specified"))
            continue
        try:
            compile_rule(schema, rule, root=root)
        except BadRule as error:
            found.append(invalid(where.child(error.field), _internal(rule), str(error)))
    return found


def _internal(rule: Mapping[str, Any]) -> Mapping[str, Any]:
    """A rule as upstream's error quotes it: its internal form, whose fields have Go's names."""
    return {
        "Rule": rule.get("rule") or "",
        "Message": rule.get("message") or "",
        "MessageExpression": rule.get("messageExpression") or "",
        "Reason": rule.get("reason"),
        "FieldPath": rule.get("fieldPath") or "",
        "OptionalOldSelf": rule.get("optionalOldSelf"),
    }


def _schemas(schema: Schema, path: Path) -> Iterator[tuple[Schema, Path]]:
    """A schema and all schemas within, each with its path."""
    yield schema, path
    for name in sorted(schema.get("properties") or {}):
        yield from _schemas(schema["properties"][name], path.child("properties").key(name))
    for word in ("not", "additionalProperties", "items"):
        if isinstance(schema.get(word), Mapping):
            yield from _schemas(schema[word], path.child(word))
    for word in ("allOf", "oneOf", "anyOf"):
        for i, inner in enumerate(schema.get(word) or ()):
            yield from _schemas(inner, path.child(word).index(i))


def _rules(schema: Schema, path: Path) -> ErrorList:
    found: ErrorList = []
    type_ = schema.get("type") or ""
    if schema.get("uniqueItems"):
        text = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        found.append(forbidden(path.child("uniqueItems"), text))
    if schema.get("additionalProperties") is False:
        found.append(forbidden(path.child("additionalProperties"), "additionalProperties cannot be set to false"))
    if schema.get("additionalProperties") is not None and schema.get("properties"):
        text = "additionalProperties and properties are mutual exclusive"
        found.append(forbidden(path.child("additionalProperties"), text))
    if isinstance(schema.get("items"), list):
        found.append(forbidden(path.child("items"), "items must be a schema object and not an array"))
    found += [forbidden(path.child(word), f"{word} is not supported") for word in _UNSUPPORTED if schema.get(word)]
    if type_ == "null":
        text = "type cannot be set to null, use nullable as an alternative"
        found.append(forbidden(path.child("type"), text))
    elif type_ and type_ not in TYPES:
        found.append(not_supported(path.child("type"), type_, TYPES))
    if schema.get(_PRESERVE) is False:
        found.append(invalid(path.child(_PRESERVE), False, "must be true or undefined"))
    found += _pattern(schema, path)
    return [*found, *_map_type(schema, path), *_list_type(schema, path)]


def _pattern(schema: Schema, path: Path) -> ErrorList:
    pattern = schema.get("pattern")
    try:
        re.compile(pattern or "")
    except re.error as err:
        return [invalid(path.child("pattern"), pattern, f"must be a valid regular expression, but isn't: {err}")]
    return []


def _wanted_type(schema: Schema, path: Path, wanted: str, word: str) -> ErrorList:
    type_, text = schema.get("type") or "", f"must be {wanted} if {word} is specified"
    if type_ == wanted:
        return []
    return [invalid(path.child("type"), type_, text) if type_ else required(path.child("type"), text)]


def _map_type(schema: Schema, path: Path) -> ErrorList:
    chosen = schema.get(_MAP)
    if chosen is None:
        return []
    found = [] if chosen in _MAP_TYPES else [not_supported(path.child(_MAP), chosen, _MAP_TYPES)]
    return [*_wanted_type(schema, path, "object", _MAP), *found]


def _list_type(schema: Schema, path: Path) -> ErrorList:
    chosen, keys = schema.get(_LIST), schema.get(_KEYS) or []
    found: ErrorList = []
    if chosen is not None:
        found += _wanted_type(schema, path, "array", _LIST)
        if chosen not in _LIST_TYPES:
            found.append(not_supported(path.child(_LIST), chosen, _LIST_TYPES))
    if keys and chosen != "map":
        text = f"must be map if {_KEYS} is non-empty"
        found.append(invalid(path.child(_LIST), chosen, text) if chosen else required(path.child(_LIST), text))
    if chosen == "map":
        found += _map_list(schema, keys, path)
    return found


def _map_list(schema: Schema, keys: list[str], path: Path) -> ErrorList:
    at, items = path.child(_KEYS), schema.get("items")
    if not keys:
        return [required(at, f"must not be empty if {_LIST} is map")]
    if not isinstance(items, Mapping):
        return [required(path.child("items"), f"must have a schema if {_LIST} is map")]
    type_ = items.get("type") or ""
    if type_ != "object":
        text = f"must be object if parent array's {_LIST} is map"
        return [invalid(path.child("items", "type"), type_, text)]
    found: ErrorList = []
    if len(set(keys)) < len(keys):
        found.append(invalid(at, keys, "must not contain duplicate entries"))
    for i, key in enumerate(keys):
        found += _key(items, key, at.index(i), path.child("items"))
    return found


def _key(items: Schema, key: str, at: Path, items_path: Path) -> ErrorList:
    field = (items.get("properties") or {}).get(key)
    if field is None:
        return [invalid(at, key, "entries must all be names of item properties")]
    where = items_path.child("properties").key(key)
    if field.get("type") in ("array", "object"):
        return [invalid(where.child("type"), field["type"], f"must be a scalar type if parent array's {_LIST} is map")]
    if field.get("nullable"):
        return [forbidden(where.child("nullable"), f"cannot be nullable as it is a key of a list with {_LIST}=map")]
    if "default" not in field and key not in (items.get("required") or ()):
        text = f"this property is in {_KEYS}, so it must have a default or be a required property"
        return [required(where.child("default"), text)]
    return []


def _default(schema: Schema, path: Path) -> ErrorList:
    """A default must be valid itself."""
    if "default" not in schema:
        return []
    where = path.child("default")
    return [
        FieldError(e.reason, e.title, f"{where}.{e.field}" if e.field != "<nil>" else str(where), e.value, e.detail)
        for e in compile_schema(schema)(schema["default"], "").errors
    ]
