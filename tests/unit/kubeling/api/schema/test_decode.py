"""Decoding built-in kinds: normalisation as Go's round trip does it, and Go's error texts."""

from __future__ import annotations

from typing import Any

import pytest

from kubeling.api.schema import DecodeError, schemas_for
from kubeling.api.schema.walk import Walker

SCHEMAS = schemas_for()
POD = SCHEMAS.of("", "v1", "Pod")
SECRET = SCHEMAS.of("", "v1", "Secret")
PDB = SCHEMAS.of("policy", "v1", "PodDisruptionBudget")
LEASE = SCHEMAS.of("coordination.k8s.io", "v1", "Lease")


def pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "spec": spec}


def test_values_are_dropped_kept_and_filled_in_as_go_does() -> None:
    given = pod(
        containers=[{"name": "c", "env": [], "command": None, "resources": {"limits": {"cpu": "0.5", "memory": 1024}}}],
        nodeName="",
        hostNetwork=False,
        priority=0,
        enableServiceLinks=False,
        nodeSelector={},
        securityContext={},
    )
    given["metadata"]["creationTimestamp"] = None
    assert POD.decode(given).obj == {
        "metadata": {"name": "p"},
        "spec": {
            "containers": [{"name": "c", "resources": {"limits": {"cpu": "500m", "memory": "1024"}}}],
            "priority": 0,
            "enableServiceLinks": False,
            "securityContext": {},
        },
        "status": {},
    }


def test_absent_value_structs_scalars_and_lists_without_omitempty_appear() -> None:
    assert SCHEMAS.of("apps", "v1", "Deployment").decode({"spec": {}}).obj["spec"] == {
        "template": {"metadata": {}, "spec": {}},
        "strategy": {},
    }
    assert SCHEMAS.of("rbac.authorization.k8s.io", "v1", "Role").decode({}).obj["rules"] is None
    status = {"conditions": [{"type": "Ready", "status": "True"}]}
    assert POD.decode({"status": status}).obj["status"]["conditions"] == [
        {"type": "Ready", "status": "True", "lastProbeTime": None, "lastTransitionTime": None}
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2024-01-01T01:00:00+01:00", "2024-01-01T00:00:00Z"),
        ("2024-01-01T00:00:00.9Z", "2024-01-01T00:00:00Z"),
        ("0001-01-01T01:00:00+01:00", "0001-01-01T00:00:00Z"),
    ],
)
def test_times_are_written_in_utc_seconds(given: str, expected: str) -> None:
    assert POD.decode({"metadata": {"deletionTimestamp": given}}).obj["metadata"] == {"deletionTimestamp": expected}


def test_micro_times_keep_six_digits_and_demand_them() -> None:
    assert LEASE.decode({"spec": {"renewTime": "2024-01-01T00:00:00.120000Z"}}).obj["spec"] == {
        "renewTime": "2024-01-01T00:00:00.120000Z"
    }
    early = {"renewTime": "0001-01-01T00:00:02.000000Z"}
    assert LEASE.decode({"spec": early}).obj["spec"] == early
    with pytest.raises(DecodeError) as caught:
        LEASE.decode({"spec": {"renewTime": "2024-01-01T00:00:00Z"}})
    assert str(caught.value) == (
        'parsing time "2024-01-01T00:00:00Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000"'
    )


UNMARSHAL = "json: cannot unmarshal"
FIELD = "into Go struct field"


@pytest.mark.parametrize(
    ("schema", "given", "text"),
    [
        (
            POD,
            {"metadata": {"labels": {"a": 1}}},
            f"{UNMARSHAL} number {FIELD} ObjectMeta.metadata.labels of type string",
        ),
        (POD, {"spec": "x"}, f"{UNMARSHAL} string {FIELD} Pod.spec of type v1.PodSpec"),
        (
            POD,
            pod(containers={}),
            f"{UNMARSHAL} object {FIELD} PodSpec.spec.containers of type []v1.Container",
        ),
        (
            POD,
            pod(containers=[{"name": "c", "ports": [{"containerPort": "x"}]}]),
            f"{UNMARSHAL} string {FIELD} ContainerPort.spec.containers.ports.containerPort of type int32",
        ),
        (
            POD,
            pod(priority=3_000_000_000),
            f"{UNMARSHAL} number 3000000000 {FIELD} PodSpec.spec.priority of type int32",
        ),
        (
            POD,
            pod(restartPolicy=1),
            f"{UNMARSHAL} number {FIELD} PodSpec.spec.restartPolicy of type v1.RestartPolicy",
        ),
        (
            PDB,
            {"spec": {"maxUnavailable": 1.5}},
            f"{UNMARSHAL} number 1.5 {FIELD} PodDisruptionBudgetSpec.spec.maxUnavailable of type int32",
        ),
        (SECRET, {"data": {"a": 5}}, f"{UNMARSHAL} number {FIELD} Secret.data of type []uint8"),
        (SECRET, {"data": {"a": "not base64!"}}, "illegal base64 data at input byte 3"),
        (SECRET, {"data": {"a": "YWJ"}}, "illegal base64 data at input byte 0"),
        (SECRET, {"data": {"a": "YW=x"}}, "illegal base64 data at input byte 2"),
        (
            POD,
            {"metadata": {"deletionTimestamp": "soon", "labels": 1}},
            'parsing time "soon" as "2006-01-02T15:04:05Z07:00": cannot parse "soon" as "2006"',
        ),
        (
            POD,
            {"metadata": {"labels": 1}, "spec": {"overhead": {"cpu": "x"}}},
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
    ],
)
def test_errors_read_as_gos(schema: Any, given: Any, text: str) -> None:
    with pytest.raises(DecodeError) as caught:
        schema.decode(given)
    assert str(caught.value) == text


def test_unknown_fields_are_reported_in_order_with_their_paths_and_dropped() -> None:
    given = pod(containers=[{"name": "c", "foo": 1}], strange={"deep": True})
    given["bogus"] = 1
    decoded = POD.decode(given)
    assert decoded.unknown == [
        'unknown field "spec.containers[0].foo"',
        'unknown field "spec.strange"',
        'unknown field "bogus"',
    ]
    assert "bogus" not in decoded.obj
    assert decoded.obj["spec"]["containers"] == [{"name": "c", "resources": {}}]


def test_nulls_in_lists_and_maps_become_zero_values() -> None:
    given = {"metadata": {"annotations": {"a": None}, "finalizers": [None]}}
    assert POD.decode(given).obj["metadata"] == {"annotations": {"a": ""}, "finalizers": [""]}


def test_both_decoders_agree() -> None:
    given = pod(containers=[{"name": "c", "image": "i", "stdin": True, "args": ["x"], "ports": [{"containerPort": 1}]}])
    assert Walker().decode(given, POD.root) == POD.decode(given).obj
