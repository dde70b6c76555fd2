"""The body of a PATCH request to the patched, decoded object: everything upstream's handler does but server-side apply."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from typing import Any

import orjson

from kubeling.api import errors, fields
from kubeling.api.errors import StatusError, bad_request
from kubeling.api.patch.goformat import go_format
from kubeling.api.patch.jsonpatch import json_patch
from kubeling.api.patch.merge import merge_patch
from kubeling.api.patch.strategic import strategic_merge
from kubeling.api.patch.unstructured import decode_unstructured
from kubeling.api.schema import GVK, Body, DecodeError, Field, ObjectSchema, Presence, Shape, SyntaxFailure, Type
from kubeling.api.schema.body import Registered, actual_kind, decode_as, strict_text, strict_warnings
from kubeling.api.schema.text import parse_json
from kubeling.api.schema.walk import Walker, in_go_order


class PatchKind(Enum):
    """Media types of patches."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


def _json_patch_operations() -> Type:
    string = Type(Shape.STRING, go="string")
    value = Type(Shape.ANY, go="interface {}")
    made = {"op": string, "from": string, "path": string, "value": value}
    operation = Type(
        Shape.STRUCT,
        go="handlers.jsonPatchOp",
        load=lambda: {name: Field(name, t, Presence.RAW) for name, t in made.items()},
    )
    return Type(Shape.LIST, go="[]handlers.jsonPatchOp", item=operation)


_OPERATIONS = _json_patch_operations()
_OBJECT = Type(Shape.MAP, go="map[string]interface {}", item=Type(Shape.ANY, go="interface {}"))


def patch_object(
    kind: PatchKind,
    body: bytes,
    current: Mapping[str, Any],
    expected: GVK,
    schema: ObjectSchema,
    registered: Registered,
    *,
    field_validation: str = "Warn",
) -> Body:
    """``current`` (of the version the request names, with kind and apiVersion) with the patch applied, decoded.

    ``kind`` is JSON, MERGE or STRATEGIC. Raises StatusError as upstream words it; names and immutable fields are not checked.
    """
    if kind is PatchKind.STRATEGIC:
        return _strategic(body, current, expected, schema, field_validation)
    checked = field_validation != "Ignore"
    patch, strict = _parse(body, _OPERATIONS if kind is PatchKind.JSON else _OBJECT, checked=checked)
    if kind is PatchKind.JSON:
        apply: Callable[[Any], Any] = partial(json_patch, operations=patch or [])
        strict = [f"json patch {text}" for text in strict]
    else:
        apply = partial(merge_patch, patch=patch)
    try:
        value, unknown = _decode(apply(current), expected, schema, registered)
    except DecodeError as error:
        raise _invalid(_encode(apply(in_go_order(current, schema.root))), str(error)) from None
    strict += unknown
    if strict and field_validation == "Strict":
        raise _invalid(_encode(apply(in_go_order(current, schema.root))), strict_text(strict))
    return _finish(value, expected, strict, field_validation)


def _parse(body: bytes, made: Type, *, checked: bool) -> tuple[Any, list[str]]:
    """The patch and its strict errors; of unchecked ones the errors are worded by the patch library."""
    try:
        value, repeated = parse_json(body, duplicates=checked)
        walker = Walker()
        walker.decode(value, made)
    except (SyntaxFailure, DecodeError) as failure:
        if checked:
            raise bad_request(f"error decoding patch: {failure}") from None
        if made is _OBJECT:
            raise bad_request("Invalid JSON Patch") from None
        raise bad_request(str(failure).replace("handlers.jsonPatchOp", "jsonpatch.Operation")) from None
    return value, repeated + walker.unknown if checked else []


def _decode(patched: Any, expected: GVK, schema: ObjectSchema, registered: Registered) -> tuple[Any, list[str]]:
    if not isinstance(patched, dict):
        raise DecodeError("couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value")
    actual = actual_kind(patched, expected, b"")
    decoded = decode_as(patched, actual, expected, schema, registered)
    return decoded.obj, decoded.unknown


def _strategic(
    body: bytes, current: Mapping[str, Any], expected: GVK, schema: ObjectSchema, field_validation: str
) -> Body:
    checked = field_validation != "Ignore"
    try:
        patch, strict = parse_json(body, duplicates=checked)
        Walker().decode(patch, _OBJECT)
    except (SyntaxFailure, DecodeError) as failure:
        raise bad_request(str(failure)) from None
    patch = patch or {}
    merged = strategic_merge(current, patch, schema)
    try:
        value, unknown = decode_unstructured(merged, schema)
    except DecodeError as error:
        raise _invalid(go_format(patch), str(error)) from None
    strict += unknown
    if strict and field_validation == "Strict":
        raise _invalid(go_format(patch), strict_text(strict))
    return _finish(value, expected, strict, field_validation)


def _finish(value: Any, expected: GVK, strict: list[str], field_validation: str) -> Body:
    obj = {**value, "kind": expected.kind, "apiVersion": expected.api_version}
    return Body(obj, strict_warnings(strict) if field_validation == "Warn" else [])


def _invalid(shown: str, why: str) -> StatusError:
    return errors.invalid("", "", "", [fields.invalid(fields.Path("patch"), shown, why)])


def _encode(value: Any) -> str:
    """JSON as Go writes it."""
    text = orjson.dumps(value).decode()
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
