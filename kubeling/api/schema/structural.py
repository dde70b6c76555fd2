"""Custom resources: a structural OpenAPI schema as a type tree, and decoding by it.

What the schema does not know is pruned and reported; nothing else is changed: values of the wrong type are for validation to
refuse, nulls and empty values stay. ``metadata`` is decoded as every object's metadata is.
Source of the rules: k8s.io/apiextensions-apiserver, pruning and object metadata coercion.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeling.api.meta import Object
from kubeling.api.schema.definitions import Definitions
from kubeling.api.schema.model import DEDUCED, Field, Presence, Shape, Type
from kubeling.api.schema.schemas import Decoded, ObjectSchema
from kubeling.api.schema.walk import DecodeError, Walker

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

_SCALARS = {
    "string": (Shape.STRING, "string"),
    "boolean": (Shape.BOOLEAN, "bool"),
    "number": (Shape.NUMBER, "float64"),
    "integer": (Shape.INTEGER, "int64"),
}
_STRING = Type(Shape.STRING, go="string")


class StructuralSchema(ObjectSchema):
    """The schema of one version of a custom resource."""

    declared = True

    def decode(self, obj: Any) -> Decoded:
        """A pruned copy of ``obj`` and the unknown fields. Raises DecodeError for metadata that is none."""
        walker = _Pruner()
        pruned: Object = walker.decode(obj, self.root)
        return Decoded(pruned, walker.unknown)


def structural_schema(openapi: Mapping[str, Any], definitions: Definitions) -> StructuralSchema:
    """The schema of a custom resource from its ``openAPIV3Schema``; ``definitions`` gives the type of ``metadata``."""
    builder = _Builder(definitions.type_of(OBJECT_META))
    return StructuralSchema(builder.whole_object(openapi))


class _Builder:
    def __init__(self, metadata: Type) -> None:
        self._metadata = metadata

    def whole_object(self, schema: Mapping[str, Any]) -> Type:
        """The type of an object: kind, apiVersion and metadata are always there."""
        made = self.type_of({"type": "object", **schema, "x-kubernetes-embedded-resource": True})
        made.atomic = False
        return made

    def type_of(self, schema: Mapping[str, Any]) -> Type:
        kind = schema.get("type", "")
        if schema.get("x-kubernetes-int-or-string"):
            return Type(Shape.INT_OR_STRING, go="int32")
        if kind == "array":
            item = self.type_of(schema.get("items") or {})
            list_type = schema.get("x-kubernetes-list-type", "atomic")
            keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
            return Type(Shape.LIST, go="[]" + item.go, item=item, list_type=list_type, keys=keys)
        if kind in _SCALARS:
            shape, go = _SCALARS[kind]
            return Type(shape, go=go)
        preserve = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
        if kind == "object" or "properties" in schema:
            return self._object(schema, preserve=preserve)
        return DEDUCED

    def _object(self, schema: Mapping[str, Any], *, preserve: bool) -> Type:
        atomic = schema.get("x-kubernetes-map-type") == "atomic"
        additional = schema.get("additionalProperties")
        if additional and not schema.get("properties"):
            item = self.type_of(additional) if isinstance(additional, Mapping) else DEDUCED
            return Type(Shape.MAP, go="map[string]" + item.go, item=item, atomic=atomic)
        embedded = bool(schema.get("x-kubernetes-embedded-resource"))
        fields = {n: self._field(n, s) for n, s in (schema.get("properties") or {}).items()}
        if embedded:
            fields |= {n: Field(n, _STRING, Presence.RAW) for n in ("apiVersion", "kind")}
            fields["metadata"] = Field("metadata", self._metadata, Presence.RAW)
        return Type(
            Shape.STRUCT,
            go="object",
            atomic=atomic,
            preserve=preserve,
            embedded=embedded,
            item=DEDUCED if preserve else None,
            load=lambda: fields,
        )

    def _field(self, name: str, schema: Mapping[str, Any]) -> Field:
        default = schema.get("default")
        return Field(
            name, self.type_of(schema), Presence.RAW, default=default if not isinstance(default, dict | list) else None
        )


class _Pruner(Walker):
    """Drops what the schema does not know; only metadata is decoded strictly."""

    def _value(self, value: Any, made: Type, struct: str, go_path: str, path: str) -> Any:
        if made.definition:  # metadata
            return self._metadata(value, made, go_path, path)
        if isinstance(value, dict) and made.shape is Shape.STRUCT:
            return self._struct(value, made, go_path, path)
        if isinstance(value, dict) and made.shape is Shape.MAP and made.item is not None:
            item = made.item
            return {k: self._value(v, item, struct, go_path, f"{path}.{k}" if path else k) for k, v in value.items()}
        if isinstance(value, list) and made.shape is Shape.LIST and made.item is not None:
            return [self._value(v, made.item, struct, go_path, f"{path}[{i}]") for i, v in enumerate(value)]
        return value

    def _struct(self, value: dict[str, Any], made: Type, go_path: str, path: str) -> dict[str, Any]:
        fields = made.fields
        kept: dict[str, Any] = {}
        for name, inner in value.items():
            where = f"{path}.{name}" if path else name
            found = fields.get(name)
            if found is not None:
                kept[name] = self._value(inner, found.type, "", f"{go_path}.{name}" if go_path else name, where)
            elif made.preserve:
                kept[name] = inner
            else:
                self.strict(f'unknown field "{where}"')
        return kept

    def _metadata(self, value: Any, made: Type, go_path: str, path: str) -> Any:
        walker = Walker()
        wrapped = Type(
            Shape.STRUCT,
            go="v1.ObjectMeta",
            load=lambda: {path: Field(path, made, Presence.ALWAYS)},
        )
        decoded = walker.decode({path: value}, wrapped)
        for text in walker.unknown:
            self.strict(text)
        return decoded[path]


__all__ = ["DecodeError", "StructuralSchema", "structural_schema"]
