"""``python -m benchmarks [get list create watch memory]``: the API server's figures beside their yardsticks."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import uvloop

from apiserver.storage.etcd import EtcdStorage
from benchmarks import load
from benchmarks.objects import configmap, encoded, pod
from benchmarks.stage import TOKEN, Stage, apiserver, cpu_seconds, pin, resident_bytes, stage

PODS = "/api/v1/namespaces/default/pods"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
_SECONDS = 4.0
_ROUNDS = 5


def client(port: int) -> httpx.Client:
    headers = {"authorization": f"Bearer {TOKEN}"}
    return httpx.Client(base_url=f"https://127.0.0.1:{port}", headers=headers, verify=False, trust_env=False)


def show(name: str, value: str, bar: str = "") -> None:
    print(f"{name:<46}{value:>24}   {bar}", flush=True)


@contextmanager
def bare(made: Stage, body: bytes) -> Iterator[tuple[int, int]]:
    """(port, pid) of the bare application that answers ``body``."""
    path = made.directory / "body"
    path.write_bytes(body)
    certificates = made.directory / "certs"
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.bare", certificates / "apiserver.crt", certificates / "apiserver.key", path],
        stdout=subprocess.PIPE,
    )
    pin(process.pid, 0)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline()), process.pid
    finally:
        process.terminate()
        process.wait()


async def measure(
    port: int, pid: int, next_request: Callable[[], bytes], connections: int = 32, seconds: float = _SECONDS
) -> tuple[load.Result, float]:
    """The result, and microseconds of the server's CPU an answer."""
    asked = 0

    def counted() -> bytes:
        nonlocal asked
        asked += 1
        return next_request()

    before = cpu_seconds(pid)
    result = await load.run(port, counted, connections=connections, seconds=seconds, warm_up=0.5)
    spent = cpu_seconds(pid) - before
    return result, spent / max(asked, 1) * 1e6


def prepare(made: Stage, count: int) -> None:
    with client(made.port) as api:
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        api.post("/api/v1/namespaces/default/serviceaccounts", json=account)
        for i in range(count):
            api.post(PODS, json=pod(f"p{i:05}"))


async def bench_get(made: Stage) -> None:
    prepare(made, 100)
    with client(made.port) as api:
        body = api.get(f"{PODS}/p00042").content
    with bare(made, body) as (port, pid):
        best, best_cpu = await measure(port, pid, lambda: load.request("GET", "/", TOKEN))
    asked = load.request("GET", f"{PODS}/p00042", TOKEN)
    result, cpu = await measure(made.port, made.pid, lambda: asked)
    show("bare ASGI, GET with TLS", f"{best.rate:,.0f}/s {best_cpu:.0f} us")
    show("pod GET", f"{result.rate:,.0f}/s {cpu:.0f} us", f"{result.rate / best.rate:.0%} of bare (bar 33 %)")


async def bench_list(made: Stage) -> None:
    prepare(made, 100)
    asked = load.request("GET", PODS, TOKEN)
    result, cpu = await measure(made.port, made.pid, lambda: asked, 8)
    show("list of 100 pods", f"{result.bytes_per_second / 1e6:,.0f} MB/s {cpu:.0f} us", "bar 250 MB/s")


