"""Kubernetes' published definitions (package kubernetes-validate) as type trees."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

from kubeling.api.schema import facts
from kubeling.api.schema.derived import Derivation, Stated
from kubeling.api.schema.gotypes import GO_TYPES
from kubeling.api.schema.model import ANY, Field, Presence, Shape, Type

Definition = Mapping[str, Any]

_PREFIXES = {
    "io.k8s.api.": "",
    "io.k8s.apimachinery.pkg.api.resource.": "api.resource.",
    "io.k8s.apimachinery.pkg.apis.": "",
    "io.k8s.apimachinery.pkg.": "",
    "io.k8s.apiextensions-apiserver.pkg.apis.": "",
    "io.k8s.kube-aggregator.pkg.apis.": "",
}

# Definitions that are not structs.
_SPECIAL = {
    "api.resource.Quantity": (Shape.QUANTITY, "resource.Quantity"),
    "meta.v1.Time": (Shape.TIME, "string"),
    "meta.v1.MicroTime": (Shape.MICRO_TIME, "string"),
    "util.intstr.IntOrString": (Shape.INT_OR_STRING, "int32"),
    "runtime.RawExtension": (Shape.ANY, "runtime.RawExtension"),
    "meta.v1.FieldsV1": (Shape.ANY, "v1.FieldsV1"),
    "apiextensions.v1.JSON": (Shape.ANY, "v1.JSON"),
    "apiextensions.v1.JSONSchemaPropsOrArray": (Shape.ANY, "v1.JSONSchemaPropsOrArray"),
    "apiextensions.v1.JSONSchemaPropsOrBool": (Shape.ANY, "v1.JSONSchemaPropsOrBool"),
    "apiextensions.v1.JSONSchemaPropsOrStringArray": (Shape.ANY, "v1.JSONSchemaPropsOrStringArray"),
}

_SCALARS = {
    "string": (Shape.STRING, "string", 0),
    "boolean": (Shape.BOOLEAN, "bool", 0),
    "number": (Shape.NUMBER, "float64", 64),
}

_BY_VALUE = frozenset({Shape.STRUCT, Shape.QUANTITY, Shape.INT_OR_STRING})
_CONVENTIONAL_VALUES = frozenset({"metadata", "spec", "status"})


def short_name(name: str) -> str:
    """``core.v1.Pod`` of ``io.k8s.api.core.v1.Pod``."""
    for prefix, replacement in _PREFIXES.items():
        if name.startswith(prefix):
            return replacement + name[len(prefix) :]
    return name


def json_type(schema: Definition) -> str:
    """The JSON type of a schema, ``null`` left aside."""
    kind = schema.get("type", "")
    if isinstance(kind, list):
        return str(next((k for k in kind if k != "null"), ""))
    return str(kind)


def reference(schema: Definition) -> str:
    """The definition that a schema refers to, empty when it does not."""
    target = schema.get("$ref")  # JSONSchemaProps has a property of that name
    return target.rpartition("/")[2] if isinstance(target, str) else ""


@lru_cache(maxsize=4)
def load(version: str) -> Mapping[str, Definition]:
    """All definitions of a minor (``1.36``). Raises FileNotFoundError for one that the package does not hold."""
    package = find_spec(
        "kubernetes_validate"
    )  # only found, not imported: its code brings jsonschema along, we want its data
    assert package is not None and package.submodule_search_locations  # a dependency of ours
    folder = Path(package.submodule_search_locations[0]) / "kubernetes-json-schema" / f"v{version}.0-local"
    document: dict[str, Any] = orjson.loads((folder / "_definitions.json").read_bytes())
    definitions: Mapping[str, Definition] = document["$defs"]
    return definitions


class Definitions:
    """The type trees of one minor of Kubernetes, each made at first use."""

    def __init__(self, definitions: Mapping[str, Definition], derivations: Iterable[Derivation | Stated] = ()) -> None:
        made = [entry for derivation in derivations for entry in derivation.made_from(definitions)]
        self.raw = {**definitions, **{name: definition for name, _, definition in made}}
        self._origins = {name: origin for name, origin, _ in made}
        self._types: dict[str, Type] = {}
        self._kinds: dict[tuple[str, str, str], str] | None = None

    def name_of(self, group: str, version: str, kind: str) -> str | None:
        """Name of the definition of a kind, None when this minor has none."""
        if self._kinds is None:
            self._kinds = dict(self._index())
        return self._kinds.get((group, version, kind))

    def _index(self) -> Iterator[tuple[tuple[str, str, str], str]]:
        for name, definition in self.raw.items():
            for gvk in definition.get("x-kubernetes-group-version-kind") or ():
                key = (gvk.get("group", ""), gvk["version"], gvk["kind"])
                if name.endswith("." + gvk["kind"]) and _home(name, key):
                    yield key, name

    def type_of(self, name: str) -> Type:
        """The type of a definition by its full name."""
        found = self._types.get(name)
        if found is None:
            found = self._types[name] = self._make(name)
        return found

    def facts_name(self, name: str) -> str:
        """The short name under which facts about a definition are listed: that of its origin if it is derived."""
        return short_name(self._origins.get(name, name))

    def _make(self, name: str) -> Type:
        short = self.facts_name(name)
        special = _SPECIAL.get(short)
        if special:
            return Type(special[0], go=special[1], definition=name)
        definition = self.raw[name]
        parts = short_name(name).split(".")
        go = ".".join(parts[-2:])
        if not definition.get("properties") and "additionalProperties" in definition:
            return self._inline(definition, short)
        return Type(
            Shape.STRUCT,
            go=go,
            definition=name,
            atomic=definition.get("x-kubernetes-map-type") == "atomic",
            load=lambda: self._fields(short, definition),
        )

    def _fields(self, short: str, definition: Definition) -> dict[str, Field]:
        required = frozenset(definition.get("required") or ())
        aliases = GO_TYPES.get(short, {})
        properties: Mapping[str, Definition] = definition.get("properties") or {}
        names = facts.field_order(short, properties)
        return {name: self._field(short, name, properties[name], name in required, aliases) for name in names}

    def _field(self, short: str, name: str, schema: Definition, required: bool, aliases: Mapping[str, str]) -> Field:
        made = self._inline(schema, short)
        if name in aliases:
            made = _renamed(made, aliases[name])
        strategy = schema.get("x-kubernetes-patch-strategy", "")
        return Field(
            name,
            made,
            _presence(short, name, made.shape, required),
            tuple(strategy.split(",")) if strategy else (),
            schema.get("x-kubernetes-patch-merge-key", ""),
            facts.KEY_DEFAULTS.get(short, {}).get(name),
            required and name not in facts.OMITEMPTY_THOUGH_REQUIRED.get(short, ()),
        )

    def _inline(self, schema: Definition, short: str) -> Type:
        """The type of a property's schema."""
        target = reference(schema)
        if target:
            found = self.type_of(target)
            relationship = schema.get("x-kubernetes-map-type")
            if relationship and found.atomic != (relationship == "atomic"):
                return _with(found, atomic=relationship == "atomic")
            return found
        kind = json_type(schema)
        if kind == "array":
            item = self._inline(schema["items"], short)
            list_type, keys = list_relationship(schema)
            return Type(Shape.LIST, go="[]" + item.go, item=item, list_type=list_type, keys=keys)
        if kind == "object" and "additionalProperties" in schema:
            item = self._inline(schema["additionalProperties"], short)
            atomic = schema.get("x-kubernetes-map-type") == "atomic"
            return Type(Shape.MAP, go="map[string]" + item.go, item=item, atomic=atomic)
        if kind == "integer":
            bits = 64 if schema.get("format") == "int64" else 32
            return Type(Shape.INTEGER, go=f"int{bits}", bits=bits)
        if kind == "string" and schema.get("format") == "byte":
            return Type(Shape.BYTES, go="[]uint8")
        if kind in _SCALARS:
            shape, go, bits = _SCALARS[kind]
            return Type(shape, go=go, bits=bits)
        return ANY


