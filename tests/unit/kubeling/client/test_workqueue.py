import asyncio

import pytest

from kubeling.api.errors import conflict
from kubeling.client.clock import FakeClock
from kubeling.client.controller import Controller, Result
from kubeling.client.errors import ConnectionFailed
from kubeling.client.workqueue import WorkQueue


async def test_a_key_is_queued_once_and_never_in_two_hands() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    queue.add("a")
    assert len(queue) == 1
    assert await queue.get() == "a"
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert len(queue) == 1


async def test_get_waits_and_a_cancelled_taker_loses_nothing() -> None:
    queue: WorkQueue[str] = WorkQueue()
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    assert await asyncio.wait_for(second, 1) == "a"


async def test_delays_keep_the_earlier() -> None:
    clock = FakeClock()
    queue: WorkQueue[str] = WorkQueue(clock=clock)
    queue.add_after("a", 10)
    queue.add_after("a", 5)
    queue.add_after("a", 20)
    await clock.advance(4.9)
    assert len(queue) == 0
    await clock.advance(0.2)
    assert len(queue) == 1
    await queue.get()
    queue.done("a")
    await clock.advance(30)
    assert len(queue) == 0


async def test_back_off_doubles_per_key_until_forgotten() -> None:
    clock = FakeClock()
    queue: WorkQueue[str] = WorkQueue(clock=clock)

    async def delay() -> float:
        start = clock.monotonic()
        queue.add_rate_limited("a")
        while not len(queue):
            await clock.advance(0.001)
        await queue.get()
        queue.done("a")
        return clock.monotonic() - start

    assert [await delay() for _ in range(4)] == pytest.approx([0.005, 0.01, 0.02, 0.04], abs=0.002)
    queue.forget("a")
    assert await delay() == pytest.approx(0.005, abs=0.002)


class Script:
    """A reconciler that does in turn what it is told."""

    def __init__(self, *steps: Exception | Result | None) -> None:
        self.steps = list(steps)
        self.keys: list[str] = []

    async def reconcile(self, key: str) -> Result | None:
        self.keys.append(key)
        step = self.steps.pop(0) if self.steps else None
        if isinstance(step, Exception):
            raise step
        return step


@pytest.mark.parametrize(
    ("failure", "seconds"),
    [(conflict("", "pods", "a"), 0.006), (ConnectionFailed("away"), 0.006), (KeyError("defect"), 0.006)],
)
async def test_failures_are_tried_again_with_back_off(failure: Exception, seconds: float) -> None:
    clock = FakeClock()
    script = Script(failure, None)
    controller: Controller[str] = Controller("", script, clock=clock)
    task = asyncio.create_task(controller.run())
    controller.queue.add("a")
    await clock.advance(0)
    assert script.keys == ["a"]
    await clock.advance(seconds)
    assert script.keys == ["a", "a"]
    assert controller.queue.failures("a") == 0
    task.cancel()
    await asyncio.wait([task])


async def test_requeue_after() -> None:
    clock = FakeClock()
    script = Script(Result(requeue_after=60))
    controller: Controller[str] = Controller("", script, clock=clock)
    task = asyncio.create_task(controller.run())
    controller.queue.add("a")
    await clock.advance(59)
    assert script.keys == ["a"]
    await clock.advance(2)
    assert script.keys == ["a", "a"]
    task.cancel()
    await asyncio.wait([task])


async def test_a_cancelled_worker_ends_even_where_its_clean_up_fails() -> None:
    """A leader that has lost its lease must not go on because a write failed while it was stopping."""
    entered = asyncio.Event()

    class Careless:
        async def reconcile(self, key: str) -> None:
            try:
                entered.set()
                await asyncio.Event().wait()
            finally:
                raise conflict("", "pods", key)

    controller: Controller[str] = Controller("", Careless(), workers=1)
    controller.queue.add("a")
    running = asyncio.ensure_future(controller.run())
    await entered.wait()
    running.cancel()
    done, _ = await asyncio.wait([running], timeout=30)
    assert done and running.cancelled()
