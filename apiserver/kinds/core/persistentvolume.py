"""PersistentVolume: defaults, phases and columns; its validation is in ``persistentvolume_validation``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.kinds.core.persistentvolume_validation import validate_volume, validate_volume_update
from apiserver.kinds.core.volumes import BETA_CLASS, BETA_MOUNT_OPTIONS, class_of, modes_text
from apiserver.kinds.printing import AGE, NAME, UNSET, age_of, column
from apiserver.kinds.strategies import StatusStrategy, default_to, keep
from apiserver.kinds.validation.pod.defaults import round_resources
from apiserver.kinds.validation.pod.warnings import node_selector_term_warnings
from apiserver.registry.kind import Context, Kind, Printer, Strategy
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, annotations_of, is_deleting, name_of, rfc3339
from kubeling.api.resources import PERSISTENT_VOLUMES

_SOURCE_DEFAULTS: dict[str, dict[str, Any]] = {
    "hostPath": {"type": ""},
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {"cachingMode": "ReadWrite", "kind": "Shared", "fsType": "ext4", "readOnly": False},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}
_RECYCLE = (
    "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. "
    "Instead, the recommended approach is to use dynamic provisioning."
)
_TERMS = Path("spec", "nodeAffinity", "required", "nodeSelectorTerms")


class PersistentVolumeStrategy(Strategy):
    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        default_to(spec, "persistentVolumeReclaimPolicy", "Retain")
        default_to(spec, "volumeMode", "Filesystem")
        for source, values in _SOURCE_DEFAULTS.items():
            if spec.get(source) is not None:
                for field, value in values.items():
                    default_to(spec[source], field, value)
        round_resources(spec, "capacity")
        default_to(obj.setdefault("status", {}), "phase", "Pending")

    def prepare_for_create(self, ctx: Context, obj: Object) -> None:
        obj["status"] = {"phase": "Pending", "lastPhaseTransitionTime": rfc3339(ctx.now)}

    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        keep(obj, old, "status")

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return validate_volume(obj)

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return validate_volume(obj) + validate_volume_update(obj, old)  # upstream says it twice

    def warnings_on_create(self, ctx: Context, obj: Object) -> list[str]:
        return _warnings(obj)

    def warnings_on_update(self, ctx: Context, obj: Object, old: Object) -> list[str]:
        return _warnings(obj)


class PersistentVolumeStatusStrategy(StatusStrategy):
    """A new phase gets its time, unless the writer says when."""

    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        super().prepare_for_update(ctx, obj, old)
        status, before = obj.setdefault("status", {}), old.get("status") or {}
        field = "lastPhaseTransitionTime"
        unchanged = status.get("phase") == before.get("phase")
        if unchanged and not status.get(field) and before.get(field):
            status[field] = before[field]
        if not unchanged and status.get(field) == before.get(field):
            status[field] = rfc3339(ctx.now)


def _warnings(obj: Object) -> list[str]:
    spec, warnings = obj.get("spec") or {}, []
    annotations = annotations_of(obj)
    if BETA_CLASS in annotations:
        advice = 'deprecated since v1.8; use "storageClassName" attribute instead'
        warnings.append(f"metadata.annotations[{BETA_CLASS}]: {advice}")
    if BETA_MOUNT_OPTIONS in annotations:
        advice = 'deprecated since v1.31; use "mountOptions" attribute instead'
        warnings.append(f"metadata.annotations[{BETA_MOUNT_OPTIONS}]: {advice}")
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        warnings.append(_RECYCLE)
    required = (spec.get("nodeAffinity") or {}).get("required") or {}
    for i, term in enumerate(required.get("nodeSelectorTerms") or ()):
        warnings += node_selector_term_warnings(term, _TERMS.index(i))
    return warnings + _source_warnings(spec)


_GONE_SOURCES = (
    # (field, how the warning names it, since when)
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("photonPersistentDisk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("scaleIO", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
)


def _source_warnings(spec: Object) -> list[str]:
    return [f"spec.{shown}: {when}" for field, shown, when in _GONE_SOURCES if spec.get(field) is not None]


def _row(obj: Object, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    claim = spec.get("claimRef")
    return [
        name_of(obj),
        str((spec.get("capacity") or {}).get("storage", "0")),
        modes_text(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        "Terminating" if is_deleting(obj) else status.get("phase", ""),
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        class_of(obj),
        UNSET if spec.get("volumeAttributesClassName") is None else spec["volumeAttributesClassName"],
        status.get("reason", ""),
        age_of(obj, now),
        spec.get("volumeMode") or UNSET,
    ]


_SPEC, _STATUS = "core.v1.PersistentVolumeSpec:", "core.v1.PersistentVolumeStatus:"
_COLUMNS = (
    NAME,
    column("Capacity", _SPEC + "capacity"),
    column("Access Modes", _SPEC + "accessModes"),
    column("Reclaim Policy", _SPEC + "persistentVolumeReclaimPolicy"),
    column("Status", _STATUS + "phase"),
    column("Claim", _SPEC + "claimRef"),
    column("StorageClass", "StorageClass of the pv"),
    column("VolumeAttributesClass", "VolumeAttributesClass of the pv"),
    column("Reason", _STATUS + "reason"),
    AGE,
    column("VolumeMode", _SPEC + "volumeMode", priority=1),
)
_STRATEGY = PersistentVolumeStrategy()
PERSISTENT_VOLUME = Kind(
    PERSISTENT_VOLUMES,
    _STRATEGY,
    Printer(_COLUMNS, _row),
    status=PersistentVolumeStatusStrategy(_STRATEGY),
    returns_deleted=True,
)
