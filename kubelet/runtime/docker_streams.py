"""Attached streams of the Docker engine: raw for terminals, else multiplexed in frames of an 8-byte header."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiodocker.execs import Exec
    from aiodocker.stream import Stream

_HEADER = struct.Struct(">BxxxL")
_DRAIN_SECONDS = 0.5


class DockerStream:
    """One hijacked connection; implements ``IOStream``.

    ``ended`` waits for the end of the container. The engine does not always close the connection of a container that ends
    while a client attaches: what is not said shortly after the end never will be.
    """

    def __init__(self, stream: Stream, ended: Callable[[], Awaitable[Any]] | None = None) -> None:
        self._stream = stream
        self._ended = ended
        self._end: asyncio.Future[Any] | None = None

    async def open(self) -> None:
        """Sends the request that starts the stream."""
        await self._stream._init()
        if self._ended is not None:
            self._end = asyncio.ensure_future(self._ended())

    async def read(self) -> tuple[int, bytes] | None:
        reading = asyncio.ensure_future(self._stream.read_out())
        try:
            if self._end is not None:
                await asyncio.wait({reading, self._end}, return_when=asyncio.FIRST_COMPLETED)
                if not reading.done():
                    await asyncio.wait({reading}, timeout=_DRAIN_SECONDS)
                if not reading.done():
                    return None
            message = await reading
        finally:
            reading.cancel()
        return None if message is None else (message.stream, message.data)

    async def write(self, data: bytes) -> None:
        await self._stream.write_in(data)

    async def close_write(self) -> None:
        response = self._stream._resp
        transport = response.connection.transport if response is not None and response.connection else None
        if transport is not None and transport.can_write_eof():
            transport.write_eof()

    async def close(self) -> None:
        if self._end is not None:
            self._end.cancel()
            await asyncio.gather(self._end, return_exceptions=True)
        response = self._stream._resp
        if response is not None and response.connection is None:
            self._stream._closed = True  # the engine ended it first: nothing is left to close
            return
        await self._stream.close()


class DockerExec:
    """A running exec; implements ``ExecSession``."""

    def __init__(self, session: Exec, stream: DockerStream) -> None:
        self._session, self._stream = session, stream

    @property
    def stream(self) -> DockerStream:
        return self._stream

    async def resize(self, width: int, height: int) -> None:
        await self._session.resize(h=height, w=width)

    async def exit_code(self) -> int:
        return int((await self._session.inspect()).get("ExitCode") or 0)


async def demultiplexed(chunks: AsyncIterable[bytes], *, raw: bool) -> AsyncIterator[bytes]:
    """A log's content; a terminal's is not framed.

    Docker frames every line: all that one chunk holds goes on in one piece, or a long log would take minutes.
    """
    buffer = bytearray()
    async for chunk in chunks:
        if raw:
            yield chunk
            continue
        buffer += chunk
        start, pieces = 0, []
        while len(buffer) - start >= _HEADER.size:
            _, size = _HEADER.unpack_from(buffer, start)
            end = start + _HEADER.size + size
            if len(buffer) < end:
                break
            pieces.append(buffer[start + _HEADER.size : end])
            start = end
        del buffer[:start]
        if pieces:
            yield b"".join(pieces)
