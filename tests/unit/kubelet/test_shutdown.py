"""Graceful node shutdown: who ends when, and what is told."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kubelet.node.logind import Logind, going_down
from kubelet.node.metrics import REGISTRY
from kubelet.node.shutdown import MESSAGE, GracePeriod, ShutdownManager, grace_periods, group_by_priority, parse_periods
from kubelet.node.shutdown_state import ShutdownState
from kubelet.pods.worker import PodWorker
from kubeling.client.clock import SystemClock
from tests.unit.kubelet.test_worker import World, pod, world  # noqa: F401  # a fixture


def named(name: str, priority: int, **spec: Any) -> dict[str, Any]:
    made = pod(priority=priority, **spec)
    made["metadata"] = {"name": name, "namespace": "ns", "uid": name}
    return made


@pytest.mark.parametrize(
    ("total", "critical", "given", "periods"),
    [
        (0, 0, [], ()),
        (10, 20, [], ()),
        (30, 10, [], (GracePeriod(0, 20), GracePeriod(2_000_000_000, 10))),
        (30, 10, ["100=5", "-1=7"], (GracePeriod(-1, 7), GracePeriod(100, 5))),
    ],
)
def test_periods(total: float, critical: float, given: list[str], periods: tuple[GracePeriod, ...]) -> None:
    assert grace_periods(total, critical, parse_periods(given)) == periods


async def test_groups(world: World) -> None:  # noqa: F811
    workers = [PodWorker(named(f"p{p}", p), world.kit) for p in (-5, 0, 99, 100, 2_000_000_000)]
    groups = group_by_priority((GracePeriod(0, 1), GracePeriod(100, 2), GracePeriod(1000, 3)), workers)
    assert [[w.ref.name for w in group] for _, group in groups] == [["p-5", "p0", "p99"], ["p100"], ["p2000000000"]]


def manager(world: World, periods: tuple[GracePeriod, ...], changed: Callable[[], None]) -> ShutdownManager:  # noqa: F811
    node = {"kind": "Node", "name": "n1", "uid": "n1"}
    state = ShutdownState(world.kit.pods_folder)
    return ShutdownManager(world.pods, world.events, SystemClock(), periods, state=state, node=node, changed=changed)


async def test_pods_end_in_order_and_say_why(world: World) -> None:  # noqa: F811
    changes: list[int] = []
    shutdown = manager(world, grace_periods(20, 10), lambda: changes.append(1))
    world.pods.put(named("low", 0))
    world.pods.put(named("high", 2_000_000_000))
    await world.until(lambda: world.phase("low") == world.phase("high") == "Running")
    assert shutdown.admit() is None and shutdown.problem == ""
    await shutdown.begin()
    assert shutdown.problem == "node is shutting down"
    assert shutdown.admit() == ("NodeShutdown", "Pod was rejected as the node is shutting down.")
    for uid in ("low", "high"):
        status = world.statuses[uid]
        assert (status["phase"], status["reason"], status["message"]) == ("Failed", "Terminated", MESSAGE)
        disruption = status["conditions"][0]
        assert (disruption["type"], disruption["status"]) == ("DisruptionTarget", "True")
        assert (disruption["reason"], disruption["message"]) == ("TerminationByKubelet", MESSAGE)
    told = world.events.told
    assert told.index(("NodeShutdown", "Shutdown manager detected shutdown event")) < len(told) - 2
    shutdown.cancel()
    assert shutdown.problem == "" and len(changes) == 2


async def test_without_a_period_pods_stay(world: World) -> None:  # noqa: F811
    shutdown = manager(world, (), lambda: None)
    world.pods.put(named("low", 0))
    await world.until(lambda: world.phase("low") == "Running")
    await shutdown.begin()
    assert shutdown.problem == "" and world.phase("low") == "Running"


def test_lines_of_the_bus_monitor() -> None:
    line = {"type": "signal", "member": "PrepareForShutdown", "payload": {"type": "b", "data": [True]}}
    assert going_down(json.dumps(line).encode()) is True
    assert going_down(json.dumps(line | {"payload": {"data": [False]}}).encode()) is False
    assert going_down(json.dumps(line | {"member": "NameAcquired"}).encode()) is None
    assert going_down(b"Monitoring bus message stream.\n") is None


async def test_logind_begins_it(world: World) -> None:  # noqa: F811
    shutdown = manager(world, grace_periods(20, 10), lambda: None)
    world.pods.put(named("low", 0))
    await world.until(lambda: world.phase("low") == "Running")
    line = json.dumps({"member": "PrepareForShutdown", "payload": {"data": [True]}})
    lock = (sys.executable, "-c", "import sys; sys.stdin.read()")
    monitor = (sys.executable, "-c", f"import sys; print({line!r}, flush=True); sys.stdin.read()")
    following = asyncio.create_task(Logind(shutdown, SystemClock(), inhibit=lock, monitor=monitor).run())
    try:
        async with asyncio.timeout(30):
            while world.phase("low") != "Failed":
                await asyncio.sleep(0.02)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    assert shutdown.problem


def test_when_the_node_shut_down_is_kept_for_the_next_kubelet(tmp_path: Path) -> None:
    def told() -> tuple[float | None, ...]:
        names = "start", "end"
        return tuple(REGISTRY.get_sample_value(f"kubelet_graceful_shutdown_{n}_time_seconds") for n in names)

    begun, over = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
    state, file = ShutdownState(tmp_path), tmp_path / "graceful_node_shutdown_state"
    state.load()
    state.keep(begun)
    assert json.loads(file.read_text())["endTime"] == "0001-01-01T00:00:00Z"
    assert told() == (begun.timestamp(), 0)
    state.keep(begun, over)
    state.load()
    assert told() == (begun.timestamp(), over.timestamp())
    file.write_text('{"startTime": "2026-01-01T00:00:00.123456789Z"}')
    ShutdownState(tmp_path).load()
    assert told() == (begun.timestamp(), 0)
    file.write_text("[]")
    ShutdownState(tmp_path).load()
    assert told() == (begun.timestamp(), 0)
