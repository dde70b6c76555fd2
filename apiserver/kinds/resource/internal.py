"""Claims as Go prints upstream's internal types in errors."""

from __future__ import annotations

from typing import Any

from apiserver.kinds.validation.pod.internal import STRUCTS, as_internal, struct_fields
from kubeling.api.meta import Object

_WANTED = "Selectors::[]DeviceSelector AllocationMode::string Count::int"
_REST = "Tolerations::[]DeviceToleration Capacity::*CapacityRequirements"
_STRUCTS = {
    **STRUCTS,
    **{
        name: struct_fields(text)
        for name, text in {
            "ResourceClaimSpec": "Devices::DeviceClaim",
            "DeviceClaim": "Requests::[]DeviceRequest Constraints::[]DeviceConstraint Config::[]ClaimConfiguration",
            "DeviceRequest": "Name::string Exactly::*ExactDeviceRequest FirstAvailable::[]DeviceSubRequest",
            "ExactDeviceRequest": f"DeviceClassName::string {_WANTED} AdminAccess::*bool {_REST}",
            "DeviceSubRequest": f"Name::string DeviceClassName::string {_WANTED} {_REST}",
            "DeviceSelector": "CEL:cel:*CELDeviceSelector",
            "CELDeviceSelector": "Expression::string",
            "DeviceToleration": "Key::string Operator::string Value::string Effect::string TolerationSeconds::*int",
            "CapacityRequirements": "Requests::map",
            "DeviceConstraint": "Requests::[]string MatchAttribute::*string DistinctAttribute::*string",
            "ClaimConfiguration": "Requests::[]string Opaque::*OpaqueDeviceConfiguration",
            "OpaqueDeviceConfiguration": "Driver::string Parameters::any",
        }.items()
    },
}
_META_FIELDS = ("labels", "annotations")


def internal_claim_spec(spec: Object) -> Any:
    return as_internal("ResourceClaimSpec", spec, _STRUCTS)


def internal_template_spec(template: Object) -> Any:
    """The spec of a claim template: its metadata prints as on the wire, and is embedded."""
    meta = template.get("metadata") or {}
    shown = {field: meta[field] for field in _META_FIELDS if meta.get(field)}
    return {**shown, "Spec": internal_claim_spec(template.get("spec") or {})}
