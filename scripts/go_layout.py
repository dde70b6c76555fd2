"""Writes controllers/lib/podtemplate.json: the Go structs of which a pod template is made, with their fields in order.

Upstream hashes a template as Go prints it, so the hash depends on every field's name, type and place. They are read from
the type descriptors that every Go program carries; ``LATER`` adds what Kubernetes 1.36 has and kubectl 1.33 has not::

    python scripts/go_layout.py KUBECTL_1.33 controllers/lib/podtemplate.json
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

KINDS = {
    17: "array",
    18: "chan",
    19: "func",
    20: "interface",
    21: "map",
    22: "pointer",
    23: "slice",
    24: "string",
    25: "struct",
}
SCALARS = {1: "bool", 5: "int32", 6: "int64", 8: "uint8", 11: "uint64"}
OPAQUE = {"v1.Time", "resource.Quantity", "intstr.IntOrString", "v1.FieldsV1"}  # printed by rules of their own
ROOT = "v1.PodTemplateSpec"

# (struct, the field before, name in Go, name in JSON, type). Source: types.go of k8s.io/api 1.34 to 1.36.
LATER = (
    ("v1.Container", "RestartPolicy", "RestartPolicyRules", "restartPolicyRules", "[]v1.ContainerRestartRule"),
    (
        "v1.EphemeralContainerCommon",
        "RestartPolicy",
        "RestartPolicyRules",
        "restartPolicyRules",
        "[]v1.ContainerRestartRule",
    ),
    ("v1.EnvVarSource", "SecretKeyRef", "FileKeyRef", "fileKeyRef", "*v1.FileKeySelector"),
    ("v1.PodSpec", "Resources", "HostnameOverride", "hostnameOverride", "*string"),
    ("v1.PodSpec", "HostnameOverride", "SchedulingGroup", "schedulingGroup", "*v1.PodSchedulingGroup"),
    ("v1.VolumeProjection", "ClusterTrustBundle", "PodCertificate", "podCertificate", "*v1.PodCertificateProjection"),
)
NEW = {
    "v1.ContainerRestartRule": [
        ["Action", "action", "v1.ContainerRestartRuleAction"],
        ["ExitCodes", "exitCodes", "*v1.ContainerRestartRuleOnExitCodes"],
    ],
    "v1.ContainerRestartRuleOnExitCodes": [
        ["Operator", "operator", "v1.ContainerRestartRuleOnExitCodesOperator"],
        ["Values", "values", "[]int32"],
    ],
    "v1.FileKeySelector": [
        ["VolumeName", "volumeName", "string"],
        ["Path", "path", "string"],
        ["Key", "key", "string"],
        ["Optional", "optional", "*bool"],
    ],
    "v1.PodSchedulingGroup": [["PodGroupName", "podGroupName", "*string"]],
    "v1.PodCertificateProjection": [
        ["SignerName", "signerName", "string"],
        ["KeyType", "keyType", "string"],
        ["MaxExpirationSeconds", "maxExpirationSeconds", "*int32"],
        ["CredentialBundlePath", "credentialBundlePath", "string"],
        ["KeyPath", "keyPath", "string"],
        ["CertificateChainPath", "certificateChainPath", "string"],
        ["UserAnnotations", "userAnnotations", "map[string]string"],
    ],
}
NEW_NAMES = {"v1.ContainerRestartRuleAction": "string", "v1.ContainerRestartRuleOnExitCodesOperator": "string"}

Layout = dict[str, dict[str, object]]


class Binary:
    """An ELF file made by Go (1.20 or later, 64 bits, little endian)."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        start = struct.unpack_from("<Q", data, 0x28)[0]
        size, count, names = struct.unpack_from("<HHH", data, 0x3A)
        self._sections: list[tuple[int, ...]] = [
            struct.unpack_from("<IIQQQQ", data, start + i * size) for i in range(count)
        ]
        at = self._sections[names][4]
        named = {self._text(at + s[0]): s for s in self._sections}
        self._types = named[".rodata"][3]
        links = named[".typelink"]
        self._links = struct.unpack_from(f"<{links[5] // 4}i", data, links[4])

    def _text(self, at: int) -> str:
        return self._data[at : self._data.index(b"\0", at)].decode()

    def _read(self, form: str, address: int) -> tuple[int, ...]:
        return struct.unpack_from("<" + form, self._data, self._offset(address))

    def _offset(self, address: int) -> int:
        for _, kind, _, start, offset, size in self._sections:
            if start and start <= address < start + size and kind != 8:
                return address - start + offset
        raise KeyError(hex(address))

    def _word(self, at: int) -> tuple[str, int]:
        length = shift = 0
        while True:
            byte = self._data[at]
            at, length, shift = at + 1, length | (byte & 0x7F) << shift, shift + 7
            if not byte & 0x80:
                return self._data[at : at + length].decode(), at + length

    def name(self, address: int) -> tuple[str, str]:
        """(name, tag) of a field or type."""
        at = self._offset(address)
        text, end = self._word(at + 1)
        return text, self._word(end)[0] if self._data[at] & 2 else ""

    def type(self, address: int) -> tuple[str, str]:
        """(kind, name)."""
        *_, flags, _, _, kind, _, _, text, _ = self._read("QQIBBBBQQii", address)
        name = self.name(self._types + text)[0]
        return {**KINDS, **SCALARS}.get(kind & 31, "other"), name[1:] if flags & 2 else name

    def inner(self, address: int) -> tuple[int, ...]:
        return self._read("QQQQ", address + 48)

    def fields(self, address: int) -> list[tuple[str, str, int]]:
        """(name, tag, type) of a struct's fields."""
        _, first, count, _ = self.inner(address)
        found = [self._read("QQ", first + 24 * i) for i in range(count)]
        return [(*self.name(name), type_) for name, type_ in found]

    def pointer_to(self, name: str) -> int:
        found = (self._types + link for link in self._links)
        return next(address for address in found if self.type(address)[1] == f"*{name}")


