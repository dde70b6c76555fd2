"""The yardstick for writes: guarded transactions through aetcd's channel, 32 in flight, from one process.

``python -m benchmarks.etcd URL VALUEFILE SECONDS``; prints transactions per second.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from pathlib import Path

import uvloop

from apiserver.storage.etcd import EtcdStorage


async def rate(url: str, value: bytes, seconds: float) -> float:
    storage = await EtcdStorage.connect([url])
    numbers, done = itertools.count(), 0
    prefix, until = f"/bench/{time.monotonic_ns()}/", time.monotonic() + seconds

    async def worker() -> None:
        nonlocal done
        while time.monotonic() < until:
            await storage.put(f"{prefix}{next(numbers)}", value, 0)
            done += 1

    await asyncio.gather(*(worker() for _ in range(32)))
    await storage.close()
    return done / seconds


if __name__ == "__main__":
    print(uvloop.run(rate(sys.argv[1], Path(sys.argv[2]).read_bytes(), float(sys.argv[3]))))
