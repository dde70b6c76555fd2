"""Mirrors of static pods: one for each, of the version that runs, until it is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kubelet.pods.mirror import MirrorPods
from kubelet.pods.sources import ApiPods
from kubelet.pods.static import StaticPods, static_pod
from kubeling.api.meta import Key, Object, uid_of
from kubeling.api.resources import NODES, PODS
from kubeling.client.clock import FakeClock
from tests.unit.kubelet.nodeworld import PodApi

KEY = Key("default", "web-n1")
FILE = Path("/etc/web.yaml")


class World:
    def __init__(self) -> None:
        self.api, self.leaving = PodApi(FakeClock()), False
        self.api.create(NODES, {"metadata": {"name": "n1"}})
        self.static = StaticPods(FILE.parent, "n1", self.api.clock, lambda pod: None, lambda pod: None)
        self.pods = ApiPods(self.api.client(), "n1", self.api.clock)
        self.mirrors = MirrorPods(self.api.client(), self.static, lambda key: self.leaving and key == KEY)

    def put(self, image: str) -> None:
        text = f"{{kind: Pod, metadata: {{name: web}}, spec: {{containers: [{{name: c, image: {image}}}]}}}}"
        self.static.pods[FILE] = static_pod(text, "n1", str(FILE))
        self.mirrors.wake()

    @property
    def mirror(self) -> Object | None:
        return next(iter(self.api.all(PODS)), None)

    def image(self) -> str:
        return str(self.mirror["spec"]["containers"][0]["image"]) if self.mirror else ""

    async def until_image(self, image: str) -> Object:
        async with asyncio.timeout(5):
            while self.image() != image:
                await asyncio.sleep(0)
        assert self.mirror is not None
        return self.mirror

    async def settle(self) -> None:
        for _ in range(50):
            await asyncio.sleep(0)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    tasks = [asyncio.create_task(step) for step in (world.pods.run(), world.mirrors.run(world.pods))]
    yield world
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_mirror_shows_its_pod_until_it_is_over(world: World) -> None:
    world.put("app:1")
    first = await world.until_image("app:1")
    world.leaving = True
    del world.static.pods[FILE]
    world.mirrors.wake()
    await world.settle()
    assert world.mirror == first
    world.leaving = False
    world.mirrors.wake()
    async with asyncio.timeout(5):
        while world.mirror is not None:
            await asyncio.sleep(0)


async def test_the_next_version_is_shown_when_the_last_one_is_over(world: World) -> None:
    world.put("app:1")
    first = await world.until_image("app:1")
    world.leaving = True
    world.put("app:2")
    await world.settle()
    assert world.mirror == first
    world.leaving = False
    world.mirrors.wake()
    assert uid_of(await world.until_image("app:2")) != uid_of(first)
