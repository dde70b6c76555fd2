"""What pods ask for in all: ``tests/unit/apiserver/admission/test_limits.py`` has the sums, here is what a resize does."""

from __future__ import annotations

from typing import Any

import pytest

from kubeling.api.podresources import pod_limits, pod_requests


def pod(wanted: str, has: str, allocated: str, **condition: str) -> dict[str, Any]:
    container = {"name": "c", "resources": {"requests": {"cpu": wanted}, "limits": {"cpu": wanted}}}
    given = {
        "name": "c",
        "resources": {"requests": {"cpu": has}, "limits": {"cpu": has}},
        "allocatedResources": {"cpu": allocated},
    }
    conditions = [{"type": "PodResizePending", "status": "True", **condition}] if condition else []
    return {"spec": {"containers": [container]}, "status": {"containerStatuses": [given], "conditions": conditions}}


@pytest.mark.parametrize(
    ("obj", "requests", "limits"),
    [
        (pod("2", "1", "1"), "2", "2"),
        (pod("1", "2", "3"), "3", "2"),
        (pod("9", "2", "1", reason="Infeasible"), "2", "2"),
        (pod("9", "2", "1", reason="Deferred"), "9", "9"),
    ],
)
def test_while_a_resize_is_under_way_the_larger_counts(obj: Any, requests: str, limits: str) -> None:
    assert str(pod_requests(obj, observed=True)["cpu"]) == requests
    assert str(pod_limits(obj, observed=True)["cpu"]) == limits
    assert str(pod_requests(obj)["cpu"]) == obj["spec"]["containers"][0]["resources"]["requests"]["cpu"]


def test_what_an_init_container_has_counts_while_it_stays() -> None:
    sidecar = {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "1"}}}
    given = {"name": "s", "resources": {"requests": {"cpu": "3"}}}
    obj: Any = {"spec": {"containers": [], "initContainers": [sidecar]}, "status": {"initContainerStatuses": [given]}}
    assert str(pod_requests(obj, observed=True)["cpu"]) == "3"
    del sidecar["restartPolicy"]
    assert str(pod_requests(obj, observed=True)["cpu"]) == "1"
