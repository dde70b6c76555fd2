"""Requests as bytes on a connection of our own, so that nothing puts right what the fuzzer has spoiled."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field

WATCH_SECONDS = 0.2
HANG_SECONDS = 10.0


@dataclass
class Request:
    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""

    def bytes(self) -> bytes:
        lines = [self.method.encode() + b" " + self.target + b" HTTP/1.1", b"host: fuzz"]
        lines += [name + b": " + value for name, value in self.headers]
        if self.body or self.method in ("POST", "PUT", "PATCH"):
            lines.append(b"content-length: %d" % len(self.body))
        return b"\r\n".join(lines) + b"\r\n\r\n" + self.body

    @property
    def streams(self) -> bool:
        """Whether a long answer is what was asked for."""
        return b"watch" in self.target.lower() or b"follow" in self.target.lower()


@dataclass
class Answer:
    status: int
    body: bytes
    closed: bool = False
    """The connection cannot be used any more."""


class Hang(Exception):
    """No (whole) answer within ``HANG_SECONDS``."""


class Dropped(Exception):
    """The connection ended before the answer did."""


class Connection:
    """One keep-alive connection, opened again when it has ended."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.before: Request | None = None
        """The last request but one: what has come out of step is often its fault."""
        self._last: Request | None = None
        self._context = ssl.create_default_context()
        self._context.check_hostname, self._context.verify_mode = False, ssl.CERT_NONE
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: Request) -> Answer:
        self.before, self._last = self._last, request
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port, ssl=self._context, limit=2**22)
            reader, writer = self._streams
            writer.write(request.bytes())
            async with asyncio.timeout(HANG_SECONDS):
                answer = await _answer(reader, request)
        except TimeoutError as error:
            self.close()
            raise Hang from error
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
            self.close()
            raise Dropped(repr(error)) from error
        if answer.closed:
            self.close()
        return answer

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


async def _answer(reader: asyncio.StreamReader, request: Request) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    if not head[0].startswith(b"HTTP/1.1 "):
        raise ValueError(f"no status line: {head[0][:60]!r}")
    status = int(head[0].split(b" ")[1])
    headers = {n.strip().lower(): v.strip() for n, _, v in (line.partition(b":") for line in head[1:])}
    closed = headers.get(b"connection", b"").lower() == b"close" or status == 101
    if request.method == "HEAD" or status in (101, 204, 304):
        return Answer(status, b"", closed)
    if b"content-length" in headers:
        return Answer(status, await reader.readexactly(int(headers[b"content-length"])), closed)
    if headers.get(b"transfer-encoding", b"").lower() != b"chunked":
        return Answer(status, await reader.read(-1), True)
    if not request.streams:
        return Answer(status, await _chunks(reader), closed)
    try:
        async with asyncio.timeout(WATCH_SECONDS):
            return Answer(status, await _chunks(reader), closed)
    except TimeoutError:
        return Answer(status, b"", True)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return body
