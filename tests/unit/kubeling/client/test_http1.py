"""The client's HTTP/1.1 connections: bytes in, answers out. A transport that only notes what is written stands for the socket."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from kubeling.client.http1 import Connection


class Socket(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.sent, self.closed, self.reading = b"", False, True

    def write(self, data: Any) -> None:
        self.sent += bytes(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


def connected() -> tuple[Connection, Socket]:
    connection, socket = Connection(), Socket()
    connection.connection_made(socket)
    connection.send(b"GET / HTTP/1.1\r\n\r\n", b"")
    return connection, socket


async def body_of(connection: Connection) -> bytes:
    found = b""
    while chunk := await connection.read():
        found += chunk
    return found


async def test_an_answer_in_pieces_and_the_connection_again() -> None:
    connection, socket = connected()
    for piece in (b"HTTP/1.1 200 O", b"K\r\nContent-Length: 6\r\nA: b\r\n\r\nab", b"cdef"):
        connection.data_received(piece)
    await connection.response()
    assert (connection.status, connection.headers) == (200, [(b"Content-Length", b"6"), (b"A", b"b")])
    assert await body_of(connection) == b"abcdef"
    assert connection.reusable and not socket.closed
    connection.send(b"GET /2 HTTP/1.1\r\n\r\n", b"x")
    connection.data_received(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")
    await connection.response()
    assert (connection.status, await body_of(connection), connection.reusable) == (204, b"", True)
    assert socket.sent.endswith(b"GET /2 HTTP/1.1\r\n\r\nx")


async def test_chunks_come_as_they_arrive() -> None:
    connection, _ = connected()
    connection.data_received(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    await connection.response()
    assert await connection.read() == b"abc"
    later = asyncio.ensure_future(connection.read())
    await asyncio.sleep(0)
    assert not later.done()
    connection.data_received(b"2\r\nde\r\n0\r\n\r\n")
    assert await later == b"de" and await connection.read() == b""


async def test_a_server_that_closes() -> None:
    connection, _ = connected()
    connection.connection_lost(None)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        await connection.response()
    connection, _ = connected()
    connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab")
    connection.connection_lost(None)
    assert await connection.read() == b"ab"
    with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
        await connection.read()
    connection, _ = connected()
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\nthe end is the end")
    connection.connection_lost(None)
    assert await body_of(connection) == b"the end is the end" and not connection.reusable
    connection, _ = connected()
    connection.connection_lost(ConnectionResetError("reset"))
    with pytest.raises(httpx.ReadError, match="reset"):
        await connection.response()


async def test_what_is_no_http_ends_the_connection() -> None:
    connection, socket = connected()
    connection.data_received(b"220 mail.example\r\n")
    with pytest.raises(httpx.RemoteProtocolError):
        await connection.response()
    assert socket.closed and not connection.reusable


async def test_a_close_after_the_answer_is_no_reuse() -> None:
    connection, _ = connected()
    connection.data_received(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    await connection.response()
    assert await connection.read() == b"" and not connection.reusable


async def test_a_slow_reader_stops_the_socket() -> None:
    connection, socket = connected()
    connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n")
    connection.data_received(bytes(2_000_000))
    assert not socket.reading
    assert len(await connection.read()) == 2_000_000 and socket.reading
