"""The client's pool of connections against a server of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from kubeling.client.http1 import Connections


class Server:
    """Answers each request after ``gate`` with the path; counts connections, and how many wait at most."""

    def __init__(self) -> None:
        self.connections = self.waiting = self.most = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.waiting += 1
                self.most = max(self.most, self.waiting)
                await self.gate.wait()
                self.waiting -= 1
                path = head.split(b" ", 2)[1]
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Server, str]]:
    made = Server()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    try:
        yield made, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def get(pool: Connections, url: str, **timeout: float) -> str:
    response = await pool.handle_async_request(httpx.Request("GET", url, extensions={"timeout": timeout}))
    try:
        return (await response.aread()).decode()
    finally:
        await response.aclose()


async def test_connections_are_used_again_and_limited() -> None:
    async with serving() as (server, url):
        pool = Connections(None, limit=3, keep=60.0)
        for number in range(5):
            assert await get(pool, f"{url}/{number}") == f"/{number}"
        assert server.connections == 1
        server.gate.clear()
        asked = [asyncio.ensure_future(get(pool, f"{url}/{number}")) for number in range(9)]
        while server.waiting < 3:
            await asyncio.sleep(0.01)
        server.gate.set()
        assert await asyncio.gather(*asked) == [f"/{number}" for number in range(9)]
        assert (server.connections, server.most) == (3, 3)
        await pool.aclose()


async def test_a_cancelled_request_gives_its_place_back() -> None:
    async with serving() as (server, url):
        pool = Connections(None, limit=1, keep=60.0)
        server.gate.clear()
        with pytest.raises(httpx.ReadTimeout):
            await get(pool, url, read=0.05)
        asked = asyncio.ensure_future(get(pool, url))
        await asyncio.sleep(0)
        asked.cancel()
        await asyncio.wait([asked])
        server.gate.set()
        assert await get(pool, f"{url}/x") == "/x"
        await pool.aclose()


async def test_nobody_listens() -> None:
    async with serving() as (_, url):
        pass
    with pytest.raises(httpx.ConnectError):
        await get(Connections(None), url)


async def test_renewed_connections_end_with_their_answers_or_at_once() -> None:
    async with serving() as (server, url):
        pool = Connections(None, limit=3, keep=60.0)
        assert await get(pool, f"{url}/idle") == "/idle"
        server.gate.clear()
        under_way = asyncio.ensure_future(get(pool, f"{url}/under-way"))
        while not server.waiting:
            await asyncio.sleep(0.01)
        pool.renew(None, at_once=False)
        server.gate.set()
        assert await under_way == "/under-way"
        assert await get(pool, f"{url}/next") == "/next"
        assert server.connections == 2, "what was there before is not used again"
        server.gate.clear()
        broken_off = asyncio.ensure_future(get(pool, f"{url}/broken-off"))
        while not server.waiting:
            await asyncio.sleep(0.01)
        pool.renew(None, at_once=True)
        with pytest.raises(httpx.TransportError):
            await broken_off
        await pool.aclose()
