"""Dynamic resource allocation: what is refused, CEL apart."""

from __future__ import annotations

from typing import Any

import pytest

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
