"""port-forward: SPDY stream pairs (also tunnelled through a WebSocket), or WebSocket channels, to ports of the pod."""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
from collections.abc import Awaitable, Callable
from typing import Any

from kubelet.runtime.protocol import RuntimeFailure
from kubelet.server.channels import SpdySession, refuse_spdy, upgrade_head
from kubelet.server.http import Request, Response, Upgrade, Wire, error_response
from kubelet.server.websocket import WebSocket, is_websocket
from kubeling.api.spdy import StreamOpened

PROTOCOL = "portforward.k8s.io"
TUNNEL = "SPDY/3.1+portforward.k8s.io"
_CHANNELS = ("v4.channel.k8s.io", "v4.base64.channel.k8s.io")
_CHUNK = 65536
_PORTS = 1 << 16

Dial = Callable[[int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


class Tunnel:
    """A WebSocket whose messages are the bytes of another protocol."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def read(self) -> bytes:
        while (data := await self._socket.receive()) is not None:
            if data:
                return data
        return b""

    async def write(self, data: bytes) -> None:
        if data:
            await self._socket.send(data)

    async def close(self) -> None:
        await self._socket.close()


def forward_failure(port: int, sandbox: str, err: Exception) -> str:
    """As kubectl shows it: upstream's kubelet names the sandbox as the pod, and no UID."""
    return f"error forwarding port {port} to pod {sandbox}, uid : {_reason(port, err)}"


def _reason(port: int, err: Exception) -> str:
    """A failed connection in Go's words."""
    if isinstance(err, OSError) and err.errno:
        why = os.strerror(err.errno).lower()
        return f"failed to connect to localhost:{port} inside the pod's network, IPv4: dial tcp4 127.0.0.1:{port}: connect: {why}"
    return str(err)


class _Forward:
    """One client's session: pairs of streams by request, each joined to a connection of its own."""

    def __init__(self, session: SpdySession, dial: Dial, sandbox: str) -> None:
        self._session, self._dial, self._sandbox = session, dial, sandbox
        self._pairs: dict[str, dict[str, StreamOpened]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        running = asyncio.create_task(self._session.run())
        try:
            while (opened := await self._session.opened.get()) is not None:
                request = opened.headers.get("requestid") or opened.headers.get("port", "")
                pair = self._pairs.setdefault(request, {})
                pair[opened.headers.get("streamtype", "")] = opened
                if "data" in pair and "error" in pair:
                    del self._pairs[request]
                    task = asyncio.create_task(self._connect(pair["data"], pair["error"]))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
        finally:
            for task in (*self._tasks, running):
                task.cancel()
            await asyncio.gather(*self._tasks, running, return_exceptions=True)

    async def _connect(self, data: StreamOpened, error: StreamOpened) -> None:
        port = int(data.headers.get("port", "0"))
        failure = b""
        try:
            reader, writer = await self._dial(port)
            await self._copy(data.stream, reader, writer)
        except (OSError, RuntimeFailure) as err:
            failure = forward_failure(port, self._sandbox, err).encode()
        with contextlib.suppress(ConnectionError):
            await self._session.send(data.stream, b"", fin=True)
            await self._session.send(error.stream, failure, fin=True)
        for stream in (data.stream, error.stream):
            self._session.forget(stream)

    async def _copy(self, stream: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until the pod's side has ended; the client's end is passed on as a half-close."""

        async def upwards() -> None:
            while (data := await self._session.read(stream)) is not None:
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()

        sending = asyncio.ensure_future(upwards())
        try:
            while data := await reader.read(_CHUNK):
                await self._session.send(stream, data)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            writer.close()


def _ports(request: Request) -> list[int]:
    """Those of the old WebSocket protocol. Raises ValueError."""
    found = []
    for text in (part for value in request.query.get("port", []) for part in value.split(",")):
        try:
            port = int(text)
        except ValueError:
            raise ValueError(
                f'unable to parse "{text}" as a port: strconv.ParseUint: parsing "{text}": invalid syntax'
            ) from None
        if not 0 < port < _PORTS:
            raise ValueError(f'port "{text}" must be > 0')
        found.append(port)
    if not found:
        raise ValueError('query parameter "port" is required')
    return found


def _tunnelled(request: Request) -> bool:
    return TUNNEL in [p.strip() for p in request.headers.get("sec-websocket-protocol", "").split(",")]


def refuse_port_forward(request: Request) -> Response | None:
    """What is wrong with the request itself; None when nothing is."""
    if is_websocket(request) and not _tunnelled(request):
        try:
            _ports(request)
        except ValueError as err:
            return error_response(400, str(err))
    return None


def serve_port_forward(request: Request, dial: Dial, sandbox: str) -> Response | Upgrade:
    """An upgrade, by whichever protocol the client asks for."""
    if not is_websocket(request):
        return refuse_spdy(request, (PROTOCOL,)) or _over_spdy(request, dial, sandbox)
    if _tunnelled(request):
        return _over_tunnel(request, dial, sandbox)
    return _over_channels(request, dial, sandbox, _ports(request))


def _over_spdy(request: Request, dial: Dial, sandbox: str) -> Upgrade:
    async def upgrade(wire: Wire) -> None:
        head, _ = upgrade_head(request, (PROTOCOL,))
        await wire.write(head)
        await _Forward(SpdySession(wire), dial, sandbox).run()

    return upgrade


def _over_tunnel(request: Request, dial: Dial, sandbox: str) -> Upgrade:
    async def upgrade(wire: Wire) -> None:
        socket = await WebSocket.accept(wire, request, (TUNNEL,))
        if socket is not None:
            tunnel: Any = Tunnel(socket)
            await _Forward(SpdySession(tunnel), dial, sandbox).run()

    return upgrade


def _over_channels(request: Request, dial: Dial, sandbox: str, ports: list[int]) -> Upgrade:
    """The old WebSocket protocol: channels 2n (data) and 2n+1 (error) for the n-th port, which starts each of them."""

    async def one(socket: WebSocket, index: int, port: int, incoming: asyncio.Queue[bytes | None]) -> None:
        data, error = bytes([2 * index]), bytes([2 * index + 1])
        for channel in (data, error):
            await socket.send(channel + struct.pack("<H", port))
        try:
            reader, writer = await dial(port)
        except (OSError, RuntimeFailure) as err:
            await socket.send(error + forward_failure(port, sandbox, err).encode())
            return

        async def upwards() -> None:
            while (piece := await incoming.get()) is not None:
                writer.write(piece)
                await writer.drain()

        sending = asyncio.ensure_future(upwards())
        try:
            while piece := await reader.read(_CHUNK):
                await socket.send(data + piece)
        finally:
            sending.cancel()
            writer.close()

    async def upgrade(wire: Wire) -> None:
        socket = await WebSocket.accept(wire, request, _CHANNELS)
        if socket is None:
            return
        queues: list[asyncio.Queue[bytes | None]] = [asyncio.Queue() for _ in ports]
        tasks = [asyncio.create_task(one(socket, i, p, queues[i])) for i, p in enumerate(ports)]
        try:
            while (message := await socket.receive()) is not None:
                if message and message[0] // 2 < len(queues) and message[0] % 2 == 0:
                    await queues[message[0] // 2].put(message[1:])
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await socket.close()

    return upgrade
