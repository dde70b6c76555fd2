from __future__ import annotations

import pytest

from kubeling.api.protobuf import MAGIC, ProtobufError, decode_object, wire


def field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2, len(data)]) + data


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    header = field(1, api_version.encode()) + field(2, kind.encode())
    return MAGIC + field(1, header) + field(2, raw)


def test_an_object_comes_out_as_json_would_have_it() -> None:
    metadata = field(1, b"c") + field(3, b"ns") + field(11, field(1, b"app") + field(2, b"web")) + field(8, b"")
    raw = field(1, metadata) + field(2, field(1, b"k") + field(2, b"v")) + bytes([4 << 3, 1])
    assert decode_object(envelope("v1", "ConfigMap", raw)) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c", "namespace": "ns", "labels": {"app": "web"}},
        "data": {"k": "v"},
        "immutable": True,
    }


def test_embedded_structs_and_special_types() -> None:
    source = field(3, field(1, b""))  # volumeSource.emptyDir.medium
    volume = field(1, b"v") + field(2, source)
    raw = field(2, field(1, volume))
    assert decode_object(envelope("v1", "Pod", raw))["spec"]["volumes"][0]["name"] == "v"
    port = bytes([3 << 3, 80]) + field(4, bytes([1 << 3, 0, 2 << 3, 81]))
    service = decode_object(envelope("v1", "Service", field(2, field(1, port))))
    assert service["spec"]["ports"] == [{"port": 80, "targetPort": 81}]


@pytest.mark.parametrize("body", [b"k8s\x00abc", b"{}", MAGIC + b"\x0a\xff"])
def test_what_is_no_message(body: bytes) -> None:
    with pytest.raises(ProtobufError):
        decode_object(body)


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 1 << 40])
def test_numbers_go_over_the_wire(number: int) -> None:
    message = wire.varint(5 << 3 | wire.VARINT) + wire.varint(number) + wire.block(6, b"x" * 200)
    assert list(wire.decode(message)) == [(5, wire.VARINT, number), (6, wire.BYTES, b"x" * 200)]


def test_empty_values_are_left_out() -> None:
    fields: list[tuple[int, bytes | str | bool]] = [(1, ""), (2, False), (3, True), (4, "ä"), (5, b"")]
    assert list(wire.decode(wire.encode(fields))) == [(3, wire.VARINT, 1), (4, wire.BYTES, "ä".encode())]
