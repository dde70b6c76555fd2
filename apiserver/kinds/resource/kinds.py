"""Dynamic resource allocation: DeviceClass, ResourceClaim, ResourceClaimTemplate, ResourceSlice."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from apiserver.kinds.printing import AGE, NAME, age_of, column
from apiserver.kinds.resource.claim_status import drop_returned, validate_claim_status
from apiserver.kinds.resource.claims import validate_claim_spec, validate_device_class
from apiserver.kinds.resource.devices import stamp_taints
from apiserver.kinds.resource.internal import internal_claim_spec, internal_template_spec
from apiserver.kinds.resource.slices import validate_slice
from apiserver.kinds.strategies import OwnMetadataStatusStrategy, SpecStrategy
from apiserver.kinds.validation.meta import immutable
from apiserver.registry.kind import Context, Kind, Printer, Strategy
from kubeling.api import names
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, is_deleting, name_of
from kubeling.api.resources import DEVICE_CLASSES, RESOURCE_CLAIM_TEMPLATES, RESOURCE_CLAIMS, RESOURCE_SLICES


def _default_request(request: Object) -> None:
    mode = request.setdefault("allocationMode", "ExactCount")
    if mode == "ExactCount" and not request.get("count"):
        request["count"] = 1
    _default_tolerations(request.get("tolerations"))


def _default_tolerations(tolerations: Iterable[Object] | None) -> None:
    for toleration in tolerations or ():
        toleration.setdefault("operator", "Equal")


def default_claim_spec(spec: Object) -> None:
    """The spec of a claim, also within a template."""
    for request in (spec.get("devices") or {}).get("requests") or ():
        if request.get("exactly") is not None:
            _default_request(request["exactly"])
        for alternative in request.get("firstAvailable") or ():
            _default_request(alternative)


class DeviceClassStrategy(Strategy):
    has_generation = True

    def validate_name(self, name: str) -> list[str]:
        """This kind's name is checked by generated code, which counts in bytes and says so."""
        too_long = names.max_length_error(253)
        return [names.max_length_error(253, "bytes") if m == too_long else m for m in names.is_dns1123_subdomain(name)]

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return validate_device_class(obj)


class ResourceClaimStrategy(SpecStrategy):
    empty_status = {}

    def default(self, obj: Object) -> None:
        default_claim_spec(obj.setdefault("spec", {}))

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return validate_claim_spec(obj["spec"], Path("spec"))

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return immutable(internal_claim_spec(obj["spec"]), internal_claim_spec(old.get("spec") or {}), Path("spec"))


class ResourceClaimStatusStrategy(OwnMetadataStatusStrategy):
    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        super().prepare_for_update(ctx, obj, old)
        drop_returned(obj, old)

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return validate_claim_status(obj, old)


class ResourceClaimTemplateStrategy(Strategy):
    def default(self, obj: Object) -> None:
        default_claim_spec(obj.setdefault("spec", {}).setdefault("spec", {}))

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return validate_claim_spec(obj["spec"]["spec"], Path("spec", "spec"))

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        before = internal_template_spec(old.get("spec") or {})
        return immutable(internal_template_spec(obj["spec"]), before, Path("spec"))


class ResourceSliceStrategy(Strategy):
    has_generation = True

    def prepare_for_create(self, ctx: Context, obj: Object) -> None:
        for device in obj["spec"].get("devices") or ():
            stamp_taints(device.get("taints") or (), ctx.now)

    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        self.prepare_for_create(ctx, obj)

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return validate_slice(obj)

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return validate_slice(obj, old)


def _claim_state(obj: Object) -> str:
    """``pending``, or what of deleted, allocated and reserved holds."""
    status = obj.get("status") or {}
    states = ["deleted"] if is_deleting(obj) else []
    if status.get("allocation") is None:
        return ",".join(states) or "pending"
    states.append("allocated")
    states.append("reserved" if status.get("reservedFor") else "unreserved")
    return ",".join(s for s in states if s != "unreserved")


def _slice_row(obj: Object, now: datetime) -> list[Any]:
    spec = obj.get("spec", {})
    pool = spec.get("pool", {}).get("name", "")
    return [name_of(obj), spec.get("nodeName", ""), spec.get("driver", ""), pool, age_of(obj, now)]


_PLAIN = Printer((NAME, AGE), lambda obj, now: [name_of(obj), age_of(obj, now)])
_CLAIM = ResourceClaimStrategy()

DEVICE_CLASS = Kind(DEVICE_CLASSES, DeviceClassStrategy(), _PLAIN, returns_deleted=True)
RESOURCE_CLAIM = Kind(
    RESOURCE_CLAIMS,
    _CLAIM,
    Printer(
        (NAME, column("State", "A summary of the current state (allocated, pending, reserved, etc.)."), AGE),
        lambda obj, now: [name_of(obj), _claim_state(obj), age_of(obj, now)],
    ),
    ResourceClaimStatusStrategy(_CLAIM),
)
RESOURCE_CLAIM_TEMPLATE = Kind(RESOURCE_CLAIM_TEMPLATES, ResourceClaimTemplateStrategy(), _PLAIN)
RESOURCE_SLICE = Kind(
    RESOURCE_SLICES,
    ResourceSliceStrategy(),
    Printer(
        (
            NAME,
            column("Node", "resource.v1.ResourceSliceSpec:nodeName"),
            column("Driver", "resource.v1.ResourceSliceSpec:driver"),
            column("Pool", "resource.v1.ResourcePool:name"),
            AGE,
        ),
        _slice_row,
    ),
    returns_deleted=True,
    field_error="field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: {field}",
    field_selectors={
        "spec.driver": lambda obj: obj.get("spec", {}).get("driver", ""),
        "spec.nodeName": lambda obj: obj.get("spec", {}).get("nodeName", ""),
    },
)
