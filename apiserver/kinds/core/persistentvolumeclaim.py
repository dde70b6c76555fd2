"""PersistentVolumeClaim: defaults, strategy and columns; updates are validated in ``persistentvolumeclaim_update``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.kinds.core.persistentvolumeclaim_update import validate_claim_status, validate_claim_update
from apiserver.kinds.core.volumes import BETA_CLASS, class_of, modes_text
from apiserver.kinds.printing import AGE, NAME, UNSET, age_of, column
from apiserver.kinds.strategies import StatusStrategy, default_to, keep
from apiserver.kinds.validation.claims import validate_claim_spec
from apiserver.kinds.validation.pod.defaults import default_claim_spec, round_resources
from apiserver.kinds.validation.pod.warnings import claim_spec_warnings
from apiserver.registry.kind import Context, Kind, Printer, Strategy
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, annotations_of, is_deleting, name_of
from kubeling.api.resources import PERSISTENT_VOLUME_CLAIMS

_SNAPSHOT_GROUP = "snapshot.storage.k8s.io"


class PersistentVolumeClaimStrategy(Strategy):
    def default(self, obj: Object) -> None:
        default_claim_spec(obj.setdefault("spec", {}))
        status = obj.setdefault("status", {})
        default_to(status, "phase", "Pending")
        round_resources(status, "capacity")

    def prepare_for_create(self, ctx: Context, obj: Object) -> None:
        obj["status"] = {"phase": "Pending"}
        drop_odd_source(obj["spec"], {})
        agree_sources(obj["spec"])

    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        keep(obj, old, "status")
        before = old.get("spec") or {}
        drop_odd_source(obj["spec"], before)
        agree_sources(obj["spec"])

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return validate_claim_spec(obj["spec"], Path("spec"))

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return validate_claim_spec(obj["spec"], Path("spec")) + validate_claim_update(obj, old)  # as upstream, twice

    def warnings_on_create(self, ctx: Context, obj: Object) -> list[str]:
        return _warnings(obj)

    def warnings_on_update(self, ctx: Context, obj: Object, old: Object) -> list[str]:
        return _warnings(obj)


class PersistentVolumeClaimStatusStrategy(StatusStrategy):
    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return validate_claim_status(obj)


def drop_odd_source(spec: Object, old_spec: Object) -> None:
    """``dataSource`` takes claims and snapshots only, as before ``dataSourceRef`` came (KEP 1495)."""
    reference = spec.get("dataSourceRef")
    if reference is not None and reference.get("namespace") and old_spec.get("dataSourceRef") is None:
        spec.pop("dataSourceRef")  # CrossNamespaceVolumeDataSource is off
        reference = None
    if old_spec.get("dataSource") is not None or old_spec.get("dataSourceRef") is not None or reference is not None:
        return
    source = spec.get("dataSource")
    wanted = (("", "PersistentVolumeClaim"), (_SNAPSHOT_GROUP, "VolumeSnapshot"))
    if source is not None and (source.get("apiGroup") or "", source.get("kind")) not in wanted:
        spec.pop("dataSource")


def agree_sources(spec: Object) -> None:
    """``dataSource`` and ``dataSourceRef`` say the same when one of them is left out."""
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is not None and reference is None:
        spec["dataSourceRef"] = dict(source)
    elif reference is not None and source is None and not reference.get("namespace"):
        spec["dataSource"] = {k: v for k, v in reference.items() if k != "namespace"}


def _warnings(obj: Object) -> list[str]:
    warnings = []
    if BETA_CLASS in annotations_of(obj):
        advice = 'deprecated since v1.8; use "storageClassName" attribute instead'
        warnings.append(f"metadata.annotations[{BETA_CLASS}]: {advice}")
    return [*warnings, *claim_spec_warnings(obj["spec"], Path("spec"))]


def _row(obj: Object, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    bound = bool(spec.get("volumeName"))
    return [
        name_of(obj),
        "Terminating" if is_deleting(obj) else status.get("phase", ""),
        spec.get("volumeName", ""),
        str((status.get("capacity") or {}).get("storage", "0")) if bound else "",
        modes_text(status.get("accessModes")) if bound else "",
        class_of(obj),
        UNSET if spec.get("volumeAttributesClassName") is None else spec["volumeAttributesClassName"],
        age_of(obj, now),
        spec.get("volumeMode") or UNSET,
    ]


_SPEC, _STATUS = "core.v1.PersistentVolumeClaimSpec:", "core.v1.PersistentVolumeClaimStatus:"
_COLUMNS = (
    NAME,
    column("Status", _STATUS + "phase"),
    column("Volume", _SPEC + "volumeName"),
    column("Capacity", _STATUS + "capacity"),
    column("Access Modes", _STATUS + "accessModes"),
    column("StorageClass", "StorageClass of the pvc"),
    column("VolumeAttributesClass", "VolumeAttributesClass of the pvc"),
    AGE,
    column("VolumeMode", _SPEC + "volumeMode", priority=1),
)
_STRATEGY = PersistentVolumeClaimStrategy()
PERSISTENT_VOLUME_CLAIM = Kind(
    PERSISTENT_VOLUME_CLAIMS,
    _STRATEGY,
    Printer(_COLUMNS, _row),
    status=PersistentVolumeClaimStatusStrategy(_STRATEGY),
    returns_deleted=True,
)
