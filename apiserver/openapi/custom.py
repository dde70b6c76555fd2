"""Custom resources in the OpenAPI documents: their own schemas under names made from their group."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]
Custom = Callable[[str, str, str], Mapping[str, Any] | None]
"""The ``openAPIV3Schema`` of a group, version and kind that is a custom resource; None for others."""

_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_CONVENTIONS = "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md"
_API_VERSION = (
    "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to "
    f"the latest internal value, and may reject unrecognized values. More info: {_CONVENTIONS}#resources"
)
_KIND = (
    "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the "
    f"client submits requests to. Cannot be updated. In CamelCase. More info: {_CONVENTIONS}#types-kinds"
)
_UNKNOWN_TO_V2 = frozenset({"nullable", "oneOf", "anyOf", "allOf", "not", "default"})


@dataclass(frozen=True, slots=True)
class CustomDefinition:
    """A definition with its name; references in it are those of OpenAPI v3."""

    name: str
    schema: Schema


def definition_name(group: str, version: str, kind: str) -> str:
    """``com.example.v1.Widget`` for the group ``example.com``."""
    return ".".join([*reversed(group.split(".")), version, kind])


def custom_definitions(
    group: str, version: str, kind: str, schema: Mapping[str, Any], list_kind: str
) -> list[CustomDefinition]:
    """The definitions of a custom resource and of its list."""
    name = definition_name(group, version, kind)
    identity = {
        "apiVersion": {"type": "string", "description": _API_VERSION},
        "kind": {"type": "string", "description": _KIND},
    }
    metadata = {"description": f"Standard object's metadata. More info: {_CONVENTIONS}#metadata"}
    gvk = {"group": group, "version": version}
    whole: Schema = {
        **schema,
        "type": "object",
        "properties": {
            **(schema.get("properties") or {}),
            **identity,
            "metadata": {**metadata, "allOf": [_reference(f"{_META}ObjectMeta")]},
        },
        "x-kubernetes-group-version-kind": [{**gvk, "kind": kind}],
    }
    listed: Schema = {
        "description": f"{list_kind} is a list of {kind}",
        "type": "object",
        "required": ["items"],
        "properties": {
            **identity,
            "items": {
                "description": f"List of {kind.lower()}s. More info: {_CONVENTIONS}",
                "type": "array",
                "items": _reference(name),
            },
            "metadata": {
                "description": f"Standard list metadata. More info: {_CONVENTIONS}#types-kinds",
                "allOf": [_reference(f"{_META}ListMeta")],
            },
        },
        "x-kubernetes-group-version-kind": [{**gvk, "kind": list_kind}],
    }
    return [CustomDefinition(name, whole), CustomDefinition(name.removesuffix(kind) + list_kind, listed)]


def to_v2(schema: Any) -> Any:
    """A v3 schema as v2 can say it: references renamed, what v2 does not know left out."""
    if isinstance(schema, list):
        return [to_v2(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    wrapped = schema.get("allOf")
    if isinstance(wrapped, list) and len(wrapped) == 1 and "$ref" in wrapped[0]:
        schema = {**{k: v for k, v in schema.items() if k != "allOf"}, **wrapped[0]}
    return {
        k: v.replace("#/components/schemas/", "#/definitions/") if k == "$ref" and isinstance(v, str) else to_v2(v)
        for k, v in schema.items()
        if k not in _UNKNOWN_TO_V2
    }


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
