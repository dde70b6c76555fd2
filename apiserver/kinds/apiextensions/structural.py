"""Whether a schema is structural: every field has one type, said outside of ``allOf``, ``anyOf``, ``oneOf`` and ``not``.

Source: k8s.io/apiextensions-apiserver pkg/apiserver/schema/validation.go and complete.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeling.api.fields import ErrorList, Path, forbidden, invalid, required

Schema = Mapping[str, Any]

ROOT, FIELD, ITEM = "at the root", "for specified object fields", "for specified array items"
EMBEDDED, INT_OR_STRING = "x-kubernetes-embedded-resource", "x-kubernetes-int-or-string"
PRESERVE = "x-kubernetes-preserve-unknown-fields"
_COMBINATIONS = ("allOf", "anyOf", "oneOf")
_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
_IMPLICIT = "must not specify anything other than name and generateName, but metadata is implicitly specified"
_OUTSIDE = {
    "type": "must be empty to be structural",
    "title": "must be empty to be structural",
    "description": "must be empty to be structural",
    "default": "must be undefined to be structural",
    "additionalProperties": "must be undefined to be structural",
    "nullable": "must be false to be structural",
    PRESERVE: "must be false to be structural",
    EMBEDDED: "must be false to be structural",
    INT_OR_STRING: "must be false to be structural",
    "x-kubernetes-list-map-keys": "must be empty to be structural",
    "x-kubernetes-list-type": "must be undefined to be structural",
    "x-kubernetes-map-type": "must be undefined to be structural",
}
"""What belongs beside the combinations and not into them."""


def validate_structural(schema: Schema, path: Path) -> ErrorList:
    """Sorted, as upstream sorts them."""
    return sorted([*_invariants(schema, ROOT, path), *_completeness(schema, path)], key=str)


def _invariants(schema: Schema, level: str, path: Path) -> ErrorList:
    found: ErrorList = []
    properties, items = schema.get("properties") or {}, schema.get("items")
    if schema.get("type") == "array" and items is None:
        found.append(required(path.child("items"), "must be specified"))
    if isinstance(items, Mapping):
        found += _invariants(items, ITEM, path.child("items"))
    for name, inner in properties.items():
        found += _invariants(inner, FIELD, path.child("properties").key(name))
    additional = schema.get("additionalProperties")
    if additional is not None and level is ROOT:
        found.append(forbidden(path.child("additionalProperties"), "must not be used at the root"))
    if isinstance(additional, Mapping):
        found += _invariants(additional, FIELD, path.child("additionalProperties"))
    found += _combinations(schema, path)
    return [*found, *_type(schema, level, path), *_embedded(schema, level, path)]


def _type(schema: Schema, level: str, path: Path) -> ErrorList:
    type_, where = schema.get("type") or "", path.child("type")
    if schema.get(EMBEDDED) and type_ != "object":
        text = f"must be object if {EMBEDDED} is true"
        return [invalid(where, type_, text) if type_ else required(where, text)]
    if not type_ and not schema.get(INT_OR_STRING) and not schema.get(PRESERVE):
        return [required(where, f"must not be empty {level}")]
    if level is ROOT and type_ not in ("", "object"):
        return [invalid(where, type_, "must be object at the root")]
    return []


def _embedded(schema: Schema, level: str, path: Path) -> ErrorList:
    """Rules for whole objects: at the root, and where another object is embedded."""
    found: ErrorList = []
    properties, embedded = schema.get("properties") or {}, bool(schema.get(EMBEDDED))
    whole, at = level is ROOT or embedded, path.child("properties")
    if embedded and schema.get("additionalProperties") is not None:
        text = f"must not be used if {EMBEDDED} is set"
        found.append(forbidden(path.child("additionalProperties"), text))
    for name in ("kind", "apiVersion"):
        if whole and name in properties and properties[name].get("type") != "string":
            found.append(invalid(at.key(name).child("type"), properties[name].get("type") or "", "must be string"))
    metadata = properties.get("metadata")
    if whole and metadata is not None:
        if _says_more(metadata):
            found.append(forbidden(at.key("metadata"), _IMPLICIT))
        elif metadata.get("type") != "object":
            found.append(invalid(at.key("metadata").child("type"), metadata.get("type") or "", "must be object"))
    if embedded and not schema.get(PRESERVE) and not properties:
        text = f"must not be empty if {EMBEDDED} is true without {PRESERVE}"
        found.append(required(at, text))
    return found


def _says_more(metadata: Schema) -> bool:
    allowed = {"type", "description", "properties"}
    names = set(metadata.get("properties") or ())
    return bool(set(metadata) - allowed) or bool(names - {"name", "generateName"})


def _combinations(schema: Schema, path: Path) -> ErrorList:
    """What stands in a combination may only restrict. The two ways to say "integer or string" are let through."""
    found: ErrorList = []
    exempt = bool(schema.get(INT_OR_STRING))
    for word in _COMBINATIONS:
        parts = schema.get(word) or ()
        if exempt and word == "anyOf" and list(parts) == _INT_OR_STRING:
            continue
        for i, inner in enumerate(parts):
            first_any_of = exempt and word == "allOf" and i == 0 and list(inner.get("anyOf") or ()) == _INT_OR_STRING
            found += _nested(inner, path.child(word).index(i), skip_any_of=first_any_of)
    if isinstance(schema.get("not"), Mapping):
        found += _nested(schema["not"], path.child("not"))
    return found


def _nested(schema: Schema, path: Path, *, skip_any_of: bool = False) -> ErrorList:
    found = [
        forbidden(path.child(name), text)
        for name, text in _OUTSIDE.items()
        if schema.get(name) not in (None, False, "")
    ]
    inner = {k: v for k, v in schema.items() if not (skip_any_of and k == "anyOf")}
    found += _combinations(inner, path)
    if isinstance(schema.get("items"), Mapping):
        found += _nested(schema["items"], path.child("items"))
    for name, field in (schema.get("properties") or {}).items():
        where = path.child("properties").key(name)
        found += _nested(field, where)
        if name == "metadata":
            found.append(forbidden(where, "must not be specified in a nested context"))
    return found


def _completeness(schema: Schema, path: Path) -> ErrorList:
    """What a combination speaks of must be specified outside of it."""
    found: ErrorList = []
    for word in _COMBINATIONS:
        for i, inner in enumerate(schema.get(word) or ()):
            found += _covered(inner, schema, path.child(word).index(i), path)
    if isinstance(schema.get("not"), Mapping):
        found += _covered(schema["not"], schema, path.child("not"), path)
    for name, inner in (schema.get("properties") or {}).items():
        found += _completeness(inner, path.child("properties").key(name))
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), Mapping):
            found += _completeness(schema[name], path.child(name))
    return found


def _covered(nested: Schema, schema: Schema, at: Path, path: Path) -> ErrorList:
    """``nested`` stands at ``at`` and restricts ``schema`` at ``path``."""
    found: ErrorList = []
    for word in _COMBINATIONS:
        for i, inner in enumerate(nested.get(word) or ()):
            found += _covered(inner, schema, at.child(word).index(i), path)
    if isinstance(nested.get("not"), Mapping):
        found += _covered(nested["not"], schema, at.child("not"), path)
    if isinstance(nested.get("items"), Mapping):
        found += _same_place(nested["items"], schema.get("items"), at.child("items"), path.child("items"))
    additional = schema.get("additionalProperties")
    for name, inner in (nested.get("properties") or {}).items():
        own = (schema.get("properties") or {}).get(name)
        if own is None and isinstance(additional, Mapping):
            found += _covered(inner, additional, at.child("properties").key(name), path.child("additionalProperties"))
            continue
        key = path.child("properties").key(name)
        found += _same_place(inner, own, at.child("properties").key(name), key)
    return found


def _same_place(nested: Schema, own: Any, at: Path, path: Path) -> ErrorList:
    if not isinstance(own, Mapping):
        return [required(path, f"because it is defined in {at}")]
    return _covered(nested, own, at, path)
