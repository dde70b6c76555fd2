"""Writes kubeling/api/protobuf/fields.json: which field number of which Kubernetes message is which JSON field.

The numbers are read from the file descriptors that every Go client carries (gzipped, in its data section), and held
against the published OpenAPI definitions to find the embedded structs that JSON does not show::

    python scripts/protobuf_fields.py $(readlink -f $(command -v kubectl)) kubeling/api/protobuf/fields.json
"""

from __future__ import annotations

import json
import sys
import zlib
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2

from kubeling.api.schema.definitions import load

GZIP = b"\x1f\x8b\x08\x00"
SCALARS = {
    "TYPE_STRING": "s", "TYPE_INT32": "i", "TYPE_INT64": "i", "TYPE_BOOL": "b", "TYPE_BYTES": "x",
    "TYPE_DOUBLE": "d", "TYPE_UINT32": "i", "TYPE_UINT64": "i",
}  # fmt: skip
STABLE = {"v1", "v2"}


def descriptors(binary: bytes) -> list[Any]:
    found, at = [], binary.find(GZIP)
    while at >= 0:
        unpack = zlib.decompressobj(31)
        try:
            raw = unpack.decompress(binary[at : at + (2 << 20)])
            file = descriptor_pb2.FileDescriptorProto.FromString(raw)
        except Exception:  # noqa: BLE001 (anything may follow the magic bytes)
            file = None
        if file is not None and unpack.eof and file.name.startswith("k8s.io/api"):
            found.append(file)
        at = binary.find(GZIP, at + 1)
    return found


def short(name: str) -> str:
    """``.k8s.io.api.apps.v1.DeploymentSpec`` to ``apps.v1.DeploymentSpec``."""
    return ".".join(name.split(".")[-3:])


def properties() -> dict[str, set[str]]:
    return {short(name): set(d.get("properties", {})) for name, d in load("1.36").items()}


def field(message: Any, one: Any, known: dict[str, set[str]], name: str) -> list[Any]:
    kind = descriptor_pb2.FieldDescriptorProto.Type.Name(one.type)
    repeated = one.label == one.LABEL_REPEATED
    if kind == "TYPE_MESSAGE":
        entry = next((n for n in message.nested_type if one.type_name.endswith("." + n.name)), None)
        if entry is not None:
            value = field(entry, entry.field[1], known, "")
            return [one.name, "m", value[1:]]
        inline = name in known and known[name] and one.name not in known[name] and not repeated
        return [one.name, "~" if inline else "[" if repeated else "o", short(one.type_name)]
    return [one.name, "[" if repeated else SCALARS[kind], *([SCALARS[kind]] if repeated else [])]


def main(binary: str, target: str) -> None:
    known, messages = properties(), {}
    for file in descriptors(Path(binary).read_bytes()):
        if file.package.split(".")[-1] not in STABLE and "apimachinery" not in file.package:
            continue
        for message in file.message_type:
            name = short(f".{file.package}.{message.name}")
            messages[name] = {str(f.number): field(message, f, known, name) for f in message.field}
    Path(target).write_text(json.dumps(messages, sort_keys=True, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:3])
