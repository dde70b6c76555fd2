"""Validation of a pod's volumes: names, exactly one source, and the common sources.

The sources of vendors' storage are in ``storage_volumes``. Source: pkg/apis/core/validation (ValidateVolumes).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from apiserver.kinds.validation.claims import validate_claim_template
from apiserver.kinds.validation.common import (
    dns_label,
    local_descending_path,
    no_backsteps,
    one_of,
    require,
)
from apiserver.kinds.validation.pod import storage_volumes
from apiserver.kinds.validation.pod.downward import FILE_MODE_ERROR, bad_mode, validate_downward_file
from apiserver.kinds.validation.pod.projected import validate_key_to_path, validate_projected
from kubeling.api import fields, names, quantity
from kubeling.api.fields import ErrorList, Path

Source = Mapping[str, Any]
Volumes = Mapping[str, Source]
"""The valid volumes of a pod by name: what mounts and devices may refer to."""

PULL_POLICIES = frozenset({"Always", "IfNotPresent", "Never"})
HOST_PATH_TYPES = frozenset(
    {"", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice"}
)


def validate_volumes(
    volumes: list[Source], path: Path, *, pod_name: str = "", is_pod: bool = False
) -> tuple[dict[str, Source], ErrorList]:
    """The usable volumes by name, and all errors. ``pod_name`` is known for pods only."""
    errors: ErrorList = []
    found: dict[str, Source] = {}
    created = {f"{pod_name}-{v.get('name', '')}" for v in volumes if pod_name and v.get("ephemeral") is not None}
    for i, volume in enumerate(volumes):
        at, name = path.index(i), volume.get("name") or ""
        own = _validate_source(volume, at, name, pod_name, is_pod)
        own += dns_label(name, at.child("name")) if name else [fields.required(at.child("name"))]
        if name in found:
            own.append(fields.duplicate(at.child("name"), name))
        if not own:
            found[name] = volume
        errors += own
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if claim in created:
            detail = "must not reference a PVC that gets created for an ephemeral volume"
            errors.append(fields.invalid(at.child("persistentVolumeClaim", "claimName"), claim, detail))
    return found, errors


def _validate_source(volume: Source, path: Path, name: str, pod_name: str, is_pod: bool) -> ErrorList:
    errors: ErrorList = []
    chosen = False
    for field, (check, error_field) in SOURCES.items():
        source = volume.get(field)
        if source is None:
            continue
        if chosen:
            errors.append(fields.forbidden(path.child(error_field), "may not specify more than 1 volume type"))
        else:
            chosen = True
            at = path.child("persistentDisk" if field == "gcePersistentDisk" else field)
            errors += _validate_image(source, at, is_pod) if field == "image" else check(source, at)
            if field == "ephemeral":
                errors += _validate_claim_name(pod_name, name, path.child("name"))
        if field == "iscsi":
            errors += storage_volumes.validate_iscsi_name(source, name, path.child("name"))
    if not chosen:
        errors.append(fields.required(path, "must specify a volume type"))
    return errors


def _validate_claim_name(pod_name: str, name: str, path: Path) -> ErrorList:
    if not pod_name or not name:
        return []
    claim = f"{pod_name}-{name}"
    return [fields.invalid(path, name, f'PVC name "{claim}": {m}') for m in names.is_dns1123_subdomain(claim)]


def _validate_empty_dir(source: Source, path: Path) -> ErrorList:
    limit = source.get("sizeLimit")
    if limit is not None and quantity.parse(limit).value < 0:
        return [fields.forbidden(path.child("sizeLimit"), "SizeLimit field must be a valid resource quantity")]
    return []


def validate_host_path(source: Source, path: Path) -> ErrorList:
    if not source.get("path"):
        return [fields.required(path.child("path"))]
    errors = no_backsteps(source["path"], path.child("path"))
    kind = source.get("type")
    if kind is not None and kind not in HOST_PATH_TYPES:
        errors.append(fields.not_supported(path.child("type"), kind, HOST_PATH_TYPES))
    return errors


def _validate_keys(source: Source, path: Path) -> ErrorList:
    """What Secret and ConfigMap volumes share: the mode and the chosen keys."""
    errors: ErrorList = []
    mode = source.get("defaultMode")
    if bad_mode(mode):
        errors.append(fields.invalid(path.child("defaultMode"), mode, FILE_MODE_ERROR))
    for i, item in enumerate(source.get("items") or ()):
        errors += validate_key_to_path(item, path.child("items").index(i))
    return errors


def _validate_secret(source: Source, path: Path) -> ErrorList:
    return require(source, path, "secretName") + _validate_keys(source, path)


def _validate_config_map(source: Source, path: Path) -> ErrorList:
    return require(source, path, "name") + _validate_keys(source, path)


def _validate_claim(source: Source, path: Path) -> ErrorList:
    return require(source, path, "claimName")


def _validate_downward(source: Source, path: Path) -> ErrorList:
    errors: ErrorList = []
    mode = source.get("defaultMode")
    if bad_mode(mode):
        errors.append(fields.invalid(path.child("defaultMode"), mode, FILE_MODE_ERROR))
    for item in source.get("items") or ():
        errors += validate_downward_file(item, path)
    return errors


def _validate_ephemeral(source: Source, path: Path) -> ErrorList:
    at = path.child("volumeClaimTemplate")
    template = source.get("volumeClaimTemplate")
    return [fields.required(at)] if template is None else validate_claim_template(template, at)


def _validate_image(source: Source, path: Path, is_pod: bool) -> ErrorList:
    errors = require(source, path, "reference") if is_pod else []
    return errors + one_of(source.get("pullPolicy"), path.child("pullPolicy"), PULL_POLICIES)


def _validate_git_repo(source: Source, path: Path) -> ErrorList:
    errors = require(source, path, "repository")
    return errors + local_descending_path(source.get("directory") or "", path.child("directory"))


SOURCES: Mapping[str, tuple[Callable[[Source, Path], ErrorList], str]] = {
    "emptyDir": (_validate_empty_dir, "emptyDir"),
    "hostPath": (validate_host_path, "hostPath"),
    "gitRepo": (_validate_git_repo, "gitRepo"),
    "gcePersistentDisk": (storage_volumes.validate_gce_disk, "gcePersistentDisk"),
    "awsElasticBlockStore": (storage_volumes.validate_aws_disk, "awsElasticBlockStore"),
    "secret": (_validate_secret, "secret"),
    "nfs": (storage_volumes.validate_nfs, "nfs"),
    "iscsi": (storage_volumes.validate_iscsi, "iscsi"),
    "glusterfs": (storage_volumes.validate_glusterfs, "glusterfs"),
    "flocker": (storage_volumes.validate_flocker, "flocker"),
    "persistentVolumeClaim": (_validate_claim, "persistentVolumeClaim"),
    "rbd": (storage_volumes.validate_rbd, "rbd"),
    "cinder": (storage_volumes.validate_cinder, "cinder"),
    "cephfs": (storage_volumes.validate_cephfs, "cephFS"),
    "quobyte": (storage_volumes.validate_quobyte, "quobyte"),
    "downwardAPI": (_validate_downward, "downwarAPI"),
    "fc": (storage_volumes.validate_fc, "fc"),
    "flexVolume": (storage_volumes.validate_flex, "flexVolume"),
    "configMap": (_validate_config_map, "configMap"),
    "azureFile": (storage_volumes.validate_azure_file, "azureFile"),
    "vsphereVolume": (storage_volumes.validate_vsphere, "vsphereVolume"),
    "photonPersistentDisk": (storage_volumes.validate_photon, "photonPersistentDisk"),
    "portworxVolume": (storage_volumes.validate_portworx, "portworxVolume"),
    "azureDisk": (storage_volumes.validate_azure_disk, "azureDisk"),
    "storageos": (storage_volumes.validate_storageos, "storageos"),
    "projected": (validate_projected, "projected"),
    "scaleIO": (storage_volumes.validate_scale_io, "scaleIO"),
    "csi": (storage_volumes.validate_csi, "csi"),
    "ephemeral": (_validate_ephemeral, "ephemeral"),
    "image": (lambda source, path: _validate_image(source, path, False), "image"),
}
"""Every source in upstream's order: its validator, and how upstream spells the field when it is one too many."""
