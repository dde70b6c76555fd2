"""Definitions as component schemas of OpenAPI v3 and as definitions of v2."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from apiserver.openapi.texts import enum_of, enum_text, texts
from kubeling.api.schema import Field, Presence, Shape
from kubeling.api.schema.definitions import Definitions, json_type, reference

Schema = dict[str, Any]

_V3 = "#/components/schemas/"
_V2 = "#/definitions/"
_KIND_FIELDS = ("apiVersion", "kind")
_ZERO = {Shape.STRING: "", Shape.INTEGER: 0, Shape.NUMBER: 0, Shape.BOOLEAN: False}
_BY_VALUE = (Shape.STRUCT, Shape.QUANTITY, Shape.TIME, Shape.MICRO_TIME, Shape.INT_OR_STRING)

_SPECIAL: dict[str, Schema] = {
    "api.resource.Quantity": {"oneOf": [{"type": "string"}, {"type": "number"}]},
    "util.intstr.IntOrString": {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
}
_SPECIAL_V2: dict[str, Schema] = {
    "api.resource.Quantity": {"type": "string"},
    "util.intstr.IntOrString": {"type": "string", "format": "int-or-string"},
}

# Defaults that ``+default`` markers give beyond zero values.
_DEFAULTS: dict[tuple[str, str], Any] = {
    ("core.v1.ContainerPort", "protocol"): "TCP",
    ("core.v1.ServicePort", "protocol"): "TCP",
    ("core.v1.GRPCAction", "service"): "",
    **{
        (f"core.v1.{name}", "name"): ""
        for name in (
            "ConfigMapEnvSource",
            "ConfigMapKeySelector",
            "ConfigMapProjection",
            "ConfigMapVolumeSource",
            "LocalObjectReference",
            "SecretEnvSource",
            "SecretKeySelector",
            "SecretProjection",
        )
    },
}


def references(schema: Any) -> Iterator[str]:
    """Names of the definitions that a raw schema mentions."""
    if isinstance(schema, dict):
        target = reference(schema)
        if target:
            yield target
        for inner in schema.values():
            yield from references(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from references(inner)


def closure(names: Iterable[str], raw: Mapping[str, Any]) -> list[str]:
    """These definitions and all that they mention, sorted."""
    found: set[str] = set()
    waiting = [n for n in names if n in raw]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(references(raw[name]))
    return sorted(found)


class Components:
    """Renders definitions of one minor of Kubernetes, each version once."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._v3: dict[str, Schema] = {}

    @property
    def raw(self) -> Mapping[str, Any]:
        return self._definitions.raw

    def v3(self, names: Iterable[str]) -> dict[str, Schema]:
        """Component schemas of these definitions and of what they mention."""
        return {name: self._component(name) for name in closure(names, self.raw)}

    def v2(self, names: Iterable[str]) -> dict[str, Schema]:
        return {name: self._definition(name) for name in closure(names, self.raw)}

    def _component(self, name: str) -> Schema:
        found = self._v3.get(name)
        if found is None:
            found = self._v3[name] = self._make_v3(name)
        return found

    def _make_v3(self, name: str) -> Schema:
        raw, short = self.raw[name], self._definitions.facts_name(name)
        schema: Schema = {}
        description = texts()["descriptions"].get(short, raw.get("description"))
        if description:
            schema["description"] = description
        if short in _SPECIAL:
            return schema | _SPECIAL[short]
        kind = json_type(raw)
        if kind:
            schema["type"] = kind
        schema |= {k: raw[k] for k in ("format", "required") if k in raw}
        if raw.get("properties"):
            fields = self._definitions.type_of(name).fields
            schema["properties"] = {
                n: self._property(short, n, p, fields[n]) for n, p in sorted(raw["properties"].items())
            }
        return schema | {k: v for k, v in raw.items() if k.startswith("x-kubernetes-")}

    def _property(self, short: str, name: str, raw: Mapping[str, Any], field: Field) -> Schema:
        schema: Schema = {}
        if "description" in raw:
            schema["description"] = raw["description"]
        target = reference(raw)
        if target:
            if field.presence in (Presence.ALWAYS, Presence.NULL) and field.type.shape in _BY_VALUE:
                schema["default"] = {}
            schema["allOf"] = [{"$ref": _V3 + target}]
        else:
            schema |= self._inline(raw, field.type.go)
            values = enum_of(field.type.go)
            if values and field.type.shape is Shape.STRING:
                schema["description"] = schema.get("description", "") + enum_text(values)
                schema["enum"] = list(values)
            default = _DEFAULTS.get((short, name), _zero(field))
            if default is not None:
                schema["default"] = default
        return schema | {k: v for k, v in raw.items() if k.startswith("x-kubernetes-")}

    def _inline(self, raw: Mapping[str, Any], go: str) -> Schema:
        """A schema without reference: its type and what is inside."""
        schema: Schema = {"type": json_type(raw)} if json_type(raw) else {}
        if "format" in raw:
            schema["format"] = raw["format"]
        if "items" in raw:
            schema["items"] = self._inner(raw["items"], go.removeprefix("[]"))
        if "additionalProperties" in raw:
            schema["additionalProperties"] = self._inner(raw["additionalProperties"], go.removeprefix("map[string]"))
        return schema

    def _inner(self, raw: Mapping[str, Any], go: str) -> Schema:
        target = reference(raw)
        if target:
            return {"$ref": _V3 + target}
        schema = self._inline(raw, go)
        values = enum_of(go)
        return schema | {"enum": list(values)} if values else schema

    def _definition(self, name: str) -> Schema:
        """As the published definitions were before ``null`` was added to their types."""
        raw, short = self.raw[name], self._definitions.facts_name(name)
        schema: Schema = {"description": raw["description"]} if "description" in raw else {}
        if short in _SPECIAL_V2:
            return schema | _SPECIAL_V2[short]
        schema |= {k: _plain(v) for k, v in raw.items() if k not in ("type", "description", "oneOf", "properties")}
        if json_type(raw):
            schema["type"] = json_type(raw)
        if raw.get("properties"):
            properties = {n: _plain(p) for n, p in sorted(raw["properties"].items())}
            for n in _KIND_FIELDS:
                properties.get(n, {}).pop("enum", None)
            schema["properties"] = properties
        return schema


def _zero(field: Field) -> Any:
    return _ZERO.get(field.type.shape) if field.presence is Presence.ALWAYS else None


def _plain(value: Any) -> Any:
    """A raw schema in OpenAPI v2: no null types, references to definitions."""
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if not isinstance(value, dict):
        return value
    made = {k: _plain(v) for k, v in value.items()}
    if isinstance(value.get("type"), list):
        made["type"] = json_type(value)
    if isinstance(value.get("$ref"), str):
        made["$ref"] = _V2 + reference(value)
    return made
