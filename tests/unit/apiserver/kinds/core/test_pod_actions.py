"""Binding and eviction: what they make of pods and of disruption budgets."""

from typing import Any

import pytest

from apiserver.kinds.core.pod.binding import bound
from apiserver.kinds.core.pod.eviction import can_ignore_budgets, spent, unhealthy_may_go
from kubeling.api.errors import StatusError
from kubeling.api.meta import Object

BINDING: Object = {"metadata": {"name": "p", "labels": {"a": "1"}}, "target": {"kind": "Node", "name": "n1"}}


def pod(status: Object | None = None, metadata: Object | None = None, **spec: Any) -> Object:
    return {"metadata": {"name": "p", **(metadata or {})}, "spec": spec, "status": status or {}}


def test_binding(strategies: Any) -> None:
    made = bound(pod({"nominatedNodeName": "n9"}, {"labels": {"b": "2"}}), BINDING, strategies.context.now)
    assert made["spec"] == {"nodeName": "n1"}
    assert made["metadata"]["labels"] == {"a": "1", "b": "2"}
    assert "nominatedNodeName" not in made["status"]
    (condition,) = made["status"]["conditions"]
    assert (condition["type"], condition["status"]) == ("PodScheduled", "True")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (pod(nodeName="n2"), 'pod p is already assigned to node "n2"'),
        (pod(schedulingGates=[{"name": "g"}]), "pod p has non-empty .spec.schedulingGates"),
        (
            pod(metadata={"deletionTimestamp": "2026-05-06T07:08:09Z"}),
            "pod p is being deleted, cannot be assigned to a host",
        ),
    ],
)
def test_pods_that_cannot_be_bound(strategies: Any, given: Object, why: str) -> None:
    with pytest.raises(StatusError) as raised:
        bound(given, BINDING, strategies.context.now)
    assert raised.value.code == 409
    assert raised.value.message == f'Operation cannot be fulfilled on pods/binding "p": {why}'


def budget(**status: Any) -> Object:
    return {"metadata": {"name": "b", "generation": 1}, "spec": {}, "status": {"observedGeneration": 1, **status}}


def test_budgets_are_spent(strategies: Any) -> None:
    made = spent(budget(disruptionsAllowed=2), "p", strategies.context.now)
    assert made["status"]["disruptionsAllowed"] == 1
    assert made["status"]["disruptedPods"] == {"p": "2026-05-06T07:08:09Z"}
    assert "conditions" not in made["status"]
    last = spent(budget(disruptionsAllowed=1), "p", strategies.context.now)
    (condition,) = last["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == (
        "DisruptionAllowed",
        "False",
        "InsufficientPods",
    )


@pytest.mark.parametrize(
    ("status", "code", "why"),
    [
        ({"observedGeneration": 0}, 429, "The disruption budget b is still being processed by the server."),
        (
            {"currentHealthy": 1, "desiredHealthy": 2},
            429,
            "The disruption budget b needs 2 healthy pods and has 1 currently",
        ),
        (
            {"currentHealthy": 2, "desiredHealthy": 2},
            429,
            "The disruption budget b does not allow evicting pods currently",
        ),
        ({"disruptionsAllowed": -1}, 403, "pdb disruptions allowed is negative"),
    ],
)
def test_budgets_that_refuse(strategies: Any, status: Object, code: int, why: str) -> None:
    with pytest.raises(StatusError) as raised:
        spent(budget(**status), "p", strategies.context.now)
    assert raised.value.code == code
    causes = raised.value.details.get("causes") or [{"message": raised.value.message}]
    assert causes[0]["message"].endswith(why)


def test_pods_without_protection() -> None:
    assert can_ignore_budgets(pod({"phase": "Succeeded"}))
    assert can_ignore_budgets(pod({"phase": "Pending"}))
    assert not can_ignore_budgets(pod({"phase": "Running"}))


def test_unhealthy_pods() -> None:
    assert unhealthy_may_go(budget(currentHealthy=2, desiredHealthy=2))
    assert not unhealthy_may_go(budget(currentHealthy=1, desiredHealthy=2))
    assert not unhealthy_may_go(budget())
    always = {**budget(currentHealthy=1, desiredHealthy=2), "spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}}
    assert unhealthy_may_go(always)