def list_relationship(schema: Definition) -> tuple[str, tuple[str, ...]]:
    """List type and keys of a list; a list without type that strategic merge merges is one of its merge key."""
    keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
    declared = schema.get("x-kubernetes-list-type")
    if declared:
        return declared, keys
    if "merge" in schema.get("x-kubernetes-patch-strategy", "").split(","):
        merge_key = schema.get("x-kubernetes-patch-merge-key")
        return ("map", (merge_key,)) if merge_key else ("set", ())
    return "atomic", ()


def _home(name: str, key: tuple[str, str, str]) -> bool:
    """Whether the definition lives in the kind's own package (meta/v1 kinds are listed under every group)."""
    group, version, _ = key
    if f".{version}." not in name:
        return False
    if ".apis.meta." in name:
        return group == ""
    package = name.split(".")[-3]
    return (
        not group
        or package == group.split(".")[0]
        or package in group.replace(".", "")
        or package == "apiserverinternal"
    )


def _with(made: Type, **changes: Any) -> Type:
    values = {s: getattr(made, s) for s in ("shape", "go", "definition", "item", "bits", "list_type", "keys", "atomic")}
    values.update(changes)
    return Type(load=lambda: made.fields, **values)


def _renamed(made: Type, go: str) -> Type:
    """The same type under another Go name; of a list or map the elements are renamed."""
    if go.startswith("="):
        return _with(made, go=go[1:])
    if made.item is not None and made.shape in (Shape.LIST, Shape.MAP):
        item = _renamed(made.item, go)
        return _with(made, item=item, go=("[]" if made.shape is Shape.LIST else "map[string]") + go)
    return _with(made, go=go)


def _presence(short: str, name: str, shape: Shape, required: bool) -> Presence:
    """What becomes of a field's zero value, see ``facts``."""

    def listed(table: Mapping[str, frozenset[str]]) -> bool:
        return name in table.get(short, ())

    if listed(facts.NULL_WHEN_ABSENT):
        return Presence.NULL
    if shape in (Shape.LIST, Shape.MAP, Shape.BYTES):
        return Presence.KEEP if required or listed(facts.KEEP_EMPTY) else Presence.OMIT
    if shape in (Shape.TIME, Shape.MICRO_TIME):
        return Presence.NULL if listed(facts.VALUE_TIMES) else Presence.KEEP
    if shape in _BY_VALUE:
        by_value = required or listed(facts.VALUE_STRUCTS) or (shape is Shape.STRUCT and name in _CONVENTIONAL_VALUES)
        return Presence.ALWAYS if by_value and not listed(facts.POINTER_STRUCTS) else Presence.KEEP
    if shape is Shape.ANY:
        return Presence.KEEP
    if listed(facts.POINTER_SCALARS):
        return Presence.KEEP
    return Presence.ALWAYS if required or listed(facts.ALWAYS_SCALARS) else Presence.OMIT
