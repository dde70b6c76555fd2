from __future__ import annotations

import random

from kubeling.api.selectors import from_map
from scheduler.framework.schedule import enough
from scheduler.model.counts import Question
from scheduler.model.node import NodeInfo
from tests.unit.scheduler.worlds import cluster, node, pod

QUESTION = Question("default", from_map({"app": "a"}))


def test_assumed_pods_count_until_they_are_forgotten() -> None:
    cache = cluster(node("n"))
    waiting = pod("a", cpu="1")
    cache.assume(waiting, "n")
    info = cache.node("n")
    assert info is not None and info.requested["cpu"] == 1000 and cache.is_assumed("a")
    cache.forget("a")
    assert info.requested["cpu"] == 0 and not info.pods


def test_a_bound_pod_is_not_forgotten() -> None:
    cache = cluster(node("n"))
    cache.assume(pod("a", cpu="1"), "n")
    cache.set_pod(pod("a", on="n", cpu="2"))
    cache.forget("a")
    info = cache.node("n")
    assert info is not None and info.requested["cpu"] == 2000


def test_pods_may_come_before_their_node_and_stay_after_it() -> None:
    cache = cluster(pod("a", on="n", cpu="1"))
    assert cache.node("n") is None
    cache.set_node(node("n"))
    info = cache.node("n")
    assert info is not None and info.requested["cpu"] == 1000
    cache.remove_node("n")
    assert list(cache.nodes) == [] and cache.node("n") is None
    cache.remove_pod("a")
    cache.set_node(node("n"))
    assert cache.node("n").pods == {}  # type: ignore[union-attr]


def test_counts_are_right_after_any_history() -> None:
    """The incremental answers equal those counted anew."""
    rng = random.Random(7)
    cache = cluster(*(node(f"n{i}") for i in range(4)))
    for step in range(400):
        name = f"p{rng.randrange(12)}"
        labels = {"app": rng.choice("ab")}
        match rng.randrange(5):
            case 0 | 1:
                cache.set_pod(pod(name, on=f"n{rng.randrange(5)}", labels=labels))
            case 2:
                cache.assume(pod(name, labels=labels), f"n{rng.randrange(4)}")
            case 3:
                cache.remove_pod(name) if rng.random() < 0.5 else cache.forget(name)
            case 4:
                number = rng.randrange(4)
                cache.remove_node(f"n{number}") if rng.random() < 0.5 else cache.set_node(node(f"n{number}"))
        counted = {n.name: c for n in cache.nodes if (c := sum(p.labels.get("app") == "a" for p in n.pods.values()))}
        assert dict(cache.count(QUESTION)) == counted, step
        fresh = {n.name: NodeInfo.of(n.node, n.pods.values()) for n in cache.nodes if n.node}
        assert all(fresh[n.name].requested == {k: v for k, v in n.requested.items() if v} for n in cache.nodes)


def test_how_many_nodes_are_enough() -> None:
    assert [enough(n, 0) for n in (10, 99, 100, 1000, 5000, 10000)] == [10, 99, 100, 420, 500, 500]
    assert (enough(1000, 30), enough(1000, 100)) == (300, 1000)