def json_name(name: str, tag: str) -> str:
    """The field's name in JSON; empty for an embedded struct, whose fields are its own."""
    text = tag.partition('json:"')[2].partition('"')[0]
    return text.partition(",")[0]


def layout(binary: Binary) -> Layout:
    made: Layout = {"structs": {}, "named": {}}

    def visit(address: int) -> str:
        kind, name = binary.type(address)
        if name in OPAQUE or name in made["structs"] or name in made["named"]:
            return name
        if kind == "struct":
            fields: list[list[str]] = []
            made["structs"][name] = fields
            fields += [[n, json_name(n, tag), visit(t)] for n, tag, t in binary.fields(address)]
            return name
        below = {"pointer": "*{}", "slice": "[]{}"}.get(kind)
        plain = below.format(visit(binary.inner(address)[0])) if below else kind
        if kind == "map":
            key, value, *_ = binary.inner(address)
            plain = f"map[{visit(key)}]{visit(value)}"
        if plain != name:
            made["named"][name] = plain
        return name

    visit(binary.inner(binary.pointer_to(ROOT))[0])
    return made


def main() -> None:
    made = layout(Binary(Path(sys.argv[1]).read_bytes()))
    for owner, before, name, told, type_ in LATER:
        fields = made["structs"][owner]
        assert isinstance(fields, list)
        fields.insert(1 + [f[0] for f in fields].index(before), [name, told, type_])
    made["structs"].update(NEW)
    made["named"].update(NEW_NAMES)
    lines = [f'"{name}": {json.dumps(fields)}' for name, fields in sorted(made["structs"].items())]
    named = [f'"{name}": "{type_}"' for name, type_ in sorted(made["named"].items())]
    text = '{"structs": {\n%s\n}, "named": {\n%s\n}}\n' % (",\n".join(lines), ",\n".join(named))  # noqa: UP031 (braces)
    Path(sys.argv[2]).write_text(text)


if __name__ == "__main__":
    main()
