"""Fields of the pod and of its containers that environment variables and volumes may refer to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from apiserver.kinds.validation.common import local_non_reserved_path, qualified_name, require
from kubeling.api import fields, quantity
from kubeling.api.fields import ErrorList, Path

FILE_MODE_ERROR = "must be a number between 0 and 0777 (octal), both inclusive"
ENV_FIELDS = frozenset(
    {
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.nodeName",
        "spec.serviceAccountName",
        "status.hostIP",
        "status.hostIPs",
        "status.podIP",
        "status.podIPs",
    }
)
VOLUME_FIELDS = frozenset(
    {"metadata.name", "metadata.namespace", "metadata.labels", "metadata.annotations", "metadata.uid"}
)
_CONVERTIBLE = ENV_FIELDS | VOLUME_FIELDS | {"spec.restartPolicy", "spec.schedulerName", "status.phase"}
_RESOURCES = frozenset(f"{a}.{b}" for a in ("limits", "requests") for b in ("cpu", "memory", "ephemeral-storage"))
_HUGE = ("requests.hugepages-", "limits.hugepages-")
_BYTE_DIVISORS = ("1", *(f"1{s}" for s in ("k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")))
_SUBSCRIPT = re.compile(r"(.*)\['(.*)'\]", re.S)


def bad_mode(mode: int | None) -> bool:
    return mode is not None and not 0 <= mode <= 0o777


def validate_field_ref(ref: Mapping[str, Any], expressions: frozenset[str], path: Path) -> ErrorList:
    """An ``ObjectFieldSelector``."""
    version, field = ref.get("apiVersion") or "", ref.get("fieldPath") or ""
    for name, value in (("apiVersion", version), ("fieldPath", field)):
        if not value:
            return [fields.required(path.child(name))]
    problem = _conversion_error(version, field)
    if problem:
        return [fields.invalid(path.child("fieldPath"), field, f"error converting fieldPath: {problem}")]
    match = _SUBSCRIPT.fullmatch(field)
    if match:
        owner, key = match.groups()
        if owner == "metadata.annotations":
            return qualified_name(key.lower(), path)
        if owner == "metadata.labels":
            return qualified_name(key, path)
        return [fields.invalid(path, owner, "does not support subscript")]
    field = "spec.nodeName" if field == "spec.host" else field
    if field not in expressions:
        return [fields.not_supported(path.child("fieldPath"), field, expressions)]
    return []


def _conversion_error(version: str, field: str) -> str:
    if version != "v1":
        return f"unsupported pod version: {version}"
    match = _SUBSCRIPT.fullmatch(field)
    if match:
        if match.group(1) in ("metadata.annotations", "metadata.labels"):
            return ""
        return f"field label does not support subscript: {field}"
    return "" if field in _CONVERTIBLE or field == "spec.host" else f"field label not supported: {field}"


def validate_resource_ref(ref: Mapping[str, Any], path: Path, *, volume: bool) -> ErrorList:
    """A ``ResourceFieldSelector``; in a volume it must name the container."""
    errors: ErrorList = []
    resource = ref.get("resource") or ""
    if volume and not ref.get("containerName"):
        errors.append(fields.required(path.child("containerName")))
    elif not resource:
        errors.append(fields.required(path.child("resource")))
    elif resource not in _RESOURCES and not resource.startswith(_HUGE):
        errors.append(fields.not_supported(path.child("resource"), resource, _RESOURCES))
    return errors + _validate_divisor(resource, ref.get("divisor"), path.child("divisor"))


def _validate_divisor(resource: str, divisor: Any, path: Path) -> ErrorList:
    if divisor is None or quantity.parse(divisor).value == 0:
        return []
    kind = resource.partition(".")[2]
    noun = {"cpu": "cpu", "memory": "memory", "ephemeral-storage": "local ephemeral storage"}.get(kind, "hugepages")
    allowed: tuple[str, ...]
    if kind == "cpu":
        allowed, listed = ("1m", "1"), "1m and 1"
    elif resource in _RESOURCES or resource.startswith(_HUGE):
        allowed, listed = _BYTE_DIVISORS, ", ".join(_BYTE_DIVISORS)
    else:
        return []
    if quantity.canonical(divisor) in allowed:
        return []
    return [fields.invalid(path, resource, f"only divisor's values {listed} are supported with the {noun} resource")]


def validate_downward_file(item: Mapping[str, Any], path: Path) -> ErrorList:
    """A ``DownwardAPIVolumeFile``; upstream's errors name the volume, not the item."""
    errors = require(item, path, "path")
    errors += local_non_reserved_path(item.get("path") or "", path.child("path"))
    field, resource = item.get("fieldRef"), item.get("resourceFieldRef")
    if field is not None:
        errors += validate_field_ref(field, VOLUME_FIELDS, path.child("fieldRef"))
        if resource is not None:
            detail = "fieldRef and resourceFieldRef can not be specified simultaneously"
            errors.append(fields.invalid(path, "resource", detail))
    elif resource is not None:
        errors += validate_resource_ref(resource, path.child("resourceFieldRef"), volume=True)
    else:
        errors.append(fields.required(path, "one of fieldRef and resourceFieldRef is required"))
    if bad_mode(item.get("mode")):
        errors.append(fields.invalid(path.child("mode"), item["mode"], FILE_MODE_ERROR))
    return errors
