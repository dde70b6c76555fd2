"""The types of what lies below ``items`` and ``additionalProperties``, which decoding leaves alone.

Go reads those fields by hand, each in two forms; what is in them is an error of decoding there, one of validation here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeling.api.fields import ErrorList, Path, type_invalid

_TEXTS = (
    "type",
    "format",
    "pattern",
    "title",
    "description",
    "$ref",
    "id",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
)
_FLAGS = (
    "nullable", "uniqueItems", "exclusiveMaximum", "exclusiveMinimum", "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-embedded-resource", "x-kubernetes-int-or-string",
)  # fmt: skip
_NUMBERS = (
    "maximum", "minimum", "multipleOf", "maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties",
)  # fmt: skip
_LISTS = ("required", "enum", "allOf", "oneOf", "anyOf", "x-kubernetes-list-map-keys", "x-kubernetes-validations")
_OF_TEXTS = ("required", "x-kubernetes-list-map-keys")
_OF_OBJECTS = ("x-kubernetes-validations",)
_MAPS = ("properties", "patternProperties", "definitions", "dependencies")


def malformed(schema: Any, path: Path) -> ErrorList:
    """What is of another type than a schema has it; nothing further is said of that."""
    if not isinstance(schema, Mapping):
        return [_wrong(path, schema, "an object")]
    found: ErrorList = []
    for names, type_, article in (
        (_TEXTS, str, "a string"), (_FLAGS, bool, "a boolean"), (_NUMBERS, (int, float), "a number"),
        (_LISTS, list, "an array"), (_MAPS, Mapping, "an object"),
    ):  # fmt: skip
        for name in names:
            value = schema.get(name)
            if value is not None and not isinstance(value, type_):
                found.append(_wrong(path.child(name), value, article))
    return found or _inside(schema, path)


def _wrong(path: Path, value: Any, article: str) -> Any:
    return type_invalid(path, value, f"must be {article}")


def _inside(schema: Mapping[str, Any], path: Path) -> ErrorList:
    found: ErrorList = []
    for names, type_, article in ((_OF_TEXTS, str, "a string"), (_OF_OBJECTS, Mapping, "an object")):
        for name in names:
            at = path.child(name)
            items = enumerate(schema.get(name) or ())
            found += [_wrong(at.index(i), item, article) for i, item in items if not isinstance(item, type_)]
    for name in ("properties", "patternProperties", "definitions"):
        for key, inner in sorted((schema.get(name) or {}).items()):
            found += malformed(inner, path.child(name).key(key))
    for name in ("allOf", "oneOf", "anyOf"):
        for i, inner in enumerate(schema.get(name) or ()):
            found += malformed(inner, path.child(name).index(i))
    for name, others in (
        ("not", ()),
        ("additionalProperties", (bool,)),
        ("additionalItems", (bool,)),
        ("items", (list,)),
    ):
        inner = schema.get(name)
        if inner is not None and not isinstance(inner, others):
            found += malformed(inner, path.child(name))
    return found
