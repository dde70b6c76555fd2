"""VolumeAttachment: the wish to attach a volume to a node, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from apiserver.kinds.core.persistentvolume_validation import validate_volume_spec
from apiserver.kinds.printing import AGE, NAME, age_of, column
from apiserver.kinds.strategies import OwnMetadataStatusStrategy, keep
from apiserver.kinds.validation.common import dns_subdomain
from apiserver.kinds.validation.meta import IMMUTABLE
from apiserver.kinds.validation.pod.storage_volumes import validate_csi_driver_name
from apiserver.registry.kind import Context, Kind, Printer, Strategy
from kubeling.api import fields
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, name_of
from kubeling.api.resources import VOLUME_ATTACHMENTS

SPEC, STATUS = Path("spec"), Path("status")
_METADATA_LIMIT, _MESSAGE_LIMIT = 256 * 1024, 1024
_ONE_SOURCE = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"


class VolumeAttachmentStrategy(Strategy):
    allow_unconditional_update = False

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("attacher", "")
        spec.setdefault("source", {})
        spec.setdefault("nodeName", "")
        obj.setdefault("status", {}).setdefault("attached", False)

    def prepare_for_create(self, ctx: Context, obj: Object) -> None:
        obj["status"] = {"attached": False}

    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        keep(obj, old, "status")

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        errors = _validate(obj)
        if not obj["spec"]["attacher"]:
            return errors
        errors += validate_csi_driver_name(obj["spec"]["attacher"], SPEC.child("attacher"))
        volume = obj["spec"]["source"].get("persistentVolumeName")
        return errors + (dns_subdomain(volume, Path("spec.source.persistentVolumeName")) if volume else [])

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        errors = _validate(obj) * 2  # upstream validates twice
        if obj["spec"] != old.get("spec"):
            errors.append(fields.invalid(SPEC, _internal_spec(obj["spec"]), IMMUTABLE))
        return errors


class VolumeAttachmentStatusStrategy(OwnMetadataStatusStrategy):
    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return self.main.validate_update(ctx, obj, old)


def _internal_spec(spec: Mapping[str, Any]) -> Object:
    """As Go prints upstream's internal type."""
    source = spec.get("source") or {}
    return {
        "Attacher": spec.get("attacher", ""),
        "Source": {
            "PersistentVolumeName": source.get("persistentVolumeName"),
            "InlineVolumeSpec": source.get("inlineVolumeSpec"),
        },
        "NodeName": spec.get("nodeName", ""),
    }


def _validate(obj: Object) -> ErrorList:
    spec, status = obj["spec"], obj.get("status") or {}
    errors = [] if spec["attacher"] else [fields.required(SPEC.child("attacher"))]
    errors += _validate_source(spec["source"], SPEC.child("source"))
    errors += dns_subdomain(spec["nodeName"], SPEC.child("nodeName"))
    metadata = status.get("attachmentMetadata") or {}
    if sum(len(k.encode()) + len(v.encode()) for k, v in metadata.items()) > _METADATA_LIMIT:
        errors.append(fields.too_long(STATUS.child("attachmentMetadata"), _METADATA_LIMIT))
    for field in ("attachError", "detachError"):
        errors += _validate_error(status.get(field) or {}, STATUS.child(field))
    return errors


def _validate_source(source: Mapping[str, Any], path: Path) -> ErrorList:
    name, inline = source.get("persistentVolumeName"), source.get("inlineVolumeSpec")
    if name is None and inline is None:
        return [fields.required(path, _ONE_SOURCE)]
    if name is not None and inline is not None:
        return [fields.forbidden(path, _ONE_SOURCE)]
    if inline is not None:
        return validate_volume_spec(inline, path.child("inlineVolumeSpec"), inline=True)
    if not name:
        return [fields.required(path.child("persistentVolumeName"), "must specify non empty persistentVolumeName")]
    return []


def _validate_error(error: Mapping[str, Any], path: Path) -> ErrorList:
    errors: ErrorList = []
    if len((error.get("message") or "").encode()) > _MESSAGE_LIMIT:
        errors.append(fields.too_long(path.child("message"), _METADATA_LIMIT))  # upstream names the other limit
    code = error.get("errorCode")
    if code is not None and code < 0:
        detail = f"must be between 0 and {2**31 - 1}, inclusive"
        errors.append(fields.invalid(path.child("errorCode"), code, detail))
    return errors


def _row(obj: Object, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    volume = (spec.get("source") or {}).get("persistentVolumeName") or ""
    attached = bool(status.get("attached"))
    return [name_of(obj), spec.get("attacher", ""), volume, spec.get("nodeName", ""), attached, age_of(obj, now)]


_SPEC = "storage.v1.VolumeAttachmentSpec:"
_STRATEGY = VolumeAttachmentStrategy()
VOLUME_ATTACHMENT = Kind(
    VOLUME_ATTACHMENTS,
    _STRATEGY,
    Printer(
        (
            NAME,
            column("Attacher", _SPEC + "attacher", format="name"),
            column("PV", "storage.v1.VolumeAttachmentSource:persistentVolumeName"),
            column("Node", _SPEC + "nodeName"),
            column("Attached", "storage.v1.VolumeAttachmentStatus:attached", "boolean"),
            AGE,
        ),
        _row,
    ),
    status=VolumeAttachmentStatusStrategy(_STRATEGY),
    returns_deleted=True,
)
