"""A load generator: many keep-alive TLS connections, each sending its next request when the answer is complete."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length: "


@dataclass(frozen=True, slots=True)
class Result:
    """``rate`` in answers per second, ``bytes_per_second`` of bodies, latencies in seconds, sorted."""

    rate: float
    bytes_per_second: float
    latencies: list[float]
    failures: int

    def percentile(self, share: float) -> float:
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * share))]


class _Connection(asyncio.Protocol):
    """Sends requests one after the other until ``stop``; every complete answer is counted."""

    def __init__(self, next_request: Callable[[], bytes], done: Callable[[float, int, int], None]) -> None:
        self._next_request = next_request
        self._done = done
        self._buffer = bytearray()
        self._need = -1
        self._status = 0
        self._begun = 0.0
        self.transport: asyncio.Transport | None = None
        self.stopped = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self.transport = transport  # type: ignore[assignment]  # uvloop's own class
        self._send()

    def _send(self) -> None:
        if self.stopped or self.transport is None:
            return
        self._begun = time.perf_counter()
        self.transport.write(self._next_request())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._need < 0:
            end = self._buffer.find(_HEAD_END)
            if end < 0:
                return
            head = bytes(self._buffer[:end]).lower()
            self._status = int(head[9:12])
            at = head.find(_LENGTH)
            length = int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            self._need = end + len(_HEAD_END) + length
        if len(self._buffer) >= self._need:
            size = self._need
            del self._buffer[:size]
            self._need = -1
            self._done(time.perf_counter() - self._begun, size, self._status)
            self._send()


def request(method: str, path: str, token: str, body: bytes = b"", content_type: str = "application/json") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\nuser-agent: bench/1.0\r\n"
    if body:
        head += f"content-type: {content_type}\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


async def run(
    port: int, next_request: Callable[[], bytes], *, connections: int = 32, seconds: float = 5.0, warm_up: float = 1.0
) -> Result:
    """Loads ``127.0.0.1:port``; what happens during the warm-up is not counted."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    latencies: list[float] = []
    sizes = failures = 0
    counting = False

    def done(latency: float, size: int, status: int) -> None:
        nonlocal sizes, failures
        if counting:
            latencies.append(latency)
            sizes += size
            failures += status >= 400

    loop = asyncio.get_running_loop()
    made = [
        (await loop.create_connection(lambda: _Connection(next_request, done), "127.0.0.1", port, ssl=context))[1]
        for _ in range(connections)
    ]
    await asyncio.sleep(warm_up)
    counting, begun = True, time.perf_counter()
    await asyncio.sleep(seconds)
    counting, lasted = False, time.perf_counter() - begun
    for connection in made:
        connection.stopped = True
        if connection.transport is not None:
            connection.transport.close()
    return Result(len(latencies) / lasted, sizes / lasted, sorted(latencies), failures)
