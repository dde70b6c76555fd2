"""In-place resize: what is granted, what waits, what is told."""

from __future__ import annotations

import json
from typing import Any

from kubelet.node.admission import resize_refusal
from kubelet.pods.allocation import Allocation, requested_resizes, retry_order
from tests.unit.kubelet.test_worker import Events


def pod(cpu: str, *, running: str = "") -> dict[str, Any]:
    status = {"name": "c", "state": {"running": {}}, "resources": {"requests": {"cpu": running}}}
    return {
        "metadata": {"name": "p", "uid": "p", "generation": 2},
        "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu, "memory": "1Mi"}}}]},
        "status": {"containerStatuses": [status]} if running else {},
    }


ALLOCATABLE = {"cpu": "2", "memory": "1Gi", "pods": "10"}


def cpu_of(given: dict[str, Any]) -> str:
    return str(given["spec"]["containers"][0]["resources"]["requests"]["cpu"])


def test_a_wish_is_granted_waits_or_cannot_come_true() -> None:
    events, others = Events(), [pod("1")]
    allocation = Allocation(pod("100m"), events, lambda p: resize_refusal(p, others, ALLOCATABLE))
    allocation.consider(pod("100m"))
    assert allocation.conditions == {} and events.told == []

    allocation.consider(pod("500m"))
    assert cpu_of(allocation.allocated(pod("500m"))) == "500m"
    assert allocation.conditions == {"PodResizeInProgress": ("True", "", "")}
    allocation.applied(pod("500m"))
    assert allocation.conditions == {}

    allocation.consider(pod("1500m"))
    message = "Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000"
    assert allocation.conditions == {"PodResizePending": ("True", "Deferred", message)}
    assert cpu_of(allocation.allocated(pod("1500m"))) == "500m" and allocation.waits

    allocation.consider(pod("9"))
    message = "Node didn't have enough capacity: cpu, requested: 9000, capacity: 2000"
    assert allocation.conditions == {"PodResizePending": ("True", "Infeasible", message)}

    others.clear()
    allocation.consider(pod("1500m"))
    assert "PodResizePending" not in allocation.conditions
    allocation.failed(pod("1500m"), "no")
    allocation.failed(pod("1500m"), "no")
    assert allocation.conditions == {"PodResizeInProgress": ("True", "Error", "no")}

    names = ["ResizeStarted", "ResizeCompleted", "ResizeDeferred", "ResizeInfeasible", "ResizeStarted", "ResizeError"]
    assert events.reasons == names
    text, _, summary = events.told[2][1].partition(": ")
    assert text == "Pod resize Deferred"
    resources = {"requests": {"cpu": "1500m", "memory": "1Mi"}}
    assert json.loads(summary)["containers"] == [{"name": "c", "resources": resources}]


def test_a_new_kubelet_grants_what_runs() -> None:
    allocation = Allocation(pod("9", running="250m"), Events(), lambda p: ("Infeasible", "no"))
    assert cpu_of(allocation.allocated(pod("9"))) == "250m"


def whole(cpu: str, memory: str = "64Mi", *, told: dict[str, str] | None = None) -> dict[str, Any]:
    """A pod with resources of its own; ``told``: the requests that its status tells while it runs."""
    status = {"phase": "Running", "resources": {"requests": told}} if told else {}
    own = {"requests": {"cpu": cpu, "memory": memory}}
    spec = {"containers": [{"name": "c"}], "resources": own, "overhead": {"cpu": "100m"}}
    return {"metadata": {"name": "p", "uid": "p"}, "spec": spec, "status": status}


def test_a_pods_own_resources_are_granted_too() -> None:
    events = Events()
    allocation = Allocation(whole("1"), events, lambda p: resize_refusal(p, [], ALLOCATABLE))
    allocation.consider(whole("9"))
    message = "Node didn't have enough capacity: cpu, requested: 9100, capacity: 2000"
    assert allocation.conditions == {"PodResizePending": ("True", "Infeasible", message)}
    assert allocation.allocated(whole("9"))["spec"]["resources"]["requests"]["cpu"] == "1"
    allocation.consider(whole("1500m"))
    assert allocation.allocated(whole("1500m"))["spec"]["resources"]["requests"]["cpu"] == "1500m"
    assert events.reasons == ["ResizeInfeasible", "ResizeStarted"]


def test_a_new_kubelet_takes_equal_amounts_for_equal() -> None:
    events = Events()
    same = whole("1000m", told={"cpu": "1100m", "memory": "67108864"})
    allocation = Allocation(same, events, lambda p: ("Infeasible", "no"))
    allocation.consider(same)
    assert allocation.conditions == {} and events.told == []
    other = Allocation(whole("1", told={"cpu": "600m", "memory": "64Mi"}), events, lambda p: ("Infeasible", "no"))
    assert other.allocated(whole("1"))["spec"]["resources"]["requests"] == {"cpu": "500m", "memory": "64Mi"}


def test_which_waiting_resize_is_judged_first() -> None:
    def waiting(name: str, cpu: str, priority: int = 0, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        wanted, has = pod(cpu), pod("1")
        for given in (wanted, has):
            given["metadata"]["name"] = name
            given["spec"]["priority"] = priority
            given["spec"]["containers"][0]["resources"] |= more
        return wanted, has

    guaranteed = waiting("guaranteed", "2", limits={"cpu": "2", "memory": "1Mi"})
    found = [waiting("burstable", "2"), guaranteed, waiting("important", "3", 10), waiting("less", "500m")]
    order = [wanted["metadata"]["name"] for wanted, _ in sorted(found, key=lambda pair: retry_order(*pair))]
    assert order == ["less", "important", "guaranteed", "burstable"]


def test_what_is_asked_for_otherwise() -> None:
    old, new = pod("1"), pod("500m")
    assert requested_resizes(old, old) == requested_resizes(old, pod("1000m")) == []
    assert requested_resizes(old, new) == [("cpu", "requests", "decrease")]
    new["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "2"}, "limits": {"memory": "1Gi"}}
    assert sorted(requested_resizes(old, new)) == [
        ("cpu", "requests", "increase"),
        ("memory", "limits", "add"),
        ("memory", "requests", "remove"),
    ]
