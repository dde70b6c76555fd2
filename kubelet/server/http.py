"""A small HTTP/1.1 server on h11 that can hand its connection over: what exec, attach and port-forward need."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import h11

log = logging.getLogger(__name__)
_CHUNK = 65536
_MAX_BODY = 1 << 20
_DRAIN_AT = 1 << 18


@dataclass(frozen=True, slots=True)
class Request:
    """``query`` holds all values of each parameter; ``peer`` is the client's verified certificate as Python shows it."""

    method: str
    path: str
    raw_target: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    raw_headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    peer: Mapping[str, Any] = field(default_factory=dict)

    def value(self, name: str, default: str = "") -> str:
        return self.query.get(name, [default])[0]

    def flag(self, *names: str) -> bool:
        return any(self.value(n) in ("1", "true", "True", "TRUE", "t", "T") for n in names)


@dataclass(frozen=True, slots=True)
class Response:
    """A body of bytes, or one that comes in pieces."""

    status: int = 200
    body: bytes | AsyncIterator[bytes] = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()


class Wire:
    """A connection that HTTP has let go of: raw bytes both ways."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rest: bytes) -> None:
        self._reader, self._writer, self._rest = reader, writer, rest

    async def read(self) -> bytes:
        """What has come; empty at the end."""
        if self._rest:
            rest, self._rest = self._rest, b""
            return rest
        try:
            return await self._reader.read(_CHUNK)
        except (ConnectionError, ssl.SSLError):
            return b""

    async def write(self, data: bytes) -> None:
        """Returns once there is room for more. Raises ConnectionError."""
        if not data:
            return
        try:
            self._writer.write(data)
            await self._writer.drain()
        except ssl.SSLError as err:
            raise ConnectionError(str(err)) from err

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError, OSError):
            await self._writer.wait_closed()


# takes the connection over; writes its own response
Upgrade = Callable[[Wire], Awaitable[None]]
Handler = Callable[[Request], Awaitable["Response | Upgrade"]]


def json_response(value: Any, status: int = 200) -> Response:
    return Response(status, json.dumps(value).encode(), "application/json")


def error_response(status: int, text: str) -> Response:
    return Response(status, text.encode())


class HttpServer:
    """``handler`` answers every request; its exceptions become 500."""

    def __init__(self, handler: Handler, context: ssl.SSLContext | None) -> None:
        self._handler, self._context = handler, context
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, address: str, port: int) -> int:
        """The port that it listens on. Raises OSError."""
        self._server = await asyncio.start_server(self._accept, address, port, ssl=self._context, limit=_CHUNK * 4)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # a connection is always served by a task
        self._connections.add(task)
        try:
            await self._serve(reader, writer)
        except (ConnectionError, h11.RemoteProtocolError, ssl.SSLError, TimeoutError) as err:
            log.debug("Connection: %s", err)
        finally:
            self._connections.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError, OSError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Requests one after the other until one side has had enough."""
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_CHUNK)
        peer = writer.get_extra_info("peercert") or {}
        while True:
            request = await _read_request(connection, reader, peer)
            if request is None:
                return
            try:
                answer = await self._handler(request)
            except Exception as err:
                log.exception("%s %s", request.method, request.path)
                answer = error_response(500, f"Internal error: {err}")
            if not isinstance(answer, Response):
                await answer(Wire(reader, writer, connection.trailing_data[0]))
                return
            if not await _send(connection, reader, writer, answer, head=request.method == "HEAD"):
                return
            connection.start_next_cycle()


async def _read_request(
    connection: h11.Connection, reader: asyncio.StreamReader, peer: Mapping[str, Any]
) -> Request | None:
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(_CHUNK))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > _MAX_BODY:
                raise ConnectionError("the request's body is too large")
        elif isinstance(event, h11.EndOfMessage | type(h11.PAUSED)) and head is not None:
            return _request(head, bytes(body), peer)
        else:
            return None


def _request(head: h11.Request, body: bytes, peer: Mapping[str, Any]) -> Request:
    target = head.target.decode("latin-1")
    parts = urlsplit(target)
    return Request(
        method=head.method.decode(),
        path=unquote(parts.path),
        raw_target=target,
        query=parse_qs(parts.query, keep_blank_values=True),
        headers=_joined(head.headers),
        raw_headers=tuple((bytes(k), bytes(v)) for k, v in head.headers.raw_items()),
        body=body,
        peer=peer,
    )


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """One value a name: a header that came several times (kubectl offers each protocol in one of its own) is a list."""
    found: dict[str, str] = {}
    for name, value in headers:
        key, text = name.decode().lower(), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


async def _send(
    connection: h11.Connection,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    answer: Response,
    *,
    head: bool,
) -> bool:
    """Sends the answer; False when the connection is of no further use."""
    headers = [("Content-Type", answer.content_type), *answer.headers]
    if isinstance(answer.body, bytes):
        headers.append(("Content-Length", str(len(answer.body))))
    else:
        headers.append(("Transfer-Encoding", "chunked"))
    writer.write(connection.send(h11.Response(status_code=answer.status, headers=headers)) or b"")
    if head:
        pass
    elif isinstance(answer.body, bytes):
        writer.write(connection.send(h11.Data(data=answer.body)) or b"")
    else:
        await writer.drain()
        await _send_pieces(connection, reader, writer, answer.body)
    if not head or isinstance(answer.body, bytes):
        writer.write((connection.send(h11.EndOfMessage()) or b"") if not head else b"")
    await writer.drain()
    return connection.our_state is h11.DONE and connection.their_state is h11.DONE


async def _send_pieces(
    connection: h11.Connection,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    pieces: AsyncIterator[bytes],
) -> None:
    """Each piece at once; ends the source when the client has gone, also while there is nothing to tell it."""
    source = asyncio.ensure_future(_next(pieces))
    listening = asyncio.ensure_future(reader.read(_CHUNK))
    try:
        while True:
            await asyncio.wait({source, listening}, return_when=asyncio.FIRST_COMPLETED)
            if listening.done():
                if not (early := listening.result()):
                    raise ConnectionError("the client has gone")
                connection.receive_data(early)  # its next request
                listening = asyncio.ensure_future(reader.read(_CHUNK))
            if source.done():
                if (piece := source.result()) is None:
                    return
                writer.write(connection.send(h11.Data(data=piece)) or b"")
                await writer.drain()
                source = asyncio.ensure_future(_next(pieces))
    finally:
        for task in (source, listening):
            task.cancel()
        await asyncio.gather(source, listening, return_exceptions=True)
        if (close := getattr(pieces, "aclose", None)) is not None:
            await close()


async def _next(pieces: AsyncIterator[bytes]) -> bytes | None:
    return await anext(pieces, None)
