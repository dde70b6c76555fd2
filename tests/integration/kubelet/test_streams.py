"""exec and port-forward through the kubelet's real HTTP server, in every protocol that clients speak; the runtime pretends."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from kubelet.server.http import HttpServer, Request, Response, Upgrade
from kubelet.server.portforward import serve_port_forward
from kubelet.server.remote import run_exec, serve_streams
from kubeling.api.spdy import DataReceived, SpdyConnection, StreamOpened, StreamReplied

_SECONDS = 60


class Shouter:
    """A process that says on stdout in upper case what it hears, ``begun`` on stderr, and ends with its input."""

    def __init__(self) -> None:
        self._said: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue()
        self._said.put_nowait((2, b"begun"))

    async def read(self) -> tuple[int, bytes] | None:
        return await self._said.get()

    async def write(self, data: bytes) -> None:
        if data.endswith(b"die"):
            self._said.put_nowait(None)
        else:
            self._said.put_nowait((1, data.upper()))

    async def close_write(self) -> None:
        self._said.put_nowait(None)

    async def close(self) -> None:
        """Nothing to close."""


@dataclass
class Pretended:
    """A runtime with one process to execute, that ends with status 3; what it was told of the terminal's size."""

    sizes: list[tuple[int, int]] = field(default_factory=list)

    async def exec(self, container_id: str, command: Sequence[str], **streams: bool) -> Any:
        runtime, stream = self, Shouter()

        class Session:
            async def resize(self, width: int, height: int) -> None:
                runtime.sizes.append((width, height))

            async def exit_code(self) -> int:
                return 3

        session: Any = Session()
        session.stream = stream
        return session


Handler = Callable[[Request], Awaitable[Response | Upgrade]]


class Serving:
    """A server for one handler, on a free port."""

    def __init__(self, handler: Handler) -> None:
        self._server = HttpServer(handler, None)

    async def __aenter__(self) -> int:
        return await self._server.start("127.0.0.1", 0)

    async def __aexit__(self, *exc: object) -> None:
        await self._server.stop()


def executing(runtime: Any) -> Serving:
    async def handler(request: Request) -> Response | Upgrade:
        return serve_streams(request, lambda c, w: run_exec(runtime, "id", ["x"], c, w))

    return Serving(handler)


class SpdyClient:
    """A client's SPDY connection after the upgrade."""

    def __init__(self, port: int, path: str, protocols: Sequence[str]) -> None:
        self._port, self._path, self._protocols = port, path, protocols
        self.spdy = SpdyConnection(server=False)
        self.received: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.head = b""

    async def __aenter__(self) -> SpdyClient:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        offers = "".join(f"X-Stream-Protocol-Version: {p}\r\n" for p in self._protocols)
        head = f"POST {self._path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n{offers}\r\n"
        self._writer.write(head.encode())
        self.head = await self._reader.readuntil(b"\r\n\r\n")
        assert self.head.startswith(b"HTTP/1.1 101")
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._writer.close()

    async def flush(self) -> None:
        self._writer.write(self.spdy.data_to_send())
        await self._writer.drain()

    async def until(self, reached: Callable[[], bool]) -> None:
        """Reads until ``reached`` or the server's end."""
        await self.flush()
        async with asyncio.timeout(_SECONDS):
            while not reached() and (data := await self._reader.read(65536)):
                for event in self.spdy.receive(data):
                    assert isinstance(event, DataReceived | StreamReplied | StreamOpened)
                    if isinstance(event, DataReceived):
                        self.received[event.stream] = self.received.get(event.stream, b"") + event.data
                        if event.fin:
                            self.ended.add(event.stream)
        assert reached()


FAILED = "command terminated with non-zero exit code: command terminated with exit code 3"


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (("v5.channel.k8s.io", "v4.channel.k8s.io", "v3.channel.k8s.io", "channel.k8s.io"), "v5.channel.k8s.io"),
        (("v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"), "v4.channel.k8s.io"),
        (("v2.channel.k8s.io", "channel.k8s.io"), "v2.channel.k8s.io"),
    ],
    ids=["v5", "v4", "v2"],
)
async def test_exec_over_spdy(offered: Sequence[str], chosen: str) -> None:
    runtime = Pretended()
    path = "/exec/ns/p/c?command=x&input=1&output=1&error=1"
    async with executing(runtime) as port, SpdyClient(port, path, offered) as client:
        assert f"x-stream-protocol-version: {chosen}".encode() in client.head.lower()
        error, stdin, stdout, stderr = (
            client.spdy.open({"streamtype": name}) for name in ("error", "stdin", "stdout", "stderr")
        )
        client.spdy.send(stdin, b"hello")
        await client.until(lambda: client.received.get(stdout) == b"HELLO")
        client.spdy.send(stdin, b"", fin=True)
        await client.until(lambda: {error, stdout, stderr} <= client.ended)
        assert client.received[stderr] == b"begun"
        told = client.received[error].decode()
        if chosen.startswith(("v4", "v5")):
            status = json.loads(told)
            assert status["message"] == FAILED and status["details"]["causes"][0]["message"] == "3"
        else:
            assert told == FAILED


