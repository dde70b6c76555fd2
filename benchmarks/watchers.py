"""1,000 watches of one kind, 100 events a second for five seconds: how late each event arrives at each watcher.

``python -m benchmarks.watchers PORT TOKEN``; prints JSON. Events carry the time at which their creation was asked for.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import sys
import time

import uvloop

from benchmarks.load import request

WATCHERS, RATE, SECONDS = 1000, 100, 5
SAMPLED = 50
"""Watchers whose events are looked at; the others are only drained, or the client would be the bottleneck."""
_SENT = re.compile(rb'"sent":"([0-9.]+)"')


class _Watcher(asyncio.Protocol):
    def __init__(self, asked: bytes, latencies: list[float] | None) -> None:
        self._asked, self._latencies, self._rest = asked, latencies, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(self._asked)  # type: ignore[attr-defined]  # uvloop's own class

    def data_received(self, data: bytes) -> None:
        if self._latencies is None:
            return
        now = time.time()
        whole, newline, self._rest = (self._rest + data).rpartition(b"\n")
        self._latencies += [now - float(found) for found in _SENT.findall(whole)] if newline else []


async def main(port: int, token: str) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    asked = request("GET", "/api/v1/namespaces/default/configmaps?watch=true&resourceVersion=0", token)
    for number in range(WATCHERS):
        into = latencies if number % (WATCHERS // SAMPLED) == 0 else None
        await loop.create_connection(lambda into=into: _Watcher(asked, into), "127.0.0.1", port, ssl=context)
    await asyncio.sleep(2)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    drain = asyncio.ensure_future(reader.read(-1))
    begun, total = time.monotonic(), RATE * SECONDS
    for number in range(total):
        obj = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"w{number}"},
            "data": {"sent": f"{time.time():.6f}"},
        }
        writer.write(request("POST", "/api/v1/namespaces/default/configmaps", token, json.dumps(obj).encode()))
        await asyncio.sleep(max(0.0, begun + (number + 1) / RATE - time.monotonic()))
    await asyncio.sleep(2)
    drain.cancel()
    latencies.sort()
    print(json.dumps({
        "events": total,
        "expected": total * SAMPLED,
        "delivered": len(latencies),
        "p50": latencies[len(latencies) // 2] if latencies else 0,
        "p99": latencies[int(len(latencies) * 0.99)] if latencies else 0,
    }))  # fmt: skip


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
