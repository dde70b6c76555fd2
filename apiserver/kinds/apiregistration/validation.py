"""Validation of APIService (kube-aggregator's pkg/apis/apiregistration/validation)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeling.api import names
from kubeling.api.fields import ErrorList, Path, invalid, required

MAX_GROUP_PRIORITY = 20000
MAX_VERSION_PRIORITY = 1000


def validate_api_service(obj: Mapping[str, Any]) -> ErrorList:
    spec, path = obj.get("spec", {}), Path("spec")
    group, version = spec.get("group", ""), spec.get("version", "")
    errors: ErrorList = []
    if names.is_path_segment_name(obj.get("metadata", {}).get("name", "")):
        return []  # told of already, and upstream says no more about such an object
    wanted, name = f"{version}.{group}", obj.get("metadata", {}).get("name", "")
    if name != wanted:
        why = f'must be `spec.version+"."+spec.group`: "{wanted}"'
        errors.append(invalid(Path("metadata", "name"), name, why))
    if group:
        errors += [invalid(path.child("group"), group, m) for m in names.is_dns1123_subdomain(group)]
    elif version != "v1":
        errors += [required(path.child("group"), "only v1 may have an empty group and it better be legacy kube")]
    errors += [invalid(path.child("version"), version, m) for m in names.is_dns1035_label(version)]
    errors += _priority(spec, path.child("groupPriorityMinimum"), MAX_GROUP_PRIORITY)
    errors += _priority(spec, path.child("versionPriority"), MAX_VERSION_PRIORITY)
    if spec.get("service") is None:
        if spec.get("caBundle"):
            errors.append(
                invalid(
                    path.child("caBundle"),
                    f"{len(spec['caBundle'])} bytes",
                    "local APIServices may not have a caBundle",
                )
            )
        if spec.get("insecureSkipTLSVerify"):
            why = "local APIServices may not have insecureSkipTLSVerify"
            errors.append(invalid(path.child("insecureSkipTLSVerify"), True, why))
        return errors
    errors += _service(spec["service"], path.child("service"))
    if spec.get("insecureSkipTLSVerify") and spec.get("caBundle"):
        errors.append(invalid(path.child("insecureSkipTLSVerify"), True, "may not be true if caBundle is present"))
    return errors


def _priority(spec: Mapping[str, Any], path: Path, limit: int) -> ErrorList:
    value = spec.get(str(path).rpartition(".")[2], 0)
    if 0 < value <= limit:
        return []
    return [invalid(path, value, f"must be positive and less than {limit}")]


def _service(service: Mapping[str, Any], path: Path) -> ErrorList:
    errors = [required(path.child(f)) for f in ("namespace", "name") if not service.get(f)]
    port = service.get("port", 443)
    errors += [invalid(path.child("port"), port, "port is not valid: " + m) for m in names.is_port_number(port)]
    return errors
