"""Dynamic resource allocation: what is refused, CEL apart."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.kinds.resource.claim_status import validate_claim_status
from apiserver.kinds.resource.claims import validate_claim_spec, validate_device_class
from apiserver.kinds.resource.internal import internal_template_spec
from apiserver.kinds.resource.slices import validate_slice
from kubeling.api.fields import ErrorList, Path, go_json

_REQUEST = {"name": "r", "exactly": {"deviceClassName": "c", "allocationMode": "ExactCount", "count": 1}}
_SLICE = {"driver": "d.example", "pool": {"name": "p", "resourceSliceCount": 1}, "nodeName": "n"}


def _shown(errors: ErrorList) -> list[str]:
    return [str(e) for e in errors]


def _claim(**devices: Any) -> ErrorList:
    return validate_claim_spec({"devices": {"requests": [_REQUEST], **devices}}, Path("spec"))


@pytest.mark.parametrize(
    ("devices", "fields"),
    [
        ({}, []),
        ({"requests": [{"name": "r"}]}, ["spec.devices.requests[0]"]),
        ({"requests": [_REQUEST, _REQUEST]}, ["spec.devices.requests[1]"]),
        ({"requests": [_REQUEST] * 33}, ["spec.devices.requests"]),
        (
            {"requests": [{"name": "r", "exactly": {"allocationMode": "All", "count": 2}}]},
            ["spec.devices.requests[0].exactly.deviceClassName", "spec.devices.requests[0].exactly.count"],
        ),
        (
            {"constraints": [{"requests": ["b"], "matchAttribute": "x"}]},
            ["spec.devices.constraints[0].requests[0]", "spec.devices.constraints[0].matchAttribute"],
        ),
        (
            {"config": [{"requests": ["r"], "opaque": {"driver": "Bad_"}}]},
            ["spec.devices.config[0].opaque.driver", "spec.devices.config[0].opaque.parameters"],
        ),
    ],
)
def test_claims(devices: dict[str, Any], fields: list[str]) -> None:
    assert [e.partition(":")[0] for e in _shown(_claim(**devices))] == fields


def test_references_to_alternatives() -> None:
    wanted = {"name": "a", "deviceClassName": "c", "allocationMode": "All"}
    requests = [{"name": "f", "firstAvailable": [wanted]}]
    constraints = [{"requests": ["f/a", "f/b"], "matchAttribute": "d.example/numa"}]
    found = _shown(_claim(requests=requests, constraints=constraints))
    assert [e.partition(":")[0] for e in found] == ["spec.devices.constraints[0].requests[1]"]


def test_a_class_needs_selectors_of_some_sort() -> None:
    assert _shown(validate_device_class({"spec": {"selectors": [{}]}})) == [
        "spec.selectors[0].cel: Required value",
    ]


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, []),
        ({"driver": ""}, ["spec.driver: Required value"]),
        (
            {"allNodes": True},
            [
                'spec: Invalid value: "{`nodeName`, `allNodes`}": exactly one of `nodeName`, `nodeSelector`, `allNodes`, '
                "`perDeviceNodeSelection` is required, but multiple fields are set"
            ],
        ),
        (
            {"pool": {"name": "p"}},
            ["spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero"],
        ),
        (
            {"devices": [{"name": "a"}, {"name": "a"}]},
            ['spec.devices[1]: Duplicate value: "a"'],
        ),
    ],
)
def test_slices(changes: dict[str, Any], wanted: list[str]) -> None:
    assert _shown(validate_slice({"spec": {**_SLICE, **changes}})) == wanted


def test_the_driver_of_a_slice_stays() -> None:
    found = validate_slice({"spec": {**_SLICE, "driver": "e.example"}}, {"spec": _SLICE})
    assert _shown(found) == ['spec.driver: Invalid value: "e.example": field is immutable']


def test_a_template_as_go_prints_it() -> None:
    shown = internal_template_spec(
        {"metadata": {"labels": {"a": "b"}}, "spec": {"devices": {"requests": [_REQUEST]}}},
    )
    assert go_json(shown) == (
        '{"labels":{"a":"b"},"Spec":{"Devices":{"Requests":[{"Name":"r","Exactly":{"DeviceClassName":"c",'
        '"Selectors":null,"AllocationMode":"ExactCount","Count":1,"AdminAccess":null,"Tolerations":null,'
        '"Capacity":null},"FirstAvailable":null}],"Constraints":null,"Config":null}}}'
    )


@pytest.mark.parametrize(
    ("toleration", "wanted"),
    [
        ({"operator": "Exists", "key": "a.b/c", "effect": "NoExecute"}, []),
        ({"operator": "Exists", "value": "x"}, ['value: Invalid value: "x": must be empty for operator `Exists`']),
        ({}, ["operator: Required value"]),
        ({"operator": "Like"}, ['operator: Unsupported value: "Like": supported values: "Equal", "Exists"']),
        (
            {"operator": "Equal", "effect": "Never"},
            ['effect: Unsupported value: "Never": supported values: "NoExecute", "NoSchedule", "None"'],
        ),
    ],
)
def test_tolerations(toleration: dict[str, Any], wanted: list[str]) -> None:
    exactly = {"deviceClassName": "c", "allocationMode": "All", "tolerations": [toleration]}
    path = "spec.devices.requests[0].exactly.tolerations[0]"
    assert _shown(_claim(requests=[{"name": "r", "exactly": exactly}])) == [f"{path}.{text}" for text in wanted]


@pytest.mark.parametrize(
    ("device", "wanted"),
    [
        ({"taints": [{"key": "a", "effect": "NoSchedule"}]}, []),
        ({"taints": [{"key": "a"}]}, [".taints[0].effect: Required value"]),
        (
            {"attributes": {"v": {"version": "1.2"}}},
            ['.attributes[v].version: Invalid value: "1.2": must be a string compatible with semver.org spec 2.0.0'],
        ),
        ({"attributes": {"v": {"version": "1.2.3-rc.1+b"}}}, []),
        (
            {"attributes": {"v": {"int": 1, "bool": True}}},
            [
                '.attributes[v]: Invalid value: {"IntValue":1,"BoolValue":true,"StringValue":null,"VersionValue":null}: '
                "exactly one value must be specified"
            ],
        ),
        (
            {"nodeName": "n"},
            [
                ": Invalid value: null: `nodeName`, `nodeSelector` and `allNodes` can only be set if "
                "`perDeviceNodeSelection` is set to true in the ResourceSlice spec"
            ],
        ),
        (
            {"consumesCounters": [{"counterSet": "c"}, {"counterSet": "c", "counters": {"x": {"value": "1"}}}]},
            [
                ".consumesCounters[0].counters: Required value",
                '.consumesCounters[1]: Duplicate value: "c"',
            ],
        ),
        (
            {"bindingConditions": ["a"]},
            [
                ".bindingFailureConditions: Invalid value: []: bindingFailureConditions are required to use bindingConditions"
            ],
        ),
    ],
)
def test_devices_of_a_slice(device: dict[str, Any], wanted: list[str]) -> None:
    found = _shown(validate_slice({"spec": {**_SLICE, "devices": [{"name": "d", **device}]}}))
    assert found == [f"spec.devices[0]{text}" for text in wanted]


def test_devices_may_each_have_a_place() -> None:
    spec = {**_SLICE, "perDeviceNodeSelection": True, "devices": [{"name": "d"}]}
    del spec["nodeName"]
    assert _shown(validate_slice({"spec": spec})) == [
        "spec.devices[0]: Required value: exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when "
        "`perDeviceNodeSelection` is set to true in the ResourceSlice spec"
    ]


_RESULT = {"request": "r", "driver": "d.example", "pool": "p", "device": "dev"}
_USER = {"resource": "pods", "name": "a", "uid": "u"}


def _status(status: dict[str, Any], before: dict[str, Any] | None = None, **meta: Any) -> list[str]:
    spec = {"devices": {"requests": [_REQUEST]}}
    old = {"metadata": meta, "spec": spec, "status": before or {}}
    return _shown(validate_claim_status({**old, "status": status}, old))


def test_a_claim_is_allocated_and_used() -> None:
    allocation = {"devices": {"results": [_RESULT]}}
    device = {
        "driver": "d.example", "pool": "p", "device": "dev",
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z", "reason": "Ok"}],
        "networkData": {"ips": ["10.9.8.7/24"]},
    }  # fmt: skip
    assert _status({"allocation": allocation, "reservedFor": [_USER], "devices": [device]}) == []
    assert _status({"allocation": allocation}, {"allocation": allocation}) == []


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        ({"reservedFor": [_USER]}, ["status.reservedFor: Forbidden: may not be specified when `allocated` is not set"]),
        (
            {"allocation": {}, "reservedFor": [{"name": "a"}, {"resource": "pods", "name": "b"}]},
            [
                "status.reservedFor[0].resource: Required value",
                "status.reservedFor[0].uid: Required value",
                "status.reservedFor[1].uid: Required value",
                'status.reservedFor[1]: Duplicate value: ""',
            ],
        ),
        (
            {"allocation": {"devices": {"results": [{**_RESULT, "request": "other"}]}}},
            [
                'status.allocation.devices.results[0].request: Invalid value: "other": must be the name of a request in '
                "the claim or the name of a request and a subrequest separated by '/'"
            ],
        ),
        (
            {
                "allocation": {
                    "devices": {"config": [{"source": "Me", "opaque": {"driver": "d.example", "parameters": {}}}]}
                }
            },
            [
                'status.allocation.devices.config[0].source: Unsupported value: "Me": supported values: "FromClaim", '
                '"FromClass"'
            ],
        ),
        (
            {"devices": [{"driver": "d.example", "pool": "p", "device": "dev"}]},
            ["status.devices[0]: Invalid value: d.example/p/dev: must be an allocated device in the claim"],
        ),
        (
            {
                "allocation": {"devices": {"results": [_RESULT]}},
                "devices": [{"driver": "d.example", "pool": "p", "device": "dev", "networkData": {"ips": ["1.2.3.4"]}}],
            },
            [
                'status.devices[0].networkData.ips[0]: Invalid value: "1.2.3.4": must be a valid address in CIDR form, '
                "(e.g. 10.9.8.7/24 or 2001:db8::1/64)"
            ],
        ),
    ],
)
def test_what_a_claims_status_may_not_say(status: dict[str, Any], wanted: list[str]) -> None:
    assert _status(status) == wanted


def test_an_allocation_stays_and_a_deleted_claim_gets_no_new_users() -> None:
    allocation = {"devices": {"results": [_RESULT]}}
    (changed,) = _status({"allocation": {}}, {"allocation": allocation})
    assert changed.startswith("status.allocation: Invalid value: ") and changed.endswith("field is immutable")
    refused = _status(
        {"allocation": allocation, "reservedFor": [_USER]},
        {"allocation": allocation},
        deletionTimestamp="2026-01-01T00:00:00Z",
    )
    assert refused == [
        "status.reservedFor: Forbidden: new entries may not be added while `deallocationRequested` or `deletionTimestamp` "
        "are set"
    ]
