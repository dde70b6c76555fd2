"""Validation of volume mounts and block devices of a container."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.kinds.validation.common import local_descending_path
from apiserver.kinds.validation.pod.volumes import Volumes
from kubeling.api import fields
from kubeling.api.fields import ErrorList, Path

_PROPAGATION = frozenset({"Bidirectional", "HostToContainer", "None"})
_RECURSIVE = frozenset({"Disabled", "IfPossible", "Enabled"})


def validate_mounts(container: Mapping[str, Any], volumes: Volumes, path: Path) -> ErrorList:
    devices = {d.get("name") or "": d.get("devicePath") or "" for d in container.get("volumeDevices") or ()}
    errors: ErrorList = []
    seen: set[str] = set()
    for i, mount in enumerate(container.get("volumeMounts") or ()):
        at, name, target = path.index(i), mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            errors.append(fields.required(at.child("name")))
        if name not in volumes:
            errors.append(fields.not_found(at.child("name"), name))
        if not target:
            errors.append(fields.required(at.child("mountPath")))
        if target in seen:
            errors.append(fields.invalid(at.child("mountPath"), target, "must be unique"))
        seen.add(target)
        if name in devices:
            errors.append(fields.invalid(at.child("name"), name, "must not already exist in volumeDevices"))
        if target in devices.values():
            detail = "must not already exist as a path in volumeDevices"
            errors.append(fields.invalid(at.child("mountPath"), target, detail))
        errors += _validate_sub_paths(mount, volumes.get(name), at, path)
        errors += _validate_propagation(mount, container, path.child("mountPropagation"))
        errors += _validate_recursive(mount, path.child("recursiveReadOnly"))
    return errors


def _validate_sub_paths(mount: Mapping[str, Any], volume: Mapping[str, Any] | None, at: Path, path: Path) -> ErrorList:
    """Upstream's errors about the syntax of a sub path name the list of mounts, not the mount."""
    errors: ErrorList = []
    plain, expression = mount.get("subPath") or "", mount.get("subPathExpr") or ""
    if plain:
        errors += local_descending_path(plain, path.child("subPath"))
    if expression:
        if plain:
            detail = "subPathExpr and subPath are mutually exclusive"
            errors.append(fields.invalid(at.child("subPathExpr"), expression, detail))
        errors += local_descending_path(expression, path.child("subPathExpr"))
    return errors


def _validate_propagation(mount: Mapping[str, Any], container: Mapping[str, Any], path: Path) -> ErrorList:
    mode = mount.get("mountPropagation")
    if mode is None:
        return []
    errors = [] if mode in _PROPAGATION else [fields.not_supported(path, mode, _PROPAGATION)]
    if mode == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
        detail = "Bidirectional mount propagation is available only to privileged containers"
        errors.append(fields.forbidden(path, detail))
    return errors


def _validate_recursive(mount: Mapping[str, Any], path: Path) -> ErrorList:
    mode = mount.get("recursiveReadOnly")
    if mode is None or mode == "Disabled":
        return []
    if mode not in _RECURSIVE:
        return [fields.not_supported(path, mode, _RECURSIVE)]
    errors: ErrorList = []
    if not mount.get("readOnly"):
        errors.append(fields.forbidden(path, "may only be specified when readOnly is true"))
    if mount.get("mountPropagation") not in (None, "None"):
        detail = "may only be specified when mountPropagation is None or not specified"
        errors.append(fields.forbidden(path, detail))
    return errors


def validate_devices(container: Mapping[str, Any], volumes: Volumes, path: Path) -> ErrorList:
    mounts = {m.get("name") or "": m.get("mountPath") or "" for m in container.get("volumeMounts") or ()}
    errors: ErrorList = []
    seen_names: set[str] = set()
    seen_paths: set[str] = set()
    for i, device in enumerate(container.get("volumeDevices") or ()):
        name, target = device.get("name") or "", device.get("devicePath") or ""
        at_name, at_path = path.index(i).child("name"), path.index(i).child("devicePath")
        errors += _validate_device_volume(name, seen_names, volumes, at_name)
        if not target:
            errors.append(fields.required(at_path))
        if target in seen_paths:
            errors.append(fields.invalid(at_path, target, "must be unique"))
        if ".." in target.split("/"):
            errors.append(fields.invalid(at_path, target, "can not contain backsteps ('..')"))
        else:
            seen_paths.add(target)
        if name in mounts:
            errors.append(fields.invalid(at_name, name, "must not already exist in volumeMounts"))
        if target in mounts.values():
            errors.append(fields.invalid(at_path, target, "must not already exist as a path in volumeMounts"))
        if name:
            seen_names.add(name)
    return errors


def _validate_device_volume(name: str, seen: set[str], volumes: Volumes, path: Path) -> ErrorList:
    errors: ErrorList = []
    volume = volumes.get(name)
    if not name:
        errors.append(fields.required(path))
    if name in seen:
        errors.append(fields.invalid(path, name, "must be unique"))
    if volume is None:
        errors.append(fields.not_found(path, name))
    elif volume.get("persistentVolumeClaim") is None and volume.get("ephemeral") is None:
        detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
        errors.append(fields.invalid(path, name, detail))
    return errors
