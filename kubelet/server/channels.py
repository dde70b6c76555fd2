"""Standard streams of exec and attach on the wire: the same five channels over WebSocket and over SPDY.

Source: k8s.io/apimachinery/pkg/util/remotecommand and the kubelet's remotecommand server.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence
from typing import Any, Protocol

from kubelet.server.http import Request, Response, Wire, error_response
from kubelet.server.websocket import WebSocket
from kubeling.api.spdy import (
    PROTOCOL,
    DataReceived,
    GoAway,
    SpdyConnection,
    SpdyError,
    StreamOpened,
    StreamReset,
)

STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
_CLOSE = 255
WEBSOCKET_PROTOCOLS = (
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "channel.k8s.io",
    "base64.channel.k8s.io",
)
SPDY_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io")
_STREAM_NAMES = {"stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "error": ERROR, "resize": RESIZE}
_OPEN_SECONDS = 30.0
_QUEUE = 64


class Channels(Protocol):
    """``incoming`` gives (channel, data) for stdin and resize; data None is the channel's end, and None everything's."""

    async def incoming(self) -> tuple[int, bytes | None] | None: ...

    async def send(self, channel: int, data: bytes) -> None: ...

    async def finish(self, status: dict[str, Any]) -> None:
        """Tells how it ended and closes."""
        ...


def status_text(status: dict[str, Any], protocol: str) -> bytes:
    """What goes on the error channel: a Status since v4, before that the message of a failure."""
    if protocol.startswith(("v4.", "v5.")):
        return json.dumps(status).encode()
    return b"" if status.get("status") == "Success" else str(status.get("message", "")).encode()


class WebSocketChannels:
    """A message's first byte names the channel; base64 protocols write it as a digit."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._base64 = "base64" in socket.subprotocol

    async def incoming(self) -> tuple[int, bytes | None] | None:
        while (message := await self._socket.receive()) is not None:
            if not message:
                continue
            channel, data = message[0], message[1:]
            if self._base64:
                channel, data = channel - ord("0"), base64.b64decode(data)
            elif channel == _CLOSE and self._socket.subprotocol.startswith("v5."):
                return (data[0], None) if data else None
            return channel, data
        return None

    async def send(self, channel: int, data: bytes) -> None:
        if self._base64:
            await self._socket.send(str(channel).encode() + base64.b64encode(data), text=True)
        else:
            await self._socket.send(bytes([channel]) + data)

    async def finish(self, status: dict[str, Any]) -> None:
        text = status_text(status, self._socket.subprotocol)
        if text:
            await self.send(ERROR, text)
        await self._socket.close()


class SpdySession:
    """A SPDY connection over a wire: opened streams and their data, through queues."""

    def __init__(self, wire: Wire | Any) -> None:
        self._wire = wire
        self._spdy = SpdyConnection(server=True)
        self._sending = asyncio.Lock()
        self.opened: asyncio.Queue[StreamOpened | None] = asyncio.Queue()
        self._data: dict[int, asyncio.Queue[bytes | None]] = {}

    async def run(self) -> None:
        """Reads until the client has gone; every queue gets its end."""
        try:
            while data := await self._wire.read():
                for event in self._spdy.receive(data):
                    await self._handle(event)
                await self._flush()
        except (SpdyError, ConnectionError):
            pass
        finally:
            self.opened.put_nowait(None)
            for queue in self._data.values():
                while queue.full():
                    queue.get_nowait()
                queue.put_nowait(None)

    async def _handle(self, event: object) -> None:
        if isinstance(event, StreamOpened):
            self._data[event.stream] = asyncio.Queue(_QUEUE)
            self._spdy.reply(event.stream)
            self.opened.put_nowait(event)
            if event.fin:
                await self._data[event.stream].put(None)
        elif isinstance(event, DataReceived) and event.stream in self._data:
            if event.data:
                await self._data[event.stream].put(event.data)
            if event.fin:
                await self._data[event.stream].put(None)
        elif isinstance(event, StreamReset) and event.stream in self._data:
            await self._data[event.stream].put(None)
        elif isinstance(event, GoAway):
            return

    async def read(self, stream: int) -> bytes | None:
        return await self._data[stream].get()

    def forget(self, stream: int) -> None:
        """Nobody reads the stream any more."""
        self._data.pop(stream, None)

    async def send(self, stream: int, data: bytes, *, fin: bool = False) -> None:
        self._spdy.send(stream, data, fin=fin)
        await self._flush()

    async def reset(self, stream: int) -> None:
        self._spdy.reset(stream)
        await self._flush()

    async def _flush(self) -> None:
        async with self._sending:
            await self._wire.write(self._spdy.data_to_send())

    async def close(self) -> None:
        await self._wire.close()


