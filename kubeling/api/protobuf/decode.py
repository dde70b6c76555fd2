"""From ``application/vnd.kubernetes.protobuf`` to the JSON form of an object.

The body is four magic bytes and a ``runtime.Unknown`` that carries apiVersion, kind and the object's own message.
Field numbers
come from ``fields.json`` (see ``scripts/protobuf_fields.py``): message to number to ``[JSON name, type, of]`` with
the types
``s`` string, ``i`` integer, ``b`` boolean, ``x`` bytes, ``d`` double, ``o`` object, ``~`` embedded object, ``[``
list, ``m`` map.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib import resources
from typing import Any

import orjson

from kubeling.api.meta import Object, rfc3339, rfc3339_micro
from kubeling.api.protobuf.wire import BYTES, ProtobufError, decode

MAGIC = b"k8s\x00"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_DEPTH = 100

Table = Mapping[str, Mapping[str, list[Any]]]


@lru_cache(maxsize=1)
def _table() -> Table:
    table: Table = orjson.loads((resources.files("kubeling.api.protobuf") / "fields.json").read_bytes())
    return table


def decode_object(body: bytes) -> Object:
    """The object with its apiVersion and kind. Raises ProtobufError; an unknown kind comes out with these two alone."""
    if not body.startswith(MAGIC):
        raise ProtobufError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    unknown = _message(body[len(MAGIC) :], "pkg.runtime.Unknown", 0)
    header = unknown.get("typeMeta") or {}
    api_version, kind = header.get("apiVersion", ""), header.get("kind", "")
    name = message_name(api_version, kind)
    raw = base64.b64decode(unknown.get("raw", ""))
    obj = _message(raw, name, 0) if name in _table() else {}
    return {"apiVersion": api_version, "kind": kind, **obj}


def message_name(api_version: str, kind: str) -> str:
    """``apps.v1.Deployment`` of ``apps/v1`` and ``Deployment``."""
    group, _, version = api_version.rpartition("/")
    name = f"{group.split('.')[0] or 'core'}.{version}.{kind}"
    return name if name in _table() else f"meta.{version}.{kind}"


def _message(data: bytes, name: str, depth: int) -> Any:
    special = _SPECIAL.get(name.rpartition(".")[2]) if name in _SPECIAL_MESSAGES else None
    if depth > _MAX_DEPTH:
        raise ProtobufError("proto: exceeded max recursion depth")
    fields = _table().get(name, {})
    found: dict[str, Any] = {}
    for number, kind, value in decode(data):
        field = fields.get(str(number))
        if field is None:
            continue
        json_name, shape = field[0], field[1]
        if shape == "[":
            found.setdefault(json_name, []).append(_value(field[2], kind, value, depth, field[2]))
        elif shape == "m":
            key, entry = _entry(value, field[2], depth)
            found.setdefault(json_name, {})[key] = entry
        elif shape == "~":
            found.update(_message(value, field[2], depth + 1))
        else:
            decoded = _value(shape, kind, value, depth, field[2] if len(field) > 2 else "")
            if decoded is not None:
                found[json_name] = decoded
    return special(found) if special else found


def _value(shape: str, kind: int, value: Any, depth: int, message: str) -> Any:
    if shape not in _SCALARS:
        return _message(_bytes(kind, value), message, depth + 1)
    if shape == "i":
        return value - (1 << 64) if value >= 1 << 63 else value
    if shape == "b":
        return bool(value)
    if shape == "d":
        return struct.unpack("<d", value)[0]
    data = _bytes(kind, value)
    return data.decode("utf-8", "replace") if shape == "s" else base64.b64encode(data).decode()


_SCALARS = frozenset("sibxd")


def _bytes(kind: int, value: Any) -> bytes:
    if kind != BYTES:
        raise ProtobufError("proto: wrong wireType")
    data: bytes = value
    return data


def _entry(data: bytes, of: list[Any], depth: int) -> tuple[str, Any]:
    """A map's entry: key 1, value 2."""
    key, value = "", None
    for number, kind, part in decode(data):
        if number == 1:
            key = _bytes(kind, part).decode("utf-8", "replace")
        elif number == 2:
            value = _value(of[0], kind, part, depth, of[1] if len(of) > 1 else "")
    if value is None:
        value = "" if of[0] in "sx" else {}
    return key, value


def _moment(found: Mapping[str, Any]) -> datetime | None:
    if not found:
        return None
    return _EPOCH + timedelta(seconds=found.get("seconds", 0), microseconds=found.get("nanos", 0) // 1000)


def _time(found: Mapping[str, Any]) -> str | None:
    moment = _moment(found)
    return rfc3339(moment) if moment else None


def _micro_time(found: Mapping[str, Any]) -> str | None:
    moment = _moment(found)
    return rfc3339_micro(moment) if moment else None


def _int_or_string(found: Mapping[str, Any]) -> int | str:
    value: int | str = found.get("strVal", "") if found.get("type") == 1 else found.get("intVal", 0)
    return value


def _raw_json(field: str) -> Callable[[Mapping[str, Any]], Any]:
    def unpacked(found: Mapping[str, Any]) -> Any:
        raw = base64.b64decode(found.get(field, ""))
        try:
            return orjson.loads(raw) if raw else None
        except orjson.JSONDecodeError:
            raise ProtobufError("raw value is no JSON") from None

    return unpacked


_SPECIAL: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "Time": _time,
    "MicroTime": _micro_time,
    "Quantity": lambda found: found.get("string", "0"),
    "IntOrString": _int_or_string,
    "RawExtension": _raw_json("raw"),
    "FieldsV1": _raw_json("Raw"),
    "ExtraValue": lambda found: found.get("items", []),
    "Verbs": lambda found: found.get("items", []),
}
_SPECIAL_MESSAGES = frozenset(
    {
        "meta.v1.Time",
        "meta.v1.MicroTime",
        "meta.v1.FieldsV1",
        "meta.v1.Verbs",
        "api.resource.Quantity",
        "util.intstr.IntOrString",
        "pkg.runtime.RawExtension",
        "authentication.v1.ExtraValue",
        "authorization.v1.ExtraValue",
        "certificates.v1.ExtraValue",
    }
)
"""Messages whose JSON is not an object of their fields."""
