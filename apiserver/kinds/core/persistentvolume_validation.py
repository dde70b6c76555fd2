"""Validation of PersistentVolumes (``ValidatePersistentVolumeSpec`` and ``ValidatePersistentVolumeUpdate``)."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from typing import Any

from apiserver.kinds.core.volume_diff import source_diff
from apiserver.kinds.validation.claims import VOLUME_MODES, validate_access_modes
from apiserver.kinds.validation.common import POSITIVE, dns_subdomain, no_backsteps, require
from apiserver.kinds.validation.meta import IMMUTABLE, immutable
from apiserver.kinds.validation.pod import storage_volumes as sources
from apiserver.kinds.validation.pod.volumes import validate_host_path
from apiserver.kinds.validation.selectors import validate_node_selector
from kubeling.api import fields, quantity
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object

Source = Mapping[str, Any]
SPEC = Path("spec")
RECLAIM_POLICIES = frozenset({"Delete", "Recycle", "Retain"})
_BETA_KEYS = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "beta.kubernetes.io/os": "kubernetes.io/os",
    "beta.kubernetes.io/arch": "kubernetes.io/arch",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
}
_CSI_SECRETS = (
    "controllerPublishSecretRef",
    "controllerExpandSecretRef",
    "nodePublishSecretRef",
    "nodeExpandSecretRef",
)


def _validate_csi(source: Source, path: Path) -> ErrorList:
    errors = sources.validate_csi_driver_name(source.get("driver") or "", path.child("driver"))[:1]
    if source.get("driver"):
        errors = sources.validate_csi_driver_name(source["driver"], path.child("driver"))
    errors += require(source, path, "volumeHandle")
    for field in _CSI_SECRETS:
        if source.get(field) is not None:
            errors += require(source[field], path.child(field), "name", "namespace")
    return errors


def _validate_local(source: Source, path: Path) -> ErrorList:
    if not source.get("path"):
        return [fields.required(path.child("path"))]
    return no_backsteps(source["path"], path.child("path"))


_SOURCES: tuple[tuple[str, Callable[[Source, Path], ErrorList]], ...] = (
    ("hostPath", validate_host_path),
    ("gcePersistentDisk", sources.validate_gce_disk),
    ("awsElasticBlockStore", sources.validate_aws_disk),
    ("glusterfs", sources.validate_glusterfs),
    ("flocker", sources.validate_flocker),
    ("nfs", sources.validate_nfs),
    ("rbd", sources.validate_rbd),
    ("quobyte", sources.validate_quobyte),
    ("cephfs", sources.validate_cephfs),
    ("iscsi", sources.validate_iscsi),
    ("cinder", sources.validate_cinder),
    ("fc", sources.validate_fc),
    ("flexVolume", sources.validate_flex),
    ("azureFile", sources.validate_azure_file),
    ("vsphereVolume", sources.validate_vsphere),
    ("photonPersistentDisk", sources.validate_photon),
    ("portworxVolume", sources.validate_portworx),
    ("azureDisk", sources.validate_azure_disk),
    ("scaleIO", sources.validate_scale_io),
    ("local", _validate_local),
    ("storageos", sources.validate_storageos),
    ("csi", _validate_csi),
)
SOURCE_NAMES = tuple(name for name, _ in _SOURCES)


def validate_volume(obj: Object) -> ErrorList:
    """Everything wrong with a volume, metadata apart."""
    return validate_volume_spec(obj.get("spec") or {}, SPEC)


def validate_volume_spec(spec: Source, path: Path, *, inline: bool = False) -> ErrorList:
    """A ``PersistentVolumeSpec``; ``inline``: the one inside a VolumeAttachment."""
    errors: ErrorList = []
    if inline:
        context = "may not be specified in the context of inline volumes"
        errors += [
            fields.forbidden(path.child(f), context)
            for f in ("claimRef", "capacity", "csi", "nodeAffinity", "persistentVolumeReclaimPolicy")
            if spec.get(f) and f != "csi"
        ]
        if spec.get("csi") is None:
            errors.append(fields.required(path.child("csi"), "has to be specified in the context of inline volumes"))
    modes = list(spec.get("accessModes") or ())
    if not modes:
        errors.append(fields.required(path.child("accessModes")))
    errors += validate_access_modes(modes, path.child("accessModes"))
    if not inline:
        errors += _validate_capacity(spec.get("capacity"), path.child("capacity"))
        errors += _validate_policy(spec, path)
    errors += _validate_affinity(spec.get("nodeAffinity"), path.child("nodeAffinity"))
    errors += _validate_sources(spec, path)
    errors += _validate_classes(spec, path, inline=inline)
    return errors


def _validate_capacity(capacity: Mapping[str, Any] | None, path: Path) -> ErrorList:
    errors: ErrorList = []
    if not capacity:
        errors.append(fields.required(path))
    if not capacity or "storage" not in capacity or len(capacity) > 1:
        errors.append(fields.not_supported(path, capacity or None, ["storage"]))
    for name, text in sorted((capacity or {}).items()):
        amount = quantity.parse(text)
        if amount.integer() < 0:
            errors.append(fields.invalid(path.key(name), amount.integer(), "must be a valid resource quantity"))
        if amount.value <= 0:
            errors.append(fields.invalid(path.key(name), str(amount), POSITIVE))
    return errors


def _validate_policy(spec: Source, path: Path) -> ErrorList:
    policy = spec.get("persistentVolumeReclaimPolicy")
    if not policy or policy in RECLAIM_POLICIES:
        return []
    return [fields.not_supported(path.child("persistentVolumeReclaimPolicy"), policy, RECLAIM_POLICIES)]


def _validate_affinity(affinity: Source | None, path: Path) -> ErrorList:
    if affinity is None:
        return []
    required = affinity.get("required")
    if required is None:
        return [fields.required(path.child("required"), "must specify required node constraints")]
    return validate_node_selector(required, path.child("required"))


def _validate_sources(spec: Source, path: Path) -> ErrorList:
    errors: ErrorList = []
    found = 0
    for name, validate in _SOURCES:
        source = spec.get(name)
        if source is None:
            continue
        if found and name != "flexVolume":
            errors.append(fields.forbidden(path.child(name), "may not specify more than 1 volume type"))
            continue
        found += 1
        errors += validate(source, path.child(name))
        if name == "local" and spec.get("nodeAffinity") is None:
            errors.append(fields.required(path.child("nodeAffinity"), "Local volume requires node affinity"))
    if not found:
        errors.append(fields.required(path, "must specify a volume type"))
    host = (spec.get("hostPath") or {}).get("path") or ""
    if host and posixpath.normpath(host) in ("/", "//") and spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        at = path.child("persistentVolumeReclaimPolicy")
        errors.append(fields.forbidden(at, "may not be 'recycle' for a hostPath mount of '/'"))
    return errors


def _validate_classes(spec: Source, path: Path, *, inline: bool) -> ErrorList:
    errors: ErrorList = []
    name, at = spec.get("storageClassName") or "", path.child("storageClassName")
    if name and inline:
        errors.append(fields.forbidden(at, "may not be specified in the context of inline volumes"))
    elif name:
        errors += dns_subdomain(name, at)
    mode = spec.get("volumeMode")
    if inline and mode not in (None, "Filesystem"):
        detail = "may not specify volumeMode other than Filesystem in the context of inline volumes"
        errors.append(fields.forbidden(path.child("volumeMode"), detail))
    elif mode is not None and mode not in VOLUME_MODES:
        errors.append(fields.not_supported(path.child("volumeMode"), mode, VOLUME_MODES))
    attributes, at = spec.get("volumeAttributesClassName"), path.child("volumeAttributesClassName")
    if attributes is not None:
        if attributes:
            errors += dns_subdomain(attributes, at)
        else:
            errors.append(fields.required(at, "an empty string is disallowed"))
        if spec.get("csi") is None:
            detail = "has to be specified when using volumeAttributesClassName"
            errors.append(fields.required(path.child("csi"), detail))
    return errors


def validate_volume_update(obj: Object, old: Object) -> ErrorList:
    errors = validate_volume(obj)
    new_spec, old_spec = obj.get("spec") or {}, old.get("spec") or {}
    new, before = ({n: spec[n] for n in SOURCE_NAMES if spec.get(n) is not None} for spec in (new_spec, old_spec))
    if "csi" in new and "csi" in before and before["csi"].get("controllerExpandSecretRef") is None:
        new = {**new, "csi": {k: v for k, v in new["csi"].items() if k != "controllerExpandSecretRef"}}
    if new != before:
        detail = "spec.persistentvolumesource is immutable after creation\n" + source_diff(before, new)
        errors.append(fields.forbidden(SPEC.child("persistentvolumesource"), detail))
    errors += immutable(new_spec.get("volumeMode"), old_spec.get("volumeMode"), Path("volumeMode"))
    affinity, earlier = new_spec.get("nodeAffinity"), old_spec.get("nodeAffinity")
    if earlier is not None and affinity != earlier and not _only_renamed(affinity, earlier):
        detail = IMMUTABLE + ", except for updating from beta label to GA"
        errors.append(fields.invalid(Path("nodeAffinity"), affinity, detail))
    field = "volumeAttributesClassName"
    if old_spec.get(field) is not None and new_spec.get(field) is None:
        errors.append(fields.forbidden(SPEC.child(field), "update from non-nil value to nil is forbidden"))
    return errors


def _only_renamed(new: Any, old: Any) -> bool:
    """Equal but for label keys that went from beta to their final name."""
    if isinstance(new, dict) and isinstance(old, dict):
        if new.keys() != old.keys():
            return False
        return all((k == "key" and _BETA_KEYS.get(old[k]) == new[k]) or _only_renamed(new[k], old[k]) for k in new)
    if isinstance(new, list) and isinstance(old, list):
        return len(new) == len(old) and all(_only_renamed(a, b) for a, b in zip(new, old, strict=True))
    return bool(new == old)
