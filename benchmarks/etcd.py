"""The yardstick for writes: guarded transactions through aetcd's own client, 32 in flight, from one process.

``python -m benchmarks.etcd URL VALUEFILE SECONDS``; prints JSON: ``rate`` in transactions a second, ``cpu`` in microseconds
of this process for each.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import resource
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import aetcd
import uvloop


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def measure(url: str, value: bytes, seconds: float) -> dict[str, float]:
    parts = urlsplit(url)
    client = aetcd.Client(host=parts.hostname, port=parts.port)
    await client.connect()
    operations = client.transactions
    numbers, done = itertools.count(), 0
    prefix, until = f"/bench/{time.monotonic_ns()}/", time.monotonic() + seconds

    async def worker() -> None:
        nonlocal done
        while time.monotonic() < until:
            key = f"{prefix}{next(numbers)}".encode()
            created, _ = await client.transaction(
                compare=[operations.mod(key) == 0],
                success=[operations.put(key, value)],
                failure=[operations.get(key)],
            )
            assert created
            done += 1

    before = cpu_seconds()
    await asyncio.gather(*(worker() for _ in range(32)))
    spent = cpu_seconds() - before
    await client.close()
    return {"rate": done / seconds, "cpu": spent / done * 1e6}


if __name__ == "__main__":
    print(json.dumps(uvloop.run(measure(sys.argv[1], Path(sys.argv[2]).read_bytes(), float(sys.argv[3])))))
