"""Resources as statuses tell them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kubelet.pods.in_force import told_of_container, told_of_pod
from kubelet.runtime.records import ContainerRecord, State
from kubelet.runtime.specs import PodRef, Resources

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def record(state: State = State.RUNNING, **resources: int) -> ContainerRecord:
    return ContainerRecord("id", PodRef("ns", "p", "p"), "c", 0, state, NOW, NOW, resources=Resources(**resources))


@pytest.mark.parametrize(
    ("resources", "actual", "told"),
    [
        ({}, {"cpu_shares": 2}, {}),
        # what is equal stays as it is written, in whatever unit
        (
            {"limits": {"cpu": "0.5", "memory": "1000k"}, "requests": {"cpu": "100m", "memory": "1M"}},
            {"cpu_shares": 102, "cpu_quota": 50_000, "cpu_period": 100_000, "memory": 1_000_000},
            {"limits": {"cpu": "0.5", "memory": "1000k"}, "requests": {"cpu": "100m", "memory": "1M"}},
        ),
        # a resize on its way
        (
            {"limits": {"cpu": "1", "memory": "64Mi"}, "requests": {"cpu": "1", "memory": "64Mi"}},
            {"cpu_shares": 512, "cpu_quota": 50_000, "memory": 32 << 20},
            {"limits": {"cpu": "500m", "memory": "32Mi"}, "requests": {"cpu": "500m", "memory": "64Mi"}},
        ),
        # below what the kernel can tell
        (
            {"limits": {"cpu": "5m"}, "requests": {"cpu": "1m"}},
            {"cpu_shares": 2, "cpu_quota": 1000},
            {"limits": {"cpu": "5m"}, "requests": {"cpu": "1m"}},
        ),
        # held to the pod's limits, of which it says nothing
        ({"requests": {"cpu": "1"}}, {"cpu_shares": 1024, "memory": 64 << 20}, {"requests": {"cpu": "1"}}),
    ],
)
def test_of_a_running_container(resources: dict[str, Any], actual: dict[str, int], told: dict[str, Any]) -> None:
    found = told_of_container({"name": "c", "resources": resources}, record(**actual))
    requests = {"allocatedResources": resources["requests"]} if "requests" in resources else {}
    assert found == {**requests, "resources": told}


def test_of_containers_that_do_not_run() -> None:
    container = {"name": "c", "resources": {"requests": {"cpu": "1"}}}
    assert told_of_container(container, None) == told_of_container(container, record(State.CREATED)) == {}
    assert told_of_container(container, record(State.EXITED, cpu_shares=2)) == {
        "allocatedResources": {"cpu": "1"},
        "resources": {"requests": {"cpu": "1"}},
    }


def pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {},
        "spec": {"containers": [{"name": str(i), "resources": r} for i, r in enumerate(containers)], **spec},
    }


def test_of_a_whole_pod() -> None:
    assert told_of_pod(pod({}), running=True) == {"resources": {}}
    two = pod({"requests": {"cpu": "100m"}, "limits": {"cpu": "1"}}, {"requests": {"cpu": "200m", "memory": "1Mi"}})
    requests = {"cpu": "300m", "memory": "1Mi"}
    # one container is not limited: neither is the pod's control group
    assert told_of_pod(two, running=True) == {"allocatedResources": requests, "resources": {"requests": requests}}
    assert told_of_pod(two, running=False)["resources"] == {"limits": {"cpu": "1"}, "requests": requests}
    whole = pod(
        {"requests": {"cpu": "100m"}},
        resources={"requests": {"cpu": "1", "hugepages-2Mi": "2Mi"}, "limits": {"memory": "64Mi"}},
        overhead={"cpu": "250m", "memory": "1Mi"},
    )
    assert told_of_pod(whole, running=True) == {
        "allocatedResources": {"cpu": "1250m", "hugepages-2Mi": "2Mi", "memory": "1Mi"},
        "resources": {
            "limits": {"memory": "65Mi"},
            "requests": {"cpu": "1250m", "hugepages-2Mi": "2Mi", "memory": "1Mi"},
        },
    }
