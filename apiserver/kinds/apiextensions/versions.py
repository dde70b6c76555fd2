"""Rules for what each version of a definition carries: its schema, subresources, columns and selectable fields.

Source: k8s.io/apiextensions-apiserver pkg/apis/apiextensions/validation. What all versions have in common stands at the top
of upstream's internal type, and so its errors name it there (``spec.validation`` instead of ``spec.versions[0].schema``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from apiserver.kinds.admissionregistration.validation import validate_client_config
from apiserver.kinds.apiextensions.schema import validate_schema
from kubeling.api.fields import ErrorList, Path, duplicate, forbidden, invalid, required, too_many
from kubeling.api.jsonpath import JSONPathError, parse

Fields = Mapping[str, Any]

_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_SELECTABLE = (
    "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed."
)
_MAX_SELECTABLE = 8
_REPLICAS = (
    ("specReplicasPath", ".spec"),
    ("statusReplicasPath", ".status"),
    ("labelSelectorPath", ".spec or .status"),
)

Rule = Callable[[Any, Path, Fields], ErrorList]


def validate_versions(versions: Sequence[Fields], path: Path) -> ErrorList:
    """``path`` is that of the spec."""
    found: ErrorList = []
    for i, version in enumerate(versions):
        if ((version.get("schema") or {}).get("openAPIV3Schema")) is None:
            found.append(required(path.child("versions").index(i).child("schema", "openAPIV3Schema")))
    for field, top, rule in _PARTS:
        found += _each(versions, field, path, top, rule)
    return found


def _each(versions: Sequence[Fields], field: str, path: Path, top: str, rule: Rule) -> ErrorList:
    """The rule for the common value, or for each version's."""
    values = [version.get(field) for version in versions]
    if values and all(value == values[0] for value in values):
        return rule(values[0], path.child(top), versions[0]) if values[0] is not None else []
    found: ErrorList = []
    for i, (value, version) in enumerate(zip(values, versions, strict=True)):
        if value is not None:
            found += rule(value, path.child("versions").index(i).child(field), version)
    return found


def _schema(schema: Fields, path: Path, version: Fields) -> ErrorList:
    openapi = schema.get("openAPIV3Schema")
    return validate_schema(openapi, path.child("openAPIV3Schema")) if openapi is not None else []


def _subresources(subresources: Fields, path: Path, version: Fields) -> ErrorList:
    scale = subresources.get("scale")
    if scale is None:
        return []
    found: ErrorList = []
    at = path.child("scale")
    for field, where in _REPLICAS:
        value = scale.get(field) or ""
        if not value:
            found += [] if field == "labelSelectorPath" else [required(at.child(field))]
        elif not _is_simple(value):
            found.append(invalid(at.child(field), value, "must be a simple json path starting with ."))
        elif not value.startswith(tuple(f"{start}." for start in where.split(" or "))):
            found.append(invalid(at.child(field), value, f"should be a json path under {_either(where)}"))
    return found


def _either(where: str) -> str:
    return f"either {where}" if " or " in where else where


def _columns(columns: Sequence[Fields], path: Path, version: Fields) -> ErrorList:
    found: ErrorList = []
    for i, column in enumerate(columns):
        at = path.index(i)
        if not column.get("name"):
            found.append(required(at.child("name")))
        type_, format_ = column.get("type") or "", column.get("format") or ""
        if not type_:
            found.append(required(at.child("type"), f"must be one of {','.join(_COLUMN_TYPES)}"))
        elif type_ not in _COLUMN_TYPES:
            found.append(invalid(at.child("type"), type_, f"must be one of {','.join(_COLUMN_TYPES)}"))
        if format_ and format_ not in _COLUMN_FORMATS:
            found.append(invalid(at.child("format"), format_, f"must be one of {','.join(_COLUMN_FORMATS)}"))
        found += _column_path(column.get("jsonPath") or "", at.child("JSONPath"))
    return found


def _column_path(text: str, path: Path) -> ErrorList:
    if not text:
        return [required(path)]
    return [] if _is_simple(text) else [invalid(path, text, "must be a simple json path starting with .")]


def _is_simple(text: str) -> bool:
    if not text.startswith("."):
        return False
    try:
        parse(text)
    except JSONPathError:
        return False
    return True


def _selectable(selectable: Sequence[Fields], path: Path, version: Fields) -> ErrorList:
    found: ErrorList = []
    if len(selectable) > _MAX_SELECTABLE:
        found.append(too_many(path, len(selectable), _MAX_SELECTABLE))
    seen: set[str] = set()
    schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    for i, field in enumerate(selectable):
        text, at = field.get("jsonPath") or "", path.index(i).child("jsonPath")
        if not text:
            found.append(required(at))
            continue
        if not _is_simple(text) or any(c in text for c in "[]*"):
            found.append(invalid(at, text, "is an invalid path: must be a simple json path starting with ."))
            continue
        found += _selected(text, schema, at)
        if text in seen:
            found.append(duplicate(at, text))
        seen.add(text)
    return found


def _selected(text: str, schema: Fields, path: Path) -> ErrorList:
    """The field must be there and hold a scalar."""
    names = text.strip(".").split(".")
    if names[0] == "metadata":
        return [invalid(path, text, "must not point to fields in metadata")]
    node: Any = schema
    for name in names:
        node = (node.get("properties") or {}).get(name)
        if node is None:
            return [invalid(path, text, "is an invalid path: does not refer to a valid field")]
    return [] if node.get("type") in ("string", "boolean", "integer") else [invalid(path, text, _SELECTABLE)]


_PARTS: tuple[tuple[str, str, Rule], ...] = (
    ("schema", "validation", _schema),
    ("subresources", "subresources", _subresources),
    ("additionalPrinterColumns", "additionalPrinterColumns", _columns),
    ("selectableFields", "selectableFields", _selectable),
)
"""A version's field, where its errors are when all versions agree, and its rule."""


def validate_conversion(conversion: Fields, path: Path) -> ErrorList:
    """What a webhook needs, and what only a webhook may have."""
    webhook = conversion.get("webhook") or {}
    client, reviews = webhook.get("clientConfig"), webhook.get("conversionReviewVersions") or ()
    at, reviews_at = path.child("webhookClientConfig"), path.child("conversionReviewVersions")
    if conversion.get("strategy") != "Webhook":
        text = "should not be set when strategy is not set to Webhook"
        return [forbidden(p, text) for p, value in ((at, client), (reviews_at, reviews)) if value]
    found: ErrorList = []
    if client is None:
        found.append(required(at, "required when strategy is set to Webhook"))
    else:
        found += validate_client_config(client, at)
    if not reviews:
        found.append(required(reviews_at))
    return found
