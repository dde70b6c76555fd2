from __future__ import annotations

from typing import Any

import pytest

from tests.unit.scheduler.worlds import Listed, cluster, decide, node, pod, why


def victims(wanted: Any, *world: Any, listers: Listed | None = None) -> tuple[str, set[str]]:
    preemption = decide(wanted, cluster(*world, listers=listers)).preemption
    assert preemption is not None
    return preemption.node, {v.key.name for v in preemption.victims}


def test_the_least_important_and_as_few_as_needed() -> None:
    world = [node("n"), pod("low", on="n", cpu="2", priority=1), pod("mid", on="n", cpu="2", priority=5)]
    assert victims(pod(cpu="2", priority=10), *world) == ("n", {"low"})
    assert victims(pod(cpu="4", priority=10), *world) == ("n", {"low", "mid"})


def test_equals_are_left_alone() -> None:
    world = [node("n"), pod(on="n", cpu="4", priority=10)]
    assert decide(pod(cpu="2", priority=10), cluster(*world)).preemption is None


def test_the_node_with_the_least_harm() -> None:
    world = [
        node("n1"), pod("a", on="n1", cpu="4", priority=5),
        node("n2"), pod("b", on="n2", cpu="4", priority=3),
        node("n3"), pod("c", on="n3", cpu="2", priority=3), pod("d", on="n3", cpu="2", priority=3),
    ]  # fmt: skip
    assert victims(pod(cpu="4", priority=10), *world) == ("n2", {"b"})


def test_the_younger_victim_among_equals() -> None:
    def started(name: str, on: str, at: str) -> Any:
        return pod(name, on=on, cpu="4", status={"startTime": at})

    world = [
        node("n1"),
        started("old", "n1", "2026-01-01T00:00:00Z"),
        node("n2"),
        started("new", "n2", "2026-01-02T00:00:00Z"),
    ]
    assert victims(pod(cpu="4", priority=10), *world) == ("n2", {"new"})


def test_disruption_budgets_are_honoured_where_possible() -> None:
    budget = {
        "metadata": {"name": "b", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "db"}}},
        "status": {"disruptionsAllowed": 0},
    }
    world = [
        node("n1"), pod("guarded", on="n1", cpu="4", labels={"app": "db"}, priority=1),
        node("n2"), pod("free", on="n2", cpu="4", priority=5),
    ]  # fmt: skip
    assert victims(pod(cpu="4", priority=10), *world, listers=Listed(PodDisruptionBudget=[budget])) == ("n2", {"free"})
    assert victims(pod(cpu="4", priority=10), *world) == ("n1", {"guarded"})


def test_anti_affinity_is_solved_by_eviction_too() -> None:
    term = {"labelSelector": {"matchLabels": {"app": "a"}}, "topologyKey": "kubernetes.io/hostname"}
    apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    world = [node("n"), pod("a", on="n", labels={"app": "a"}), pod("b", on="n", labels={"app": "b"})]
    assert victims(pod(priority=10, affinity=apart), *world) == ("n", {"a"})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"preemptionPolicy": "Never"}, "preemption: not eligible due to preemptionPolicy=Never."),
        (
            {"status": {"nominatedNodeName": "n"}},
            "preemption: not eligible due to a terminating pod on the nominated node.",
        ),
    ],
)
def test_who_may_not_preempt(spec: dict[str, Any], message: str) -> None:
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
    leaving = pod(
        "leaving",
        on="n",
        cpu="4",
        status={"conditions": [condition]},
        metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"},
    )
    told = why(pod(cpu="2", priority=10, **spec), cluster(node("n"), leaving))
    assert told == f"0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, {message}"


def test_the_place_made_for_one_is_not_given_to_a_lesser() -> None:
    cache = cluster(node("n"))
    cache.nominate(pod("vip", cpu="3", priority=10), "n")
    assert decide(pod(cpu="2", priority=1), cache).node == ""
    assert decide(pod(cpu="2", priority=20), cache).node == "n"
    assert decide(pod(cpu="1", priority=1), cache).node == "n"