async def bench_create(made: Stage) -> None:
    """Rounds of bare transactions and of requests in turn: what else the machine does falls on both."""
    prepare(made, 0)
    for name, path, make, bar in (("ConfigMap", CONFIGMAPS, configmap, 40), ("pod", PODS, pod, 30)):
        with client(made.port) as api:
            stored = api.post(path, json=make("sample")).content
        before, after = encoded(make("%")).split(b"%")
        numbers = itertools.count()

        def asked(path: str = path, before: bytes = before, after: bytes = after) -> bytes:
            return load.request("POST", path, TOKEN, b"%sc%07d%s" % (before, next(numbers), after))  # noqa: B023

        bare_rates, bare_cpu, rates, cpu, failures = [], [], [], [], 0
        for _ in range(_ROUNDS):
            best = await _in_one_process(made, stored)
            result, spent = await measure(made.port, made.pid, asked, seconds=_SECONDS / 2)
            bare_rates.append(best["rate"])
            bare_cpu.append(best["cpu"])
            rates.append(result.rate)
            cpu.append(spent)
            failures += result.failures
        share = median(mine / theirs for mine, theirs in zip(rates, bare_rates, strict=True))
        show(f"bare etcd transactions ({len(stored)} bytes)", f"{median(bare_rates):,.0f}/s {median(bare_cpu):.0f} us")
        found = f"{share:.0%} of bare (bar {bar} %), {failures} failed, median of {_ROUNDS} rounds"
        show(f"{name} creation", f"{median(rates):,.0f}/s {median(cpu):.0f} us", found)


async def _in_one_process(made: Stage, value: bytes) -> dict[str, float]:
    """Rate and CPU of a process of its own on the server's core."""
    path = made.directory / "value"
    path.write_bytes(value)
    arguments = ["-m", "benchmarks.etcd", made.etcd_url, str(path), str(_SECONDS / 2)]
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=subprocess.PIPE)
    pin(process.pid, 0)
    out, _ = await process.communicate()
    found: dict[str, float] = json.loads(out)
    return found


def encodings(made: Stage) -> float:
    """How often the server has made the bytes of a config map's event for watchers."""
    with client(made.port) as api:
        text = api.get("/metrics").text
    lines = (line for line in text.splitlines() if line.startswith("kubeling_watch_event_encodings_total"))
    return sum(float(line.rpartition(" ")[2]) for line in lines if 'resource="configmaps"' in line)


async def bench_watch(made: Stage) -> None:
    """1,000 watchers of config maps, 100 events a second."""
    before = encodings(made)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.watchers", str(made.port), TOKEN, stdout=subprocess.PIPE
    )
    pin(process.pid, 1)
    out, _ = await process.communicate()
    found = json.loads(out)
    show(
        "1,000 watchers, 100 events/s",
        f"p50 {found['p50'] * 1e3:.0f} ms p99 {found['p99'] * 1e3:.0f} ms",
        f"{found['delivered']:,} of {found['expected']:,} delivered (bar p99 100 ms)",
    )
    made_times = encodings(made) - before
    show("events serialised", f"{made_times:.0f} times", f"{found['events']} events (bar: once each)")


async def bench_memory(made: Stage) -> None:
    """30,000 pods: resident memory, and how long a second server takes to start on them."""
    show("start to ready, empty", f"{made.ready_seconds:.2f} s", "bar 1 s")
    storage = await EtcdStorage.connect([made.etcd_url])
    prepare(made, 1)
    with client(made.port) as api:
        body = api.get(f"{PODS}/p00000").json()
    del body["metadata"]["resourceVersion"]

    async def put(number: int) -> None:
        name = f"m{number:05}"
        obj = {**body, "metadata": {**body["metadata"], "name": name}}
        await storage.put(f"/registry/pods/default/{name}", encoded(obj), 0)

    for start in range(0, 30_000, 100):
        await asyncio.gather(*(put(n) for n in range(start, start + 100)))
    await storage.close()
    with tempfile.TemporaryDirectory() as name, apiserver(Path(name), made.etcd_url) as second:
        show("start to ready, 30,000 pods", f"{second.ready_seconds:.2f} s", "bar 10 s")
        show("resident memory, 30,000 pods", f"{resident_bytes(second.pid) / 1e6:,.0f} MB", "bar 600 MB")


BENCHMARKS: dict[str, Callable[[Stage], Awaitable[Any]]] = {
    "get": bench_get,
    "list": bench_list,
    "create": bench_create,
    "watch": bench_watch,
    "memory": bench_memory,
}


async def main(names: list[str]) -> None:
    for name in names or list(BENCHMARKS):
        with stage() as made:
            await BENCHMARKS[name](made)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:]))
