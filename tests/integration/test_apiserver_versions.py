"""Managers of fields that speak different versions of one kind."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

APPLY = {"content-type": "application/apply-patch+yaml"}
TARGET = {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"}


def cpu(percent: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def autoscaler(version: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"autoscaling/{version}", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "a"}, "spec": spec,
    }  # fmt: skip


def path(namespace: str, version: str) -> str:
    return f"/apis/autoscaling/{version}/namespaces/{namespace}/horizontalpodautoscalers/a"


@pytest.fixture
def applied(api: httpx.Client, namespace: str) -> str:
    """An autoscaler that manager ``two`` applied in v2."""
    body = autoscaler("v2", scaleTargetRef=TARGET, maxReplicas=5, metrics=[cpu(50)])
    made = api.patch(path(namespace, "v2"), json=body, headers=APPLY, params={"fieldManager": "two"})
    assert made.status_code in (200, 201), made.text
    return namespace


def fields_of(api: httpx.Client, namespace: str, manager: str) -> dict[str, Any]:
    found = api.get(path(namespace, "v2")).json()["metadata"]["managedFields"]
    (entry,) = [m for m in found if m["manager"] == manager]
    return dict(entry["fieldsV1"]["f:spec"])


def test_an_apply_in_another_version_conflicts_where_its_fields_mean_the_same(api: httpx.Client, applied: str) -> None:
    body = autoscaler("v1", targetCPUUtilizationPercentage=70)
    refused = api.patch(path(applied, "v1"), json=body, headers=APPLY, params={"fieldManager": "one"})
    assert refused.status_code == 409, refused.text
    (cause,) = refused.json()["details"]["causes"]
    assert (cause["field"], cause["message"]) == (".spec.metrics", 'conflict with "two"')
    params = {"fieldManager": "one", "force": "true"}
    assert api.patch(path(applied, "v1"), json=body, headers=APPLY, params=params).status_code == 200
    assert "f:metrics" not in fields_of(api, applied, "two")
    assert fields_of(api, applied, "one") == {"f:targetCPUUtilizationPercentage": {}}
    assert api.get(path(applied, "v2")).json()["spec"]["metrics"] == [cpu(70)]


def test_an_update_in_another_version_takes_fields(api: httpx.Client, applied: str) -> None:
    seen = api.get(path(applied, "v1")).json()
    seen["spec"]["targetCPUUtilizationPercentage"] = 60
    changed = api.put(path(applied, "v1"), json=seen, params={"fieldManager": "writer"})
    assert changed.status_code == 200, changed.text
    assert "f:metrics" not in fields_of(api, applied, "two")
    assert fields_of(api, applied, "two")["f:maxReplicas"] == {}


def test_what_an_applier_drops_in_another_version_goes(api: httpx.Client, applied: str) -> None:
    """The metrics were applied in v2; the same manager no longer has them when it applies in v1."""
    body = autoscaler("v1", scaleTargetRef=TARGET, maxReplicas=6)
    changed = api.patch(path(applied, "v1"), json=body, headers=APPLY, params={"fieldManager": "two"})
    assert changed.status_code == 200, changed.text
    spec = api.get(path(applied, "v2")).json()["spec"]
    assert spec["maxReplicas"] == 6
    assert spec["metrics"] == [cpu(80)]  # the default
