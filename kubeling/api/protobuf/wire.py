"""Protobuf's wire format: numbers of variable length, and fields of a message by number. No schema, no dependency.

Source: https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class ProtobufError(ValueError):
    """The bytes are no such message; the text is that of Go's decoder."""


def varint(number: int) -> bytes:
    """``number`` is not negative."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def block(number: int, data: bytes) -> bytes:
    """A field of text, bytes or a message."""
    return varint(number << 3 | BYTES) + varint(len(data)) + data


def boolean(number: int, value: bool) -> bytes:
    return varint(number << 3 | VARINT) + b"\x01" if value else b""


def encode(fields: Iterable[tuple[int, bytes | str | bool]]) -> bytes:
    """A message; empty values are left out, as proto3 does it."""
    found = bytearray()
    for number, value in fields:
        if isinstance(value, bool):
            found += boolean(number, value)
        elif value:
            found += block(number, value.encode() if isinstance(value, str) else value)
    return bytes(found)


def decode(message: bytes) -> Iterator[tuple[int, int, Any]]:
    """Field number, wire type and value: a number for VARINT, bytes for the others. Raises ProtobufError."""
    at, end = 0, len(message)
    while at < end:
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, at = _varint(message, at)
            yield number, kind, value
            continue
        if kind == BYTES:
            size, at = _varint(message, at)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
        else:
            raise ProtobufError(f"proto: illegal wireType {kind}")
        if at + size > end:
            raise ProtobufError("unexpected EOF")
        yield number, kind, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message):
            raise ProtobufError("unexpected EOF")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ProtobufError("proto: integer overflow")
