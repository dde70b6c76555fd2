"""A request body to a decoded object: what upstream's codec does between the bytes and the handler.

Every failure is a StatusError 400 worded as upstream words it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from kubeling.api import fields
from kubeling.api.errors import StatusError, bad_request, invalid
from kubeling.api.fields import Path
from kubeling.api.meta import Object
from kubeling.api.schema.scalars import json_kind
from kubeling.api.schema.schemas import Decoded, ObjectSchema
from kubeling.api.schema.text import SyntaxFailure, parse_json
from kubeling.api.schema.walk import DecodeError
from kubeling.api.schema.yamltext import parse_yaml

SCHEME = "pkg/api/legacyscheme/scheme.go:30"
"""What upstream's errors call the registry of built-in kinds."""

_SUMMARY_BYTES = 30
_HEADER_TYPE = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
_YAML_ERRORS = "yaml: unmarshal errors:\n  "

_INTERNAL_PACKAGES = {
    "": "core",
    "rbac.authorization.k8s.io": "rbac",
    "events.k8s.io": "core",
    "internal.apiserver.k8s.io": "apiserverinternal",
}


class GVK(NamedTuple):
    """Group, version and kind."""

    group: str
    version: str
    kind: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


class Registered(Protocol):
    """Knows the kinds that are registered beside the one expected (``Schemas``)."""

    def has(self, group: str, version: str, kind: str) -> bool: ...
    def of(self, group: str, version: str, kind: str) -> ObjectSchema: ...


@dataclass(slots=True)
class Body:
    """The decoded object, with ``kind`` and ``apiVersion`` set, and the warnings for the client."""

    obj: Object
    warnings: list[str] = field(default_factory=list)


def decode_body(
    body: bytes,
    expected: GVK,
    schema: ObjectSchema,
    registered: Registered,
    *,
    yaml: bool = False,
    field_validation: str = "Warn",
) -> Body:
    """The object of a create or update request.

    ``field_validation`` is ``Strict``, ``Warn`` or ``Ignore`` (other values are refused before). A body without kind or
    version is taken as ``expected``.
    """
    value, repeated = _parse(body, expected.kind, yaml=yaml, duplicates=field_validation != "Ignore")
    if schema.declared:
        check_declared(value, expected, body)
    actual = actual_kind(value, expected, body)
    try:
        decoded = decode_as(value, actual, expected, schema, registered)
        strict = repeated + decoded.unknown
        if strict and field_validation == "Strict":
            raise DecodeError(strict_text(strict))
    except DecodeError as error:
        text = f'{actual.kind} in version "{actual.version}" cannot be handled as a {expected.kind}: {error}'
        raise bad_request(text) from None
    if actual[:2] != expected[:2]:
        raise bad_request(
            f"the API version in the data ({actual.api_version}) does not match the expected API version "
            f"({expected.api_version})"
        )
    return Body(
        {**decoded.obj, "kind": expected.kind, "apiVersion": expected.api_version},
        strict_warnings(strict) if field_validation == "Warn" else [],
    )


def check_declared(value: Any, expected: GVK, body: bytes) -> None:
    """A custom resource says itself what it is. Raises StatusError 400, or 422 for another kind of the same version."""
    if not isinstance(value, dict):
        return
    api_version, kind = value.get("apiVersion") or "", value.get("kind") or ""
    if not kind:
        raise _unrecognized(expected.kind, f"Object 'Kind' is missing in '{body.decode(errors='replace')}'", body)
    if api_version != expected.api_version:
        raise bad_request(
            f"the API version in the data ({api_version}) does not match the expected API version "
            f"({expected.api_version})"
        )
    if kind != expected.kind:
        metadata = value.get("metadata")
        name = metadata.get("name") or "" if isinstance(metadata, dict) else ""
        raise invalid(expected.group, str(kind), name, [fields.invalid(Path("kind"), kind, f"must be {expected.kind}")])


def strict_text(errors: Sequence[str]) -> str:
    """``strict decoding error: unknown field "a", unknown field "b"``."""
    return "strict decoding error: " + ", ".join(errors)


