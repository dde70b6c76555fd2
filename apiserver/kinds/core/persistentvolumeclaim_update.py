"""What an update of a PersistentVolumeClaim and of its status may change."""

from __future__ import annotations

from typing import Any

from apiserver.kinds.core.volume_diff import claim_diff
from apiserver.kinds.core.volumes import BETA_CLASS
from apiserver.kinds.validation.claims import validate_claim_spec
from apiserver.kinds.validation.common import qualified_name
from apiserver.kinds.validation.meta import IMMUTABLE, immutable
from apiserver.kinds.validation.pod.requirements import is_native, validate_quantity
from kubeling.api import fields, quantity
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, annotations_of

SPEC, STATUS = Path("spec"), Path("status")
_STORAGE = SPEC.child("resources", "requests", "storage")
_RESIZE_STATES = frozenset(
    {
        "ControllerResizeInProgress",
        "ControllerResizeInfeasible",
        "NodeResizePending",
        "NodeResizeInProgress",
        "NodeResizeInfeasible",
    }
)


def validate_claim_update(obj: Object, old: Object) -> ErrorList:
    spec, before = obj["spec"], old.get("spec") or {}
    sources = [before.get(f) for f in ("dataSource", "dataSourceRef")]
    allowed = any(s and s.get("apiGroup") is not None for s in sources)
    errors = validate_claim_spec(spec, SPEC, allow_invalid_api_group=allowed)
    new_clone, old_clone = dict(spec), dict(before)
    if not before.get("volumeName"):
        old_clone["volumeName"] = spec.get("volumeName")
    errors += _class_update(obj, old, new_clone)
    if (obj.get("status") or {}).get("phase") == "Bound":
        _mask_growth(new_clone, before)
    if _comparable(new_clone) != _comparable(old_clone):
        detail = (
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n"
            + claim_diff(old_clone, new_clone)
        )
        errors.append(fields.forbidden(SPEC, detail))
    if _asked(spec).value < _asked(before).value:
        capacity = ((old.get("status") or {}).get("capacity") or {}).get("storage", "0")
        if _asked(spec).value <= quantity.parse(capacity).value:
            errors.append(fields.forbidden(_STORAGE, "field can not be less than status.capacity"))
    errors += immutable(spec.get("volumeMode"), before.get("volumeMode"), Path("volumeMode"))
    return errors + _attributes_update(spec, before)


def _class_update(obj: Object, old: Object, clone: Object) -> ErrorList:
    """The class may be filled in later: from the annotation of old or where there was none."""
    new_name, old_name = obj["spec"].get("storageClassName"), (old.get("spec") or {}).get("storageClassName")
    annotation, before = annotations_of(obj).get(BETA_CLASS), annotations_of(old).get(BETA_CLASS)
    filled = old_name is None and new_name is not None
    if filled and before is not None and new_name == before and annotation in (None, before):
        clone.pop("storageClassName")
        return []
    errors: ErrorList = []
    if (annotation or "") != (before or ""):
        at = Path("metadata").child("annotations", BETA_CLASS)
        errors.append(fields.invalid(at, annotation or "", IMMUTABLE))
    if filled and before in (None, new_name):
        clone.pop("storageClassName")
    return errors


def _mask_growth(clone: Object, before: Object) -> None:
    """A bound claim may ask for more storage and another attributes class."""
    resources = clone.get("resources") or {}
    if resources.get("requests"):
        asked = ((before.get("resources") or {}).get("requests") or {}).get("storage")
        clone["resources"] = {**resources, "requests": {**resources["requests"], "storage": asked}}
    if clone.get("volumeAttributesClassName") is not None:
        clone["volumeAttributesClassName"] = before.get("volumeAttributesClassName")


def _comparable(spec: Object) -> Any:
    """Without what is empty, and with quantities by value."""

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: v for k, v in ((k, clean(v)) for k, v in value.items()) if v not in (None, "", {}, [])}
        return value

    resources = spec.get("resources") or {}
    amounts = {
        kind: {name: quantity.parse(text).value for name, text in (resources.get(kind) or {}).items() if text}
        for kind in ("limits", "requests")
    }
    return clean({**spec, "resources": amounts})


def _asked(spec: Object) -> quantity.Quantity:
    return quantity.parse(((spec.get("resources") or {}).get("requests") or {}).get("storage", "0"))


def _attributes_update(spec: Object, before: Object) -> ErrorList:
    new, old = spec.get("volumeAttributesClassName"), before.get("volumeAttributesClassName")
    if old is None or new == old or new:
        return []
    what = "nil" if new is None else "an empty string"
    at = SPEC.child("volumeAttributesClassName")
    return [fields.forbidden(at, f"update from non-nil value to {what} is forbidden")]


def validate_claim_status(obj: Object) -> ErrorList:
    status, errors = obj.get("status") or {}, []
    if not obj["spec"].get("accessModes"):
        errors.append(fields.required(Path("Spec", "accessModes")))
    for name, amount in sorted((status.get("capacity") or {}).items()):
        errors += _basic(amount, STATUS.child("capacity").key(name))
    at = STATUS.child("allocatedResourceStatus")
    for name, state in sorted((status.get("allocatedResourceStatuses") or {}).items()):
        errors += _resource_key(name, at)
        if state not in _RESIZE_STATES:
            errors.append(fields.not_supported(at, name, _RESIZE_STATES))
    at = STATUS.child("allocatedResources")
    for name, amount in sorted((status.get("allocatedResources") or {}).items()):
        found = _resource_key(name, at) or _basic(amount, at.key(name))
        errors += found or validate_quantity("storage", amount, at.key(name))
    return errors


def _basic(text: Any, path: Path) -> ErrorList:
    amount = quantity.parse(text).integer()
    return [fields.invalid(path, amount, "must be a valid resource quantity")] if amount < 0 else []


def _resource_key(name: str, path: Path) -> ErrorList:
    errors = qualified_name(name, path)
    if not errors and is_native(name) and name != "storage":
        errors.append(fields.not_supported(path, name, ["storage"]))
    return errors