async def test_a_terminal_over_spdy_has_a_size() -> None:
    runtime = Pretended()
    path = "/exec/ns/p/c?command=x&input=1&output=1&tty=1"
    async with executing(runtime) as port, SpdyClient(port, path, ["v4.channel.k8s.io"]) as client:
        error, stdin, stdout, resize = (
            client.spdy.open({"streamtype": name}) for name in ("error", "stdin", "stdout", "resize")
        )
        client.spdy.send(resize, b'{"Width":80,"Height":24}\n')
        client.spdy.send(stdin, b"a")
        await client.until(lambda: client.received.get(stdout) == b"A")
        client.spdy.send(resize, b'{"Width":100,"Height":30}\n')
        client.spdy.send(stdin, b"", fin=True)
        await client.until(lambda: error in client.ended)
    assert runtime.sizes[0] == (80, 24)


@pytest.mark.parametrize(
    "protocol", ["v5.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io", "channel.k8s.io"]
)
async def test_exec_over_websocket(protocol: str) -> None:
    runtime, coded = Pretended(), "base64" in protocol

    def packed(channel: int, data: bytes) -> str | bytes:
        return str(channel) + base64.b64encode(data).decode() if coded else bytes([channel]) + data

    async with executing(runtime) as port:
        url = f"ws://127.0.0.1:{port}/exec/ns/p/c?command=x&input=1&output=1&error=1&tty="
        async with connect(url, subprotocols=[Subprotocol(protocol)], proxy=None) as socket:
            assert socket.subprotocol == protocol
            await socket.send(packed(4, b'{"Width":81,"Height":25}'))
            await socket.send(packed(0, b"hello"))
            # only v5 can tell the end of stdin
            await socket.send(b"\xff\x00" if protocol.startswith("v5") else packed(0, b"die"))
            heard: dict[int, bytes] = {}
            async with asyncio.timeout(_SECONDS):
                async for message in socket:
                    if isinstance(message, str):
                        channel, data = int(message[0]), base64.b64decode(message[1:])
                    else:
                        channel, data = message[0], message[1:]
                    heard[channel] = heard.get(channel, b"") + data
    assert (heard[1], heard[2], runtime.sizes) == (b"HELLO", b"begun", [(81, 25)])
    told = heard[3].decode()
    assert (json.loads(told)["message"] if protocol.startswith(("v4", "v5")) else told) == FAILED


@pytest.fixture
async def listening() -> AsyncIterator[int]:
    """A server that answers how much it was sent, once the client has ended its side."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.read()
        writer.write(b"%d:" % len(data) + data[:10])
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield int(server.sockets[0].getsockname()[1])
    server.close()


def forwarding() -> Serving:
    async def dial(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", port)

    async def handler(request: Request) -> Response | Upgrade:
        return serve_port_forward(request, dial, "uid-1")

    return Serving(handler)


async def test_many_forwarded_connections_at_once_each_half_closed(listening: int) -> None:
    async with forwarding() as port, SpdyClient(port, "/portForward/ns/p", ["portforward.k8s.io"]) as client:
        streams = []
        for number in range(50):
            headers = {"port": str(listening), "requestid": str(number)}
            error = client.spdy.open({**headers, "streamtype": "error"}, fin=True)
            data = client.spdy.open({**headers, "streamtype": "data"})
            streams.append((error, data))
        for number, (_, data) in enumerate(streams):
            client.spdy.send(data, bytes([65 + number % 26]) * (1000 + number), fin=True)
        await client.until(lambda: len(client.ended) == 100)
        for number, (error, data) in enumerate(streams):
            assert client.received[data] == b"%d:" % (1000 + number) + bytes([65 + number % 26]) * 10
            assert client.received[error] == b""


async def test_a_port_that_nobody_listens_on_fails_its_connection_only(listening: int) -> None:
    async with forwarding() as port, SpdyClient(port, "/portForward/ns/p", ["portforward.k8s.io"]) as client:
        dead = {"port": "1", "requestid": "0"}
        error = client.spdy.open({**dead, "streamtype": "error"}, fin=True)
        client.spdy.open({**dead, "streamtype": "data"})
        await client.until(lambda: error in client.ended)
        assert client.received[error].startswith(b"error forwarding port 1 to pod uid-1, uid : ")
        alive = {"port": str(listening), "requestid": "1"}
        client.spdy.open({**alive, "streamtype": "error"}, fin=True)
        data = client.spdy.open({**alive, "streamtype": "data"})
        client.spdy.send(data, b"abc", fin=True)
        await client.until(lambda: data in client.ended)
        assert client.received[data] == b"3:abc"
