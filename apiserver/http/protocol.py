"""uvicorn's HTTP protocol with two additions: the client's certificate is in the scope, and an application may take the
connection over for an upgrade (exec, attach, port-forward), whatever protocol that speaks."""

from __future__ import annotations

import asyncio
import re
import weakref
from collections.abc import Iterable
from functools import partial
from typing import Any, cast

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

_MAX_WAITING = 1 << 18
MAX_UNREAD = 8 << 20
"""Bytes that may wait for a client that watches; one that lets more gather is cut off."""


_STAND_IN = b"PURGE"
"""A method that the parser knows and nobody sends: it takes the place of those that the parser refuses."""
_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)( [^ \r\n]+ HTTP/1\.[01]\r\n)")


class Taken:
    """A client's connection in the hands of the application: bytes in, bytes out, no HTTP any more. Neither direction
    gathers more than a little of what the other side does not take."""

    def __init__(self, transport: asyncio.Transport, flow: FlowControl) -> None:
        self._transport, self._flow = transport, flow
        self._arrived = asyncio.Event()
        self._lost = asyncio.Event()
        self._waiting = bytearray()

    def deliver(self, data: bytes) -> None:
        """Called by the protocol for what the client sends."""
        self._waiting += data
        self._arrived.set()
        if len(self._waiting) > _MAX_WAITING:
            self._flow.pause_reading()

    def lose(self) -> None:
        """Called by the protocol when the connection is gone."""
        self._lost.set()
        self._arrived.set()

    async def receive(self) -> bytes:
        """What the client has sent since the last call; empty when it has gone."""
        await self._arrived.wait()
        data = bytes(self._waiting)
        self._waiting.clear()
        if not self._lost.is_set():
            self._arrived.clear()
        self._flow.resume_reading()
        return data

    async def send(self, data: bytes) -> None:
        """Returns once there is room for more. Raises ConnectionError."""
        if self._lost.is_set():
            raise ConnectionResetError("the client has gone")
        self._transport.write(data)
        await self._flow.drain()

    async def close(self) -> None:
        """Ends the connection and waits until it is gone, so that uvicorn does not try to answer on it."""
        self._flow.resume_reading()
        self._transport.close()
        await self._lost.wait()


_AT_ONCE = 1 << 14
"""Bodies up to this size go out together with their head: one encryption and one system call instead of two."""


def _answer(cycle: RequestResponseCycle, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> bool:
    """A whole answer at once, ``content-length`` among its headers; False where that is not so simple and ``send`` must do it."""
    if (
        len(body) > _AT_ONCE
        or cycle.response_started
        or cycle.disconnected
        or not cycle.keep_alive
        or cycle.flow.write_paused
        or cycle.scope["method"] == "HEAD"
    ):
        return False
    lines = [STATUS_LINE[status]]
    for name, value in (*cycle.default_headers, *headers):
        lines += (name, b": ", value, b"\r\n")
    head = b"".join(lines)
    if head.count(b"\n") * 4 != len(lines) + 3 or head.count(b"\r") != head.count(b"\n") or b"\0" in head:
        return False  # a line end within a header: ``send`` refuses it
    cycle.transport.write(b"%s\r\n%s" % (head, body))
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    cycle.message_event.set()
    cycle.on_response()
    return True


def _answer_to(
    request: weakref.ref[RequestResponseCycle], status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes
) -> bool:
    """For the scope, which the request itself holds: were the reference not weak, only the collector could free the two."""
    cycle = request()
    return cycle is not None and _answer(cycle, status, headers, body)


class CertificateProtocol(HttpToolsProtocol):
    """``scope["client_certificates"]``: DER certificates, empty when the client showed none;
    ``scope["take_over"]()``: the
    connection as ``Taken``; ``scope["write"](data)``: raw bytes of an answer that has begun;
    ``scope["answer"](status, headers, body)``: a whole answer, False when it has to be sent in the usual way."""

    _certificates: tuple[bytes, ...] = ()
    _taken: Taken | None = None
    _received: bytes = b""
    _unknown_method: str = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        tls: Any = transport.get_extra_info("ssl_object")
        leaf = tls.getpeercert(binary_form=True) if tls is not None else None
        self._certificates = (leaf,) if leaf else ()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        scope = cast(dict[str, Any], self.scope)
        scope["client_certificates"] = self._certificates
        scope["take_over"] = self._take_over
        scope["write"] = self._write

    def _write(self, data: bytes) -> bool:
        """Bytes of a chunked answer whose head has been sent; False when the client is gone or reads too slowly."""
        transport = self.transport
        if transport.is_closing() or transport.get_write_buffer_size() > MAX_UNREAD:
            return False
        transport.write(data)
        return True

    def _take_over(self) -> Taken:
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        self._taken = Taken(self.transport, self.flow)
        return self._taken

    def data_received(self, data: bytes) -> None:
        if self._taken is not None:
            self._taken.deliver(data)
        else:
            self._received = data
            super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """The parser refuses methods that it does not know, but for Kubernetes they are requests like others (405)."""
        line = _REQUEST_LINE.match(self._received)
        if line is None or self._in_request() or self._unknown_method:
            super().send_400_response(msg)
            return
        self._unknown_method = line[1].decode("ascii")
        self.parser = httptools.HttpRequestParser(self)
        try:
            self.parser.feed_data(_STAND_IN + self._received[line.end(1) :])
        except httptools.HttpParserError:
            super().send_400_response(msg)
        self._unknown_method = ""

    def _in_request(self) -> bool:
        """Whether what has come last belongs to a request that is not over."""
        return self.cycle is not None and (self.cycle.more_body or not self.cycle.response_complete)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        scope = cast(dict[str, Any], self.scope)
        scope["answer"] = partial(_answer_to, weakref.ref(self.cycle))
        if self._unknown_method:
            scope["method"] = self._unknown_method

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        if self._taken is not None:
            self._taken.lose()
        # the last request leads back here: with it the TLS buffers, a quarter of a megabyte, would wait for the collector
        self.scope = self.cycle = None  # type: ignore[assignment]  # as uvicorn has it before the first request

    def _should_upgrade(self) -> bool:
        """uvicorn speaks no WebSocket here: upgrades pass through to the kubelet as they are."""
        return False

    def _unsupported_upgrade_warning(self) -> None:
        """Not a case for a warning: the application deals with it."""
