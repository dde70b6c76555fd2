"""Invariants over random clusters, checked by counting anew what the scheduler keeps up to date."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from scheduler.cache import Cache
from scheduler.framework.profile import Profile
from scheduler.framework.schedule import schedule
from scheduler.model.pod import PodInfo
from scheduler.plugins import DEFAULT_PROFILE
from tests.unit.scheduler.worlds import cluster, node, pod

ZONE = "topology.kubernetes.io/zone"
HOST = "kubernetes.io/hostname"


def random_pod(rng: random.Random, index: int) -> PodInfo:
    app = rng.choice("abc")
    selector = {"matchLabels": {"app": app}}
    spec: dict[str, Any] = {"cpu": f"{rng.randrange(1, 16)}00m", "priority": rng.choice((0, 0, 5, 10))}
    if rng.random() < 0.3:
        when = "requiredDuringSchedulingIgnoredDuringExecution"
        other = {"matchLabels": {"app": rng.choice("abc")}}
        term = {"labelSelector": other, "topologyKey": rng.choice((ZONE, HOST))}
        spec["affinity"] = {"podAntiAffinity": {when: [term]}}
    if rng.random() < 0.3:
        constraint = {
            "topologyKey": ZONE,
            "maxSkew": 1,
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": selector,
        }
        spec["topologySpreadConstraints"] = [constraint]
    if rng.random() < 0.2:
        spec["ports"] = [{"hostPort": 8080, "containerPort": 8080}]
    return pod(f"p{index}", labels={"app": app}, **spec)


def domain(cache: Cache, on: str, key: str) -> str | None:
    found = cache.node(on)
    return found.labels.get(key) if found is not None else None


def check_capacity(cache: Cache) -> None:
    for info in cache.nodes:
        assert sum(p.requests["cpu"] for p in info.pods.values()) <= info.allocatable["cpu"]
        ports = Counter(port for p in info.pods.values() for port in p.ports)
        assert max(ports.values(), default=1) == 1


def check_anti_affinity(cache: Cache) -> None:
    """No pod has in its domains what it, or they, keep away."""
    placed = [(info, p) for info in cache.nodes for p in info.pods.values()]
    for info, one in placed:
        for term in one.affinity.anti_required:
            there = domain(cache, info.name, term.topology_key)
            for other_info, other in placed:
                if other is not one and term.selector.matches(other.labels):
                    assert there is None or domain(cache, other_info.name, term.topology_key) != there


def check_skew(cache: Cache, placed: PodInfo, on: str) -> None:
    """Right after its placement a pod's own zone has at most one pod of its kind more than the emptiest zone."""
    if not placed.spec.get("topologySpreadConstraints"):
        return
    counts = dict.fromkeys({info.labels[ZONE] for info in cache.nodes}, 0)
    for info in cache.nodes:
        counts[info.labels[ZONE]] += sum(p.labels == placed.labels for p in info.pods.values())
    zone = domain(cache, on, ZONE)
    assert zone is not None and counts[zone] - min(counts.values()) <= 1


@pytest.mark.parametrize("seed", range(12))
def test_no_decision_breaks_a_rule(seed: int) -> None:
    rng = random.Random(seed)
    cache = cluster(*(node(f"n{i}", labels={ZONE: f"z{i % 3}"}) for i in range(6)), seed=seed)
    profile = Profile.of(DEFAULT_PROFILE)
    start = placed = evicted = 0
    for index in range(120):
        wanted = random_pod(rng, index)
        decision = schedule(wanted, cache, profile, rng, start)
        start = decision.next_start
        if decision.preemption is not None:
            made = decision.preemption
            assert all(v.priority < wanted.priority for v in made.victims)
            for victim in made.victims:
                cache.remove_pod(victim.uid)
            evicted += len(made.victims)
            wanted = PodInfo({**wanted.obj, "status": {"nominatedNodeName": made.node}})
            cache.nominate(wanted, made.node)
            decision = schedule(wanted, cache, profile, rng, start)
            assert decision.node == made.node  # the place that was made is enough
        if decision.node:
            cache.assume(wanted, decision.node)
            placed += 1
            check_capacity(cache)
            check_anti_affinity(cache)
            check_skew(cache, wanted, decision.node)
        elif rng.random() < 0.5:  # something ends
            pods = [p for info in cache.nodes for p in info.pods.values()]
            cache.remove_pod(rng.choice(pods).uid) if pods else None
    assert placed > 20 and evicted > 0
