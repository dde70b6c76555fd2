"""Sandboxes leave their network one at a time, whoever removes them."""

from __future__ import annotations

import asyncio
from typing import Any

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
    """Counts how many removals are under way."""

    def __init__(self) -> None:
        self.containers = self
        self.under_way = self.most = self.removed = 0

    def container(self, _: str) -> Any:
        return self

    async def show(self) -> Any:
        return {"State": {"Status": "running"}}

    async def delete(self, **_: Any) -> None:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        self.removed += 1


class _Runtime(DockerRuntime):
    def __init__(self, node: str, engine: Any) -> None:
        super().__init__(cluster="turns", node=node, network=PodNetwork("test-turns", "turns"))
        self._engine = engine


async def test_two_kubelets_never_remove_sandboxes_of_one_network_at_once() -> None:
    engine = _Engine()
    one, two = _Runtime("one", engine), _Runtime("two", engine)
    async with asyncio.timeout(10):
        await asyncio.gather(*(runtime.remove_sandbox(f"s{n}") for n in range(4) for runtime in (one, two)))
    assert (engine.removed, engine.most) == (8, 1)


async def test_containers_in_the_network_of_a_sandbox_are_removed_side_by_side() -> None:
    engine = _Engine()
    runtime = _Runtime("one", engine)
    await asyncio.gather(*(runtime.remove_container(f"c{n}") for n in range(4)))
    assert engine.most == 4
