"""HTTP/1.1 connections to one server: what the client needs of it, on asyncio's protocols and httptools' parser.

It takes the place of httpx's own transport, whose layers cost three quarters of the processor time that a component spent on its
requests (measured on a rollout of 500 pods): no decoding, no redirects, no proxies, one task at a time on a connection.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, cast

import httptools
import httpx

_HIGH, _LOW = 1 << 20, 1 << 18  # bytes waiting to be read at which the socket is left alone, and read again


class Connection(asyncio.Protocol):
    """One connection with at most one exchange in flight. ``reusable`` tells whether another may follow."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._woken: asyncio.Event = asyncio.Event()
        self._error: Exception | None = None
        self._closed = False
        self.idle_since = 0.0
        self._reset()

    def _reset(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self._body: deque[bytes] = deque()
        self._waiting = 0
        self._begun = self._complete = self._keep_alive = self._paused = False

    @property
    def reusable(self) -> bool:
        return self._complete and self._keep_alive and self.alive

    @property
    def alive(self) -> bool:
        return not self._closed and self._transport is not None and not self._transport.is_closing()

    def send(self, head: bytes, body: bytes) -> None:
        """Starts an exchange."""
        assert self._transport is not None
        self._reset()
        self._transport.write(head + body if len(body) < _LOW else head)
        if len(body) >= _LOW:
            self._transport.write(body)

    async def response(self) -> None:
        """Returns once ``status`` and ``headers`` are there. Raises httpx.TransportError."""
        while not self._begun:
            await self._wait("Server disconnected without sending a response.")

    async def read(self) -> bytes:
        """The next part of the body; empty at its end. Raises httpx.TransportError."""
        while not self._body:
            if self._complete:
                return b""
            await self._wait("peer closed connection without sending complete message body")
        chunk = b"".join(self._body) if len(self._body) > 1 else self._body[0]
        self._body.clear()
        self._waiting = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return chunk

    async def _wait(self, closed: str) -> None:
        if self._error is not None:
            raise self._error
        if self._closed:
            raise httpx.RemoteProtocolError(closed)
        self._woken.clear()
        await self._woken.wait()

    def close(self) -> None:
        self._closed = True
        if self._transport is not None:
            self._transport.close()

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are of no such class

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as err:
            self._error = httpx.RemoteProtocolError(str(err))
            self.close()
        self._woken.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        if exc is not None and self._error is None:
            self._error = httpx.ReadError(str(exc) or type(exc).__name__)
        elif self._begun and not self._is_framed():
            self._complete = True  # such a body ends with the connection
        self._woken.set()

    def _is_framed(self) -> bool:
        return any(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in self.headers)

    # what the parser calls

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if self.status >= 200:
            self._begun = True
        else:
            self.headers = []

    def on_body(self, body: bytes) -> None:
        self._body.append(body)
        self._waiting += len(body)
        if self._waiting > _HIGH and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._begun:
            self._complete = True
            self._keep_alive = bool(self._parser.should_keep_alive())


class Connections(httpx.AsyncBaseTransport):
    """A pool of connections: at most ``limit`` at a time (0 = any number), kept for ``keep`` idle seconds (0 = not at all)."""

    def __init__(self, context: ssl.SSLContext | None, *, limit: int = 0, keep: float = 0.0) -> None:
        self._context = context
        self._slots = asyncio.Semaphore(limit) if limit else None
        self._keep = keep
        self._idle: list[Connection] = []
        self._used: set[Connection] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends the request; the response's stream gives the connection back when it is closed."""
        timeouts: dict[str, float | None] = request.extensions.get("timeout") or {}
        if self._slots is not None:
            await self._slots.acquire()
        connection: Connection | None = None
        try:
            connection = self._kept() or await self._connect(request, timeouts.get("connect"))
            self._used.add(connection)
            connection.send(_head(request), request.content)
            async with _limit(timeouts.get("read")):
                await connection.response()
        except BaseException:
            self._release(connection, reuse=False)
            raise
        stream = _Body(self, connection, timeouts.get("read"))
        return httpx.Response(connection.status, headers=connection.headers, stream=stream)

    def _kept(self) -> Connection | None:
        """The connection used last that is still good; those idle for too long are closed."""
        now = asyncio.get_running_loop().time()
        while self._idle:
            found = self._idle.pop()
            if found.alive and now - found.idle_since < self._keep:
                return found
            found.close()
        return None

    async def _connect(self, request: httpx.Request, timeout: float | None) -> Connection:
        url = request.url
        extra: dict[str, Any] = {}
        if url.scheme == "https":
            extra = {"ssl": self._context, "server_hostname": request.extensions.get("sni_hostname") or url.host}
        loop = asyncio.get_running_loop()
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            async with asyncio.timeout(timeout):
                _, connection = await loop.create_connection(Connection, url.host, port, **extra)
        except TimeoutError as err:
            raise httpx.ConnectTimeout(f"connecting to {url.host}:{port} took longer than {timeout:g} s") from err
        except OSError as err:
            raise httpx.ConnectError(str(err) or type(err).__name__) from err
        return connection

    def _release(self, connection: Connection | None, *, reuse: bool) -> None:
        if connection is not None:
            current = connection in self._used
            self._used.discard(connection)
            if reuse and current and self._keep and connection.reusable:
                connection.idle_since = asyncio.get_running_loop().time()
                self._idle.append(connection)
            else:
                connection.close()
        if self._slots is not None:
            self._slots.release()

    def renew(self, context: ssl.SSLContext | None, *, at_once: bool) -> None:
        """From now on connections are made with this context. Those in use end with their answers, or ``at_once``."""
        self._context = context
        for connection in (*self._idle, *(self._used if at_once else ())):
            connection.close()
        self._idle.clear()
        self._used.clear()

    async def aclose(self) -> None:
        """Closes the idle connections; those in use close with their responses."""
        self._keep = 0.0
        while self._idle:
            self._idle.pop().close()


class _Body(httpx.AsyncByteStream):
    def __init__(self, pool: Connections, connection: Connection, timeout: float | None) -> None:
        self._pool, self._connection, self._timeout = pool, connection, timeout
        self._released = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            async with _limit(self._timeout):
                chunk = await self._connection.read()
            if not chunk:
                return
            yield chunk

    async def aclose(self) -> None:
        if not self._released:
            self._released = True
            self._pool._release(self._connection, reuse=True)


class _limit:
    """``async with``: httpx.ReadTimeout after so many seconds; None waits for ever, at no cost."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._timeout = None if seconds is None else asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        if self._timeout is not None:
            await self._timeout.__aenter__()

    async def __aexit__(self, *exc: Any) -> None:
        if self._timeout is None:
            return
        try:
            await self._timeout.__aexit__(*exc)
        except TimeoutError as err:
            raise httpx.ReadTimeout(f"no answer for {self._seconds:g} s") from err


def _head(request: httpx.Request) -> bytes:
    lines = [b"%s %s HTTP/1.1\r\n" % (request.method.encode("ascii"), request.url.raw_path)]
    lines += [b"%s: %s\r\n" % (name, value) for name, value in request.headers.raw]
    return b"".join([*lines, b"\r\n"])
