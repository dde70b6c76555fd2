"""Network endpoints without a container are freed on the real engine, and only those."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any

import aiodocker
import pytest

from kubelet.runtime.docker_endpoints import EndpointHealer
from kubelet.runtime.metrics import ENDPOINTS_FREED
from tests.e2e.support import IMAGE

NAME = f"kl-endpoints-{os.getpid()}"


class Forgetful:
    """The engine, but for one container that it does not list: to whoever asks, that one is gone and has left its endpoint."""

    def __init__(self, engine: aiodocker.Docker, forgotten: str) -> None:
        self.networks, self.containers = engine.networks, self
        self._engine, self._forgotten = engine, forgotten

    async def list(self, **options: Any) -> list[Any]:
        return [c for c in await self._engine.containers.list(**options) if c.id != self._forgotten]


@pytest.fixture
async def engine() -> AsyncIterator[aiodocker.Docker]:
    async with aiodocker.Docker() as engine:
        network = await engine.networks.create({"Name": NAME})
        body = {"Image": IMAGE, "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": NAME}}
        made = [await engine.containers.run(body, name=f"{NAME}-{role}") for role in ("lost", "kept")]
        yield engine
        for container in made:
            await container.delete(force=True)
        await network.delete()


async def endpoints(engine: aiodocker.Docker) -> set[str]:
    network = await engine.networks.get(NAME)
    return {shown["Name"] for shown in (await network.show())["Containers"].values()}


async def test_an_endpoint_without_a_container_is_freed_at_the_second_look(engine: aiodocker.Docker) -> None:
    lost = await engine.containers.get(f"{NAME}-lost")
    forgetful: Any = Forgetful(engine, lost.id)
    healer, counted = EndpointHealer(NAME), ENDPOINTS_FREED._value.get()
    assert await healer.look(forgetful) == []
    assert await healer.look(forgetful) == [f"{NAME}-lost"]
    assert await endpoints(engine) == {f"{NAME}-kept"}
    assert ENDPOINTS_FREED._value.get() == counted + 1
    assert await EndpointHealer(NAME).look(engine) == []