def strict_warnings(errors: Sequence[str]) -> list[str]:
    """Strict errors as Warning headers carry them: YAML's lists of errors are taken apart."""
    warnings: list[str] = []
    for text in errors:
        bare = text.removeprefix("error converting YAML to JSON: ").removeprefix("yaml: unmarshal errors:\n")
        warnings.extend([line.strip() for line in bare.split("\n") if line.strip()] if bare != text else [text])
    return warnings


def repeated_keys_text(lines: Sequence[str]) -> str:
    """The one error that YAML's parser makes of all repeated keys."""
    return _YAML_ERRORS + "\n  ".join(lines)


def _parse(body: bytes, kind: str, *, yaml: bool, duplicates: bool) -> tuple[Any, list[str]]:
    try:
        if yaml:
            value, lines = parse_yaml(body)
            return value, [repeated_keys_text(lines)] if lines and duplicates else []
        return parse_json(body, duplicates=duplicates)
    except SyntaxFailure as failure:
        prefix = "" if yaml else "couldn't get version/kind; json parse error: "
        raise _unrecognized(kind, f"{prefix}{failure}", body) from None


def _unrecognized(kind: str, why: str, body: bytes) -> StatusError:
    shown = body[:_SUMMARY_BYTES]
    text = shown.decode("utf-8", errors="replace") if body[:1] == b"{" else shown.hex()
    summary = (text + " ..." if len(body) > _SUMMARY_BYTES else text) or "<empty>"
    return bad_request(f"the object provided is unrecognized (must be of type {kind}): {why} ({summary})")


def actual_kind(value: Any, expected: GVK, body: bytes) -> GVK:
    """Which kind the body says it is, the expected one filling the gaps. Raises StatusError when it is no object."""
    if value is None:
        return expected
    if not isinstance(value, dict):
        why = f"json: cannot unmarshal {json_kind(value)} into Go value of type {_HEADER_TYPE}"
        raise _unrecognized(expected.kind, f"couldn't get version/kind; json parse error: {why}", body)
    for name in ("apiVersion", "kind"):
        given = value.get(name)
        if given is not None and not isinstance(given, str):
            why = f"json: cannot unmarshal {json_kind(given)} into Go struct field .{name} of type string"
            raise _unrecognized(expected.kind, f"couldn't get version/kind; json parse error: {why}", body)
    api_version, kind = value.get("apiVersion") or "", value.get("kind") or expected.kind
    if not api_version:
        return GVK(expected.group, expected.version, kind)
    if api_version.count("/") > 1:
        why = f"unexpected GroupVersion string: {api_version}"
        raise _unrecognized(expected.kind, f"couldn't get version/kind; json parse error: {why}", body)
    group, _, version = api_version.rpartition("/")
    if not version and group == expected.group:
        version = expected.version
    return GVK(group, version, kind)


def decode_as(value: Any, actual: GVK, expected: GVK, schema: ObjectSchema, registered: Registered) -> Decoded:
    """The decoded object, or DecodeError: of its schema, or because it is of another kind."""
    if actual == expected:
        return schema.decode(value if value is not None else {})
    return decode_other(value, actual, expected, registered)


def decode_other(value: Any, actual: GVK, expected: GVK, registered: Registered) -> Decoded:
    """A body that says it is another kind. Raises DecodeError unless it is another version of the same kind."""
    if not registered.has(*actual):
        where = f'for version "{actual.api_version}" in scheme "{SCHEME}"'
        raise DecodeError(f'no kind "{actual.kind}" is registered {where}')
    decoded = registered.of(*actual).decode(value)
    if actual.kind != expected.kind or actual.group != expected.group:
        internal = _INTERNAL_PACKAGES.get(expected.group, expected.group.split(".")[0])
        target = f"({internal}.{expected.kind})"
        raise DecodeError(f"converting ({actual.version}.{actual.kind}) to {target}: unknown conversion")
    return decoded
