"""Sandboxes leave their network one at a time, whoever removes them."""

from __future__ import annotations

import asyncio
from typing import Any

import aiodocker
import pytest

from kubelet.runtime.docker import DockerRuntime
from kubelet.runtime.docker_network import PodNetwork
from kubelet.runtime.docker_turns import Turns, must_take_turns


async def test_a_turn_is_had_by_one_holder_on_the_machine_at_a_time() -> None:
    here, elsewhere, other = Turns("test/a"), Turns("test/a"), Turns("test/b")
    order: list[str] = []
    first = asyncio.Event()

    async def second() -> None:
        await first.wait()
        async with elsewhere.turn():
            order.append("second")

    waiting = asyncio.create_task(second())
    async with here.turn():
        first.set()
        async with other.turn():  # another name has turns of its own
            pass
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await asyncio.shield(waiting)
        order.append("first")
    await waiting
    assert order == ["first", "second"]


async def test_a_turn_ends_with_what_was_done_in_it_however_that_ended() -> None:
    turns = Turns("test/c")
    with pytest.raises(ZeroDivisionError):
        async with turns.turn():
            raise ZeroDivisionError
    async with asyncio.timeout(5), Turns("test/c").turn():
        pass


@pytest.mark.parametrize(
    ("engine", "must"),
    [
        ("20.10.24+dfsg1", True),
        ("20.10.26", True),
        ("20.10.27", False),
        ("19.3.15", True),
        ("28.2.2", False),
        ("", True),
    ],
)
async def test_an_engine_that_cannot_stand_still_needs_no_turns(engine: str, must: bool) -> None:
    assert must_take_turns(engine) is must
    turns = Turns("test/d")
    turns.needed = must
    async with turns.turn():
        if not must:
            async with asyncio.timeout(5), turns.turn():
                return
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), turns.turn():
                raise AssertionError("two at once")


class _Engine:
    """Counts how many removals, and how many leavings of the network, are under way; of host network there is no leaving."""

    def __init__(self, *, host_network: bool = False) -> None:
        self.containers = self
        self.host_network = host_network
        self.under_way = {"leave": 0, "delete": 0}
        self.most = {"leave": 0, "delete": 0}
        self.removed = 0

    def container(self, _: str) -> Any:
        return self

    async def show(self) -> Any:
        return {"State": {"Status": "running"}}

    async def _query_json(self, path: str, *_: Any, **__: Any) -> Any:
        assert path == "networks/test-turns/disconnect"
        if self.host_network:
            raise aiodocker.DockerError(403, "container cannot be disconnected from host network or connected to it")
        await self._work("leave", 5)

    async def delete(self, **_: Any) -> None:
        await self._work("delete", 100)
        self.removed += 1

    async def _work(self, kind: str, steps: int) -> None:
        self.under_way[kind] += 1
        self.most[kind] = max(self.most[kind], self.under_way[kind])
        for _ in range(steps):
            await asyncio.sleep(0.001)
        self.under_way[kind] -= 1


class _Runtime(DockerRuntime):
    def __init__(self, node: str, engine: Any) -> None:
        super().__init__(cluster="turns", node=node, network=PodNetwork("test-turns", "turns"))
        self._engine = engine


@pytest.mark.parametrize("host_network", [False, True])
async def test_two_kubelets_never_take_sandboxes_out_of_one_network_at_once(host_network: bool) -> None:
    """Where a sandbox cannot leave before it is removed, its removal has the turn."""
    engine = _Engine(host_network=host_network)
    one, two = _Runtime("one", engine), _Runtime("two", engine)
    async with asyncio.timeout(10):
        await asyncio.gather(*(runtime.remove_sandbox(f"s{n}") for n in range(4) for runtime in (one, two)))
    assert engine.removed == 8
    assert engine.most["delete" if host_network else "leave"] == 1
    assert host_network or engine.most["delete"] > 1


async def test_where_no_turns_are_needed_nothing_waits() -> None:
    engine = _Engine()
    runtime = _Runtime("one", engine)
    runtime._leaving.needed = False
    await asyncio.gather(*(runtime.remove_sandbox(f"s{n}") for n in range(4)))
    assert engine.most == {"leave": 0, "delete": 4}


async def test_containers_in_the_network_of_a_sandbox_are_removed_side_by_side() -> None:
    engine = _Engine()
    runtime = _Runtime("one", engine)
    await asyncio.gather(*(runtime.remove_container(f"c{n}") for n in range(4)))
    assert engine.most == {"leave": 0, "delete": 4}
