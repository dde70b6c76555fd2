"""The Docker engine that is not there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiodocker
import aiohttp
import pytest
from aiohttp import web

from kubeling.cluster.errors import ClusterError
from kubeling.cluster.network import docker_engine, remove_containers


@pytest.mark.parametrize("error", [AssertionError(), ValueError("odd address")])
async def test_what_the_library_raises_becomes_advice(error: Exception) -> None:
    """aiodocker asserts that one of the usual sockets is there."""

    def connect() -> aiodocker.Docker:
        raise error

    with pytest.raises(ClusterError, match="no Docker engine found") as raised:
        async with docker_engine(connect):
            pass
    assert "DOCKER_HOST" in str(raised.value.advice)


async def test_an_engine_that_is_stuck_is_told_of(tmp_path: Path) -> None:
    """It goes on telling its version while all that touches containers waits for ever."""
    released = asyncio.Event()

    async def version(request: web.Request) -> web.Response:
        return web.json_response({"ApiVersion": "1.41"})

    async def stuck(request: web.Request) -> web.Response:
        await released.wait()
        return web.json_response([])

    app = web.Application()
    app.add_routes([web.get("/{any:.*}version", version), web.get("/{any:.*}", stuck)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "docker.sock")).start()

    def connect() -> aiodocker.Docker:
        return aiodocker.Docker(f"unix://{tmp_path}/docker.sock", timeout=aiohttp.ClientTimeout(sock_read=0.2))

    with pytest.raises(ClusterError, match="does not answer") as raised:
        async with docker_engine(connect) as engine:
            await remove_containers(engine, "dev")
    assert "restart it" in str(raised.value.advice)
    released.set()
    await runner.cleanup()
