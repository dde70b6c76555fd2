"""CEL's types, and how cel-go writes them in its messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Type:
    """A type: its kind (``int``, ``list``, ``object``, ``opaque``, ``param``, ...), its name if it has one, its parameters.

    ``fields`` are an object's: CEL names to types; None where the object takes any field.
    """

    kind: str
    name: str = ""
    params: tuple[Type, ...] = ()
    fields: Mapping[str, Type] | None = field(default=None, compare=False, hash=False)

    def __str__(self) -> str:
        return _format(self)


DYN = Type("dyn")
ERROR = Type("error")
NULL = Type("null_type")
BOOL = Type("bool")
INT = Type("int")
UINT = Type("uint")
DOUBLE = Type("double")
STRING = Type("string")
BYTES = Type("bytes")
TIMESTAMP = Type("google.protobuf.Timestamp")
DURATION = Type("google.protobuf.Duration")
A, B = Type("param", "A"), Type("param", "B")


IP, CIDR, URL = Type("opaque", "net.IP"), Type("opaque", "net.CIDR"), Type("opaque", "kubernetes.URL")
QUANTITY, SEMVER = Type("opaque", "kubernetes.Quantity"), Type("opaque", "kubernetes.Semver")
FORMAT = Type("opaque", "kubernetes.NamedFormat")


def list_of(element: Type) -> Type:
    return Type("list", "", (element,))


def map_of(key: Type, value: Type) -> Type:
    return Type("map", "", (key, value))


def type_of(inner: Type) -> Type:
    return Type("type", "", (inner,))


def opaque(name: str, *params: Type) -> Type:
    return Type("opaque", name, params)


def optional_of(inner: Type) -> Type:
    return opaque("optional_type", inner)


def object_type(name: str, fields: Mapping[str, Type] | None) -> Type:
    return Type("object", name, (), fields)


def is_optional(t: Type) -> bool:
    return t.kind == "opaque" and t.name == "optional_type"


def _format(t: Type) -> str:
    if t.kind in ("object", "param") or (t.kind == "opaque" and not t.params):
        return t.name
    if t.kind == "opaque":
        return f"{t.name}({', '.join(map(_format, t.params))})"
    if t.params:
        return f"{t.kind}({', '.join(map(_format, t.params))})"
    return {"error": "!error!", "null_type": "null"}.get(t.kind, t.kind)


def output_name(t: Type) -> str:
    """How Go prints the type itself, which differs from the checker's messages for null alone."""
    return "null_type" if t.kind == "null_type" else str(t)
