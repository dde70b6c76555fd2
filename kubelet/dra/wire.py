"""The messages that drivers speak, written by hand: a handful of strings each.

Source: api.proto of k8s.io/kubelet/pkg/apis/dra/v1 (v1beta1 has the same) and of pluginregistration/v1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kubeling.api.protobuf import wire
from kubeling.api.protobuf.wire import encode

Fields = dict[int, list[bytes]]


@dataclass(frozen=True, slots=True)
class PluginInfo:
    type: str
    name: str
    endpoint: str
    versions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClaimRef:
    namespace: str
    uid: str
    name: str


@dataclass(frozen=True, slots=True)
class PreparedDevice:
    """``requests`` empty: it serves them all."""

    requests: tuple[str, ...]
    pool: str
    device: str
    cdi: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a driver says of one claim; with an error there are no devices."""

    devices: tuple[PreparedDevice, ...] = ()
    error: str = ""


def decode(message: bytes) -> Fields:
    """The strings, bytes and messages in it, by field; numbers are skipped. Raises ProtobufError."""
    fields: Fields = {}
    for number, kind, value in wire.decode(message):
        if kind == wire.BYTES and isinstance(value, bytes):
            fields.setdefault(number, []).append(value)
    return fields


def _text(fields: Fields, number: int) -> str:
    return fields[number][-1].decode() if number in fields else ""


def _texts(fields: Fields, number: int) -> tuple[str, ...]:
    return tuple(value.decode() for value in fields.get(number, ()))


def decode_info(message: bytes) -> PluginInfo:
    fields = decode(message)
    return PluginInfo(_text(fields, 1), _text(fields, 2), _text(fields, 3), _texts(fields, 4))


def encode_status(registered: bool, error: str) -> bytes:
    return encode(((1, registered), (2, error)))


def encode_claims(claims: Iterable[ClaimRef]) -> bytes:
    """The request of both calls."""
    return encode((1, encode(((1, c.namespace), (2, c.uid), (3, c.name)))) for c in claims)


def decode_prepared(message: bytes) -> dict[str, Answer]:
    """By the claims' uids."""
    found = {}
    for uid, entry in _entries(message).items():
        fields = decode(entry)
        found[uid] = Answer(tuple(_device(decode(d)) for d in fields.get(1, ())), _text(fields, 2))
    return found


def decode_unprepared(message: bytes) -> dict[str, Answer]:
    """By the claims' uids."""
    return {uid: Answer(error=_text(decode(entry), 1)) for uid, entry in _entries(message).items()}


def _entries(message: bytes) -> Mapping[str, bytes]:
    entries = (decode(entry) for entry in decode(message).get(1, ()))
    return {_text(fields, 1): fields[2][-1] if 2 in fields else b"" for fields in entries}


def _device(fields: Fields) -> PreparedDevice:
    return PreparedDevice(_texts(fields, 1), _text(fields, 2), _text(fields, 3), _texts(fields, 4))
