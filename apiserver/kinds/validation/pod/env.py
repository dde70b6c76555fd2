"""Validation of environment variables and their sources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.kinds.validation.common import dns_subdomain, local_non_reserved_path, named
from apiserver.kinds.validation.pod.downward import ENV_FIELDS, validate_field_ref, validate_resource_ref
from kubeling.api import fields, names
from kubeling.api.fields import ErrorList, Path

_ONE_SOURCE = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
_TOO_MANY = "may not have more than one field specified at a time"


def validate_env(variables: list[Mapping[str, Any]], path: Path) -> ErrorList:
    errors: ErrorList = []
    for i, variable in enumerate(variables):
        at, name = path.index(i), variable.get("name") or ""
        if not name:
            errors.append(fields.required(at.child("name")))
        else:
            errors += named(name, at.child("name"), names.is_env_var_name)
        if variable.get("valueFrom") is not None:
            errors += _validate_value_from(variable, at.child("valueFrom"))
    return errors


def _validate_value_from(variable: Mapping[str, Any], path: Path) -> ErrorList:
    source = variable["valueFrom"]
    errors: ErrorList = []
    if source.get("fieldRef") is not None:
        errors += validate_field_ref(source["fieldRef"], ENV_FIELDS, path.child("fieldRef"))
    if source.get("resourceFieldRef") is not None:
        errors += validate_resource_ref(source["resourceFieldRef"], path.child("resourceFieldRef"), volume=False)
    for field in ("configMapKeyRef", "secretKeyRef"):
        if source.get(field) is not None:
            errors += _validate_key_ref(source[field], path.child(field))
    if source.get("fileKeyRef") is not None:
        errors += _validate_file_key(source["fileKeyRef"], path.child("fileKeyRef"))
    chosen = sum(value is not None for value in source.values())
    if not chosen:
        errors.append(fields.invalid(path, "", _ONE_SOURCE))
    elif variable.get("value"):
        errors.append(fields.invalid(path, "", "may not be specified when `value` is not empty"))
    elif chosen > 1:
        errors.append(fields.invalid(path, "", _TOO_MANY))
    return errors


def _validate_key_ref(ref: Mapping[str, Any], path: Path) -> ErrorList:
    errors = dns_subdomain(ref.get("name") or "", path.child("name"))
    key = ref.get("key") or ""
    if not key:
        return [*errors, fields.required(path.child("key"))]
    return errors + named(key, path.child("key"), names.is_config_map_key)


def _validate_file_key(ref: Mapping[str, Any], path: Path) -> ErrorList:
    errors: ErrorList = []
    key, volume, target = ref.get("key") or "", ref.get("volumeName") or "", ref.get("path") or ""
    errors += named(key, path.child("key"), names.is_env_var_name) if key else [fields.required(path.child("key"))]
    if not volume:
        errors.append(fields.required(path.child("volumeName")))
    if not target:
        errors.append(fields.required(path.child("path")))
    else:
        errors += local_non_reserved_path(target, path.child("path"))
    return errors


def validate_file_volumes(spec: Mapping[str, Any], path: Path) -> ErrorList:
    """Variables may come from files in emptyDir volumes of the pod only."""
    volumes = {v.get("name") or "": v for v in spec.get("volumes") or ()}
    errors: ErrorList = []
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for i, container in enumerate(spec.get(field) or ()):
            for j, variable in enumerate(container.get("env") or ()):
                ref = (variable.get("valueFrom") or {}).get("fileKeyRef")
                if not ref or not (name := ref.get("volumeName")):
                    continue
                at = path.child(field).index(i).child("env").index(j).child("valueFrom", "fileKeyRef", "volumeName")
                if name not in volumes:
                    errors.append(fields.not_found(at, name))
                elif volumes[name].get("emptyDir") is None:
                    errors.append(fields.invalid(at, name, "referenced volume must be of type emptyDir"))
    return errors


def validate_env_from(sources: list[Mapping[str, Any]], path: Path) -> ErrorList:
    errors: ErrorList = []
    for i, source in enumerate(sources):
        at, chosen = path.index(i), 0
        if source.get("prefix"):
            errors += named(source["prefix"], at.child("prefix"), names.is_env_var_name)
        for field in ("configMapRef", "secretRef"):
            if source.get(field) is None:
                continue
            chosen += 1
            name, name_path = source[field].get("name") or "", at.child(field, "name")
            errors += dns_subdomain(name, name_path) if name else [fields.required(name_path)]
        if not chosen:
            errors.append(fields.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif chosen > 1:
            errors.append(fields.invalid(path, "", _TOO_MANY))
    return errors
