"""The type tree that every schema compiles to: what decoding, patching, apply and OpenAPI read.

A built-in kind's tree comes from Kubernetes' published definitions (``definitions``), a custom resource's from its
OpenAPI schema (``structural``); everything behind works on the tree alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Shape(Enum):
    """What JSON a value of the type is."""

    STRUCT = "struct"
    MAP = "map"
    LIST = "list"
    STRING = "string"
    INTEGER = "integer"  # bounds in Type.bits
    NUMBER = "number"
    BOOLEAN = "boolean"
    BYTES = "bytes"  # base64 in JSON
    QUANTITY = "quantity"
    TIME = "time"
    MICRO_TIME = "microtime"
    INT_OR_STRING = "int-or-string"
    ANY = "any"  # any JSON (RawExtension, JSON, FieldsV1): kept as it is


class Presence(Enum):
    """What becomes of a field's zero value."""

    OMIT = "omit"  # by value, omitempty: zero is dropped
    KEEP = "keep"  # behind a pointer: what was given stays, only null is dropped
    ALWAYS = "always"  # without omitempty: zero is filled in
    NULL = "null"  # a list or pointer without omitempty: null when absent, an empty list stays
    RAW = "raw"  # custom resources: everything stays, null too


@dataclass(slots=True, eq=False)
class Type:
    """A node of the tree. Compared by identity; ``fields`` is filled at first use, so types may be recursive."""

    shape: Shape
    go: str = ""
    """Name in Go's error messages: ``string``, ``v1.PodSpec``, ``[]v1.Container``."""
    definition: str = ""
    """Definition name of a struct, empty for others."""
    item: Type | None = None
    """Elements of a list, values of a map."""
    bits: int = 64
    list_type: str = "atomic"
    """``atomic``, ``set`` or ``map`` (``x-kubernetes-list-type``)."""
    keys: tuple[str, ...] = ()
    """Keys of a ``map`` list, in the schema's order."""
    atomic: bool = False
    """A struct or map that is owned as a whole (``x-kubernetes-map-type: atomic``)."""
    preserve: bool = False
    """A struct of a custom resource that keeps unknown fields (``x-kubernetes-preserve-unknown-fields``)."""
    embedded: bool = False
    """A struct of a custom resource that holds a whole object (``x-kubernetes-embedded-resource``)."""
    load: Callable[[], Mapping[str, Field]] | None = None
    _fields: Mapping[str, Field] | None = None
    walk: Callable[[Any], Any] | None = None
    """A function over values of the type, compiled at first use by ``kubeling.api.apply.owned``."""

    @property
    def fields(self) -> Mapping[str, Field]:
        """Fields of a struct by JSON name, in the order they are written; empty for other shapes."""
        if self._fields is None:
            self._fields = self.load() if self.load else {}
        return self._fields

    @property
    def struct_name(self) -> str:
        """``PodSpec`` of ``v1.PodSpec``."""
        return self.go.rpartition(".")[2]


@dataclass(slots=True, eq=False)
class Field:
    """A field of a struct."""

    name: str
    type: Type
    presence: Presence
    patch_strategies: tuple[str, ...] = ()
    """``merge``, ``replace``, ``retainKeys`` of strategic merge patch."""
    merge_key: str = ""
    default: str | None = None
    """Default of a map list's key (``protocol: TCP``)."""
    required: bool = False
    """Written without ``omitempty``, whatever its value."""


ANY = Type(Shape.ANY, go="interface {}")
DEDUCED = Type(Shape.ANY, go="interface {}", preserve=True)
"""What a custom resource's schema says nothing about: maps are owned field by field, all else as a whole."""
