"""The loop and the world's changes, with an API of the tests' own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from kubeling.api.errors import conflict, service_unavailable
from kubeling.api.meta import Object
from kubeling.client.clock import FakeClock
from scheduler.__main__ import queue_rules
from scheduler.config import Configuration
from scheduler.framework.events import ClusterEvent
from scheduler.framework.plugin import Plugin, Preemption, Waiting
from scheduler.framework.profile import Entry, Profile
from scheduler.framework.status import PluginError, Rejection, reject
from scheduler.metrics import SchedulerMetrics
from scheduler.model.pod import PodInfo
from scheduler.plugins import DEFAULT_PROFILE
from scheduler.queue import SchedulingQueue
from scheduler.scheduler import Scheduler
from scheduler.world import World, node_events
from tests.unit.scheduler.worlds import Listed, cluster, node, pod


class Api:
    """Stands for the writer: what the scheduler wrote, and what goes wrong."""

    def __init__(self) -> None:
        self.bound: dict[str, str] = {}
        self.unscheduled: dict[str, tuple[str, str, str]] = {}
        self.evicted: list[str] = []
        self.told: list[tuple[str, str]] = []
        self.failures: list[Exception] = []

    async def bind(self, info: PodInfo, on: str) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.bound[info.key.name] = on

    def tell_scheduled(self, info: PodInfo, on: str) -> None:
        self.told.append((info.key.name, "Scheduled"))

    def tell_failed(self, info: PodInfo, message: str) -> None:
        self.told.append((info.key.name, message))

    async def set_unscheduled(self, info: PodInfo, reason: str, message: str, nominated: str) -> None:
        self.unscheduled[info.key.name] = (reason, message, nominated)

    async def evict(self, preemptor: PodInfo, preemption: Preemption) -> None:
        self.evicted += [v.key.name for v in preemption.victims]

    async def take_claim(self, claim: Object, info: PodInfo, allocation: Object | None) -> Object:
        return claim

    async def clear_nomination(self, info: PodInfo) -> None:
        self.unscheduled[info.key.name] = ("", "", "")


class Setting:
    def __init__(self, *extra: type[Plugin]) -> None:
        self.clock, self.api, self.cache = FakeClock(), Api(), cluster()
        self.profiles = {
            "default-scheduler": Profile.of((*DEFAULT_PROFILE[:-1], *map(Entry, extra), DEFAULT_PROFILE[-1]))
        }
        self.queue = SchedulingQueue(queue_rules(self.profiles, Configuration()), self.clock)
        self.world = World(self.cache, self.queue, self.profiles)
        self.scheduler = Scheduler(
            self.profiles,
            self.cache,
            self.queue,
            self.api,  # type: ignore[arg-type]  # all that the scheduler calls
            rng=random.Random(1),
            clock=self.clock,
            metrics=SchedulerMetrics(CollectorRegistry()),
        )

    def see(self, *items: Any) -> None:
        for item in items:
            if isinstance(item, PodInfo):
                self.world.pod_changed(None, item.obj)
            else:
                self.world.node_changed(None, item)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.scheduler.run())
        await self.clock.advance(0.01)
        yield
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


async def test_a_pod_is_bound_and_counts_before_the_api_shows_it() -> None:
    setting = Setting()
    setting.see(node("n"), pod("a", cpu="3"), pod("b", cpu="3"))
    async with setting.running():
        assert setting.api.bound == {"a": "n"}
        assert ("a", "Scheduled") in setting.api.told
        reason, message, _ = setting.api.unscheduled["b"]
        assert reason == "Unschedulable" and "1 Insufficient cpu" in message
        assert ("b", message) in setting.api.told


async def test_a_failed_binding_gives_the_place_back_and_is_tried_again() -> None:
    setting = Setting()
    setting.api.failures = [service_unavailable("later")]
    setting.see(node("n"), pod("a", cpu="3"))
    async with setting.running():
        assert setting.api.unscheduled["a"] == ("SchedulerError", "later", "")
        info = setting.cache.node("n")
        assert info is not None and not info.pods
        await setting.clock.advance(1.1)
        assert setting.api.bound == {"a": "n"}


async def test_a_pod_that_changed_meanwhile_is_tried_again_without_alarm() -> None:
    setting = Setting()
    setting.api.failures = [conflict("", "pods", "a")]
    setting.see(node("n"), pod("a"))
    async with setting.running():
        assert setting.api.unscheduled == {}
        await setting.clock.advance(1.1)
        assert setting.api.bound == {"a": "n"}


async def test_victims_are_evicted_and_the_place_is_kept() -> None:
    setting = Setting()
    setting.see(node("n"), pod("low", on="n", cpu="4"))
    setting.see(pod("vip", cpu="3", priority=10), pod("other", cpu="2", priority=1))
    async with setting.running():
        assert setting.api.evicted == ["low"]
        assert setting.api.unscheduled["vip"][2] == "n"
        setting.world.pod_changed(pod("low", on="n", cpu="4").obj, None)
        await setting.clock.advance(2)
        assert setting.api.bound == {"vip": "n"}


async def test_a_node_that_comes_wakes_those_that_wait() -> None:
    setting = Setting()
    setting.see(pod("a"))
    async with setting.running():
        assert setting.api.unscheduled["a"][1] == "no nodes available to schedule pods"
        await setting.clock.advance(2)
        setting.see(node("n"))
        await setting.clock.advance(0.1)
        assert setting.api.bound == {"a": "n"}


class Gatekeeper(Plugin):
    """At Permit says no to ``never``, lets ``slow`` and ``late`` wait; breaks at PreBind for ``broken``."""

    name = "Gatekeeper"
    helped_by = frozenset({ClusterEvent.NODE_ADDED})

    def __init__(self, args: Mapping[str, Any]) -> None:
        super().__init__(args)
        self.waiting: dict[str, Waiting] = {}

    def permit(self, info: PodInfo, on: str) -> Rejection | Waiting | None:
        if info.key.name == "never":
            return reject("not with me", plugin=self.name)
        if info.key.name not in ("slow", "late"):
            return None
        return self.waiting.setdefault(info.key.name, Waiting(5.0, asyncio.get_running_loop().create_future()))

    async def pre_bind(self, info: PodInfo, on: str) -> Rejection | None:
        if info.key.name == "broken":
            raise ValueError("a defect")
        return None


async def test_permit_and_pre_bind() -> None:
    setting = Setting(Gatekeeper)
    setting.see(node("n"), *map(pod, ("never", "slow", "late", "broken", "plain")))
    gatekeeper = setting.profiles["default-scheduler"].plugins["Gatekeeper"]
    assert isinstance(gatekeeper, Gatekeeper)
    async with setting.running():
        assert setting.api.bound == {"plain": "n"}
        assert setting.api.unscheduled["never"][1] == "0/1 nodes are available: 1 not with me."
        assert setting.api.unscheduled["broken"][:2] == ("SchedulerError", "a defect")
        gatekeeper.waiting["slow"].verdict.set_result(None)
        await setting.clock.advance(0.1)
        assert set(setting.api.bound) == {"plain", "slow"}
        await setting.clock.advance(5.1)
        timeout = "rejected due to timeout after waiting 5s at plugin Gatekeeper"
        assert setting.api.unscheduled["late"][1] == f"0/1 nodes are available: 1 {timeout}."
        info = setting.cache.node("n")
        assert info is not None and set(info.pods) == {"plain", "slow"}


class Defective(Plugin):
    """Breaks for one pod."""

    name = "Defective"

    def filter(self, info: PodInfo, snapshot: object) -> None:
        if info.key.name == "bad":
            raise RuntimeError("a defect")


class Undecided(Plugin):
    """Cannot say yes or no to one pod."""

    name = "Undecided"

    def filter(self, info: PodInfo, snapshot: object) -> None:
        if info.key.name == "odd":
            raise PluginError("selector #0: no such key: x")


async def test_a_plugin_that_cannot_decide_ends_the_attempt(caplog: pytest.LogCaptureFixture) -> None:
    setting = Setting(Undecided)
    setting.see(node("n"), pod("odd"), pod("good"))
    async with setting.running():
        assert setting.api.bound == {"good": "n"}
        assert setting.api.unscheduled["odd"][:2] == ("SchedulerError", "selector #0: no such key: x")
    assert not any(record.exc_info for record in caplog.records)  # no defect of ours


async def test_a_plugins_defect_is_one_pods_failure() -> None:
    setting = Setting(Defective)
    setting.see(node("n"), pod("bad"), pod("good"))
    async with setting.running():
        assert setting.api.bound == {"good": "n"}
        assert setting.api.unscheduled["bad"][:2] == ("SchedulerError", "a defect")


async def test_gated_deleted_and_foreign_pods() -> None:
    setting = Setting()
    gated, free = pod("gated", schedulingGates=[{"name": "x"}]), pod("gated")
    leaving = pod("leaving", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    setting.see(node("n"), gated, leaving, pod("foreign", schedulerName="other"))
    async with setting.running():
        assert setting.api.bound == {} and setting.queue.sizes()["gated"] == 1
        setting.world.pod_changed(gated.obj, free.obj)
        await setting.clock.advance(0.1)
        assert setting.api.bound == {"gated": "n"}


async def test_a_pod_comes_in_with_its_claim() -> None:
    setting, claims = Setting(), Listed(ResourceClaim=[])
    setting.cache.listers = claims
    waiting = pod("p", resourceClaims=[{"name": "c", "resourceClaimName": "c"}])
    setting.see(node("n"), waiting)
    async with setting.running():
        setting.world._happened(ClusterEvent.RESOURCE_CLAIM)
        await setting.clock.advance(0.1)
        assert setting.queue.sizes()["gated"] == 1 and setting.api.unscheduled == {}
        claims.kinds["ResourceClaim"].append(
            {"metadata": {"name": "c", "namespace": "default", "uid": "c"}, "spec": {}}
        )
        setting.world._happened(ClusterEvent.RESOURCE_CLAIM)
        await setting.clock.advance(0.1)
        assert setting.api.bound == {"p": "n"}


async def test_a_finished_pod_frees_its_place() -> None:
    setting = Setting()
    running = pod("job", on="n", cpu="4")
    setting.see(node("n"), running, pod("next", cpu="2"))
    async with setting.running():
        assert setting.api.bound == {}
        await setting.clock.advance(2)
        setting.world.pod_changed(running.obj, pod("job", on="n", cpu="4", status={"phase": "Succeeded"}).obj)
        await setting.clock.advance(0.1)
        assert setting.api.bound == {"next": "n"}


@pytest.mark.parametrize(
    ("change", "events"),
    [
        ({}, []),
        ({"unschedulable": True}, [ClusterEvent.NODE_TAINTS]),
        ({"labels": {"a": "b"}}, [ClusterEvent.NODE_LABELS]),
        ({"allocatable": {"cpu": "8"}}, [ClusterEvent.NODE_ALLOCATABLE]),
        ({"images": {"web:1": 5}}, [ClusterEvent.NODE_OTHER]),
    ],
)
def test_what_about_a_node_matters(change: dict[str, Any], events: list[ClusterEvent]) -> None:
    new = node("n", **change)
    new["status"]["conditions"] = [{"type": "Ready", "lastHeartbeatTime": "now"}]
    assert list(node_events(node("n"), new)) == events


def test_entries_keep_their_class() -> None:
    entry = replace(DEFAULT_PROFILE[2], off=frozenset({"filter"}))
    assert not entry.active("filter") and entry.active("score")