class SpdyChannels:
    """Each channel is a stream of its own, named by its ``streamtype`` header."""

    def __init__(self, session: SpdySession, streams: dict[int, int], protocol: str) -> None:
        self._session, self._streams, self._protocol = session, streams, protocol
        self._incoming: asyncio.Queue[tuple[int, bytes | None] | None] = asyncio.Queue(_QUEUE)
        self._readers = [asyncio.create_task(self._pump(channel)) for channel in (STDIN, RESIZE) if channel in streams]
        self._watch = asyncio.create_task(self._gone())

    async def _pump(self, channel: int) -> None:
        while (data := await self._session.read(self._streams[channel])) is not None:
            await self._incoming.put((channel, data))
        await self._incoming.put((channel, None))

    async def _gone(self) -> None:
        while await self._session.opened.get() is not None:
            continue
        await self._incoming.put(None)

    async def incoming(self) -> tuple[int, bytes | None] | None:
        return await self._incoming.get()

    async def send(self, channel: int, data: bytes) -> None:
        if channel in self._streams:
            await self._session.send(self._streams[channel], data)

    async def finish(self, status: dict[str, Any]) -> None:
        for task in (*self._readers, self._watch):
            task.cancel()
        text = status_text(status, self._protocol)
        for channel, stream in self._streams.items():
            await self._session.send(stream, text if channel == ERROR else b"", fin=True)
        await self._session.close()


def _offered(request: Request) -> list[str]:
    return [p.strip() for p in request.headers.get("x-stream-protocol-version", "").split(",") if p.strip()]


def refuse_spdy(request: Request, protocols: Sequence[str]) -> Response | None:
    """Why the request is no upgrade to SPDY with one of these protocols; None when it is one."""
    connection = request.headers.get("connection", "").lower()
    if "upgrade" not in connection or request.headers.get("upgrade", "").lower() != PROTOCOL.lower():
        return error_response(400, "unable to upgrade: missing upgrade headers in request")
    offered = _offered(request)
    if not offered:
        return error_response(400, "unable to upgrade: X-Stream-Protocol-Version is required")
    if not any(p in protocols for p in offered):
        supports, accepts = " ".join(offered), " ".join(protocols)
        return Response(
            403,
            f"unable to upgrade: unable to negotiate protocol: client supports [{supports}], "
            f"server accepts [{accepts}]\n".encode(),
            headers=tuple(("X-Accepted-Stream-Protocol-Versions", p) for p in protocols),
        )
    return None


def upgrade_head(request: Request, protocols: Sequence[str]) -> tuple[bytes, str]:
    """The 101 answer to a SPDY request, with the first protocol that the client offers and we have."""
    chosen = next(p for p in _offered(request) if p in protocols)
    lines = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", f"Upgrade: {PROTOCOL}"]
    lines.append(f"X-Stream-Protocol-Version: {chosen}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode(), chosen


async def open_spdy(wire: Wire, request: Request, wanted: int) -> tuple[SpdyChannels, asyncio.Task[None]] | None:
    """Takes the connection over and waits for ``wanted`` streams; None when they do not come."""
    head, protocol = upgrade_head(request, SPDY_PROTOCOLS)
    await wire.write(head)
    session = SpdySession(wire)
    running = asyncio.create_task(session.run())
    streams: dict[int, int] = {}
    try:
        async with asyncio.timeout(_OPEN_SECONDS):
            while len(streams) < wanted and (opened := await session.opened.get()) is not None:
                channel = _STREAM_NAMES.get(opened.headers.get("streamtype", ""))
                if channel is not None:
                    streams[channel] = opened.stream
    except TimeoutError:
        streams.clear()
    if len(streams) < wanted:
        running.cancel()
        await session.close()
        return None
    return SpdyChannels(session, streams, protocol), running
