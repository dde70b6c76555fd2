"""The proxy's loop with a kernel, a host and an API of the tests' own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from kubeling.api.resource import Resource
from kubeling.client.clock import FakeClock
from kubeling.client.store import Store
from kubeproxy.healthcheck import HealthChecks
from kubeproxy.metrics import ProxyMetrics
from kubeproxy.nft import NftError, Part
from kubeproxy.nodeports import NodePortReserver
from kubeproxy.proxy import Proxy, SyncTimes
from kubeproxy.render import Settings


class FakeInformer:
    def __init__(self) -> None:
        self.store = Store()
        self.synced = asyncio.Event()
        self.handlers: list[Callable[..., None]] = []

    def add_handler(self, handler: Callable[..., None]) -> None:
        self.handlers.append(handler)

    async def wait_synced(self) -> None:
        await self.synced.wait()

    def put(self, obj: dict[str, Any]) -> None:
        old = self.store.put(obj)
        for handler in self.handlers:
            handler(old, obj)


class FakeInformers:
    def __init__(self) -> None:
        self.by_kind: dict[str, FakeInformer] = {}

    def informer(self, resource: Resource) -> FakeInformer:
        return self.by_kind.setdefault(resource.kind, FakeInformer())

    async def run(self) -> None:
        for informer in self.by_kind.values():
            informer.synced.set()
        await asyncio.Event().wait()


class FakeNft:
    def __init__(self) -> None:
        self.texts: list[str] = []
        self.table: frozenset[Part] | None = None
        self.broken = False

    async def existing(self) -> frozenset[Part] | None:
        return self.table

    async def apply(self, text: str) -> bool:
        if self.broken:
            raise NftError("no")
        self.texts.append(text)
        self.table = frozenset()
        return True


class FakeHost:
    def __init__(self) -> None:
        self.name = "br0"
        self.hairpins = 0

    def bridge(self) -> str:
        return self.name

    def sees_bridged_packets(self) -> bool:
        return True

    async def prepare(self, bridge: str) -> None: ...

    def allow_hairpin(self, bridge: str) -> None:
        self.hairpins += 1


class FakeConntrack:
    def __init__(self) -> None:
        self.cleaned = 0

    async def clean(self, ports: object) -> int:
        self.cleaned += 1
        return 0


class World:
    def __init__(self) -> None:
        self.informers = FakeInformers()
        self.nft, self.host, self.conntrack, self.clock = FakeNft(), FakeHost(), FakeConntrack(), FakeClock()
        self.proxy = Proxy(
            self.informers,  # type: ignore[arg-type]  # the part that the proxy uses
            Settings("t", "10.244.0.0/16", "10.96.0.0/16"),
            nft=self.nft,  # type: ignore[arg-type]
            host=self.host,  # type: ignore[arg-type]
            conntrack=self.conntrack,  # type: ignore[arg-type]
            reserver=NodePortReserver(),
            health_checks=HealthChecks(),
            own_node="n1",
            times=SyncTimes(minimum=0.1, full=30),
            metrics=ProxyMetrics(CollectorRegistry()),
            clock=self.clock,
        )

    def service(self, name: str, ip: str, protocol: str = "TCP") -> None:
        ports = [{"name": "p", "port": 80, "protocol": protocol}]
        metadata = {"namespace": "default", "name": name}
        self.informers.by_kind["Service"].put({"metadata": metadata, "spec": {"clusterIP": ip, "ports": ports}})

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.proxy.run())
        await self.clock.advance(0.2)
        yield
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture
async def world() -> World:
    return World()


async def test_an_empty_table_comes_before_the_first_service_is_known(world: World) -> None:
    async with world.running():
        assert "service-range-check" in world.nft.texts[0]
        assert not world.proxy.synced()


async def test_a_table_of_an_earlier_run_stays_until_all_is_known(world: World) -> None:
    world.nft.table = frozenset({Part("chain", "services")})
    task = asyncio.create_task(world.proxy._first_rules())  # what happens before anything is known
    await task
    assert world.nft.texts == []


async def test_a_change_is_applied_at_once_and_a_burst_in_one_go(world: World) -> None:
    async with world.running():
        before = len(world.nft.texts)
        world.service("a", "10.96.0.1")
        await world.clock.advance(0.001)
        assert len(world.nft.texts) == before + 1 and "10.96.0.1" in world.nft.texts[-1]
        for i in range(2, 20):
            world.service(f"s{i}", f"10.96.0.{i}")
            await world.clock.advance(0.001)
        await world.clock.advance(0.2)
        assert len(world.nft.texts) == before + 2 and "10.96.0.19" in world.nft.texts[-1]


async def test_nothing_is_written_when_nothing_changes(world: World) -> None:
    async with world.running():
        before = len(world.nft.texts)
        world.informers.by_kind["Service"].put(
            {"metadata": {"namespace": "x", "name": "headless"}, "spec": {"clusterIP": "None"}}
        )
        await world.clock.advance(70)
        assert len(world.nft.texts) == before
        assert world.host.hairpins >= 3


async def test_a_table_that_somebody_took_away_comes_back(world: World) -> None:
    async with world.running():
        before = len(world.nft.texts)
        world.nft.table = None
        await world.clock.advance(31)
        assert len(world.nft.texts) == before + 1


async def test_a_failure_is_tried_again(world: World) -> None:
    world.nft.broken = True
    async with world.running():
        world.service("a", "10.96.0.1")
        await world.clock.advance(5)
        world.nft.broken = False
        await world.clock.advance(2)
        assert "10.96.0.1" in world.nft.texts[-1]


async def test_udp_flows_are_looked_at_when_udp_services_change(world: World) -> None:
    async with world.running():
        world.service("tcp", "10.96.0.1")
        await world.clock.advance(1)
        assert world.conntrack.cleaned == 0
        world.service("udp", "10.96.0.2", "UDP")
        await world.clock.advance(1)
        assert world.conntrack.cleaned == 1


async def test_the_rules_stay_when_the_proxy_ends(world: World) -> None:
    async with world.running():
        world.service("a", "10.96.0.1")
        await world.clock.advance(1)
    assert world.nft.table is not None and "10.96.0.1" in world.nft.texts[-1]


async def test_a_bridge_once_seen_is_kept(world: World) -> None:
    async with world.running():
        world.host.name = ""
        world.service("a", "10.96.0.1")
        await world.clock.advance(1)
        assert 'oifname != { "br0", "lo" }' in world.nft.texts[-1]
