from __future__ import annotations

import asyncio

import pytest

from kubeling.client.clock import FakeClock
from scheduler.framework.events import ClusterEvent
from scheduler.model.pod import PodInfo
from scheduler.queue import QueuedPod, QueueRules, SchedulingQueue
from tests.unit.scheduler.worlds import pod

FIT = frozenset({"NodeResourcesFit"})


def helped(info: PodInfo, plugins: frozenset[str], event: ClusterEvent) -> bool:
    return event is ClusterEvent.POD_DELETED and plugins == FIT


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def queue(clock: FakeClock) -> SchedulingQueue:
    return SchedulingQueue(QueueRules(lambda q: (-q.pod.priority, q.queued_at), helped), clock)


async def taken(queue: SchedulingQueue) -> QueuedPod:
    async with asyncio.timeout(1):
        return await queue.next()


async def nothing(queue: SchedulingQueue) -> bool:
    try:
        async with asyncio.timeout(0.01):
            queued = await queue.next()
    except TimeoutError:
        return True
    raise AssertionError(f"{queued.pod.key} was there")


async def test_the_important_first_then_the_patient(queue: SchedulingQueue, clock: FakeClock) -> None:
    for name, priority in (("a", 0), ("b", 5), ("c", 0)):
        queue.add(pod(name, priority=priority))
        await clock.advance(1)
    assert [(await taken(queue)).pod.key.name for _ in range(3)] == ["b", "a", "c"]


async def test_a_pod_that_does_not_fit_waits_for_the_right_event(queue: SchedulingQueue, clock: FakeClock) -> None:
    queue.add(pod("a"))
    queue.failed(await taken(queue), FIT)
    assert queue.sizes()["unschedulable"] == 1
    await clock.advance(2)
    queue.happened(ClusterEvent.NODE_LABELS)
    assert await nothing(queue)
    queue.happened(ClusterEvent.POD_DELETED)
    assert (await taken(queue)).attempts == 2


async def test_events_during_the_attempt_count(queue: SchedulingQueue, clock: FakeClock) -> None:
    queue.add(pod("a"))
    queued = await taken(queue)
    queue.happened(ClusterEvent.POD_DELETED)
    queue.failed(queued, FIT)
    assert queue.sizes()["backoff"] == 1
    await clock.advance(1.1)
    assert (await taken(queue)).pod.key.name == "a"


async def test_back_off_doubles_up_to_ten_seconds(queue: SchedulingQueue, clock: FakeClock) -> None:
    queue.add(pod("a"))
    for seconds in (1, 2, 4, 8, 10, 10):
        queue.failed(await taken(queue), frozenset(), error=True)
        await clock.advance(seconds - 0.1)
        assert await nothing(queue)
        await clock.advance(0.2)


async def test_nobody_waits_for_ever(queue: SchedulingQueue, clock: FakeClock) -> None:
    queue.add(pod("a"))
    queue.failed(await taken(queue), FIT)
    await clock.advance(299)
    assert await nothing(queue)
    await clock.advance(2)
    assert (await taken(queue)).pod.key.name == "a"


async def test_gated_pods_wait_to_be_added_again(queue: SchedulingQueue, clock: FakeClock) -> None:
    queue.add(pod("a"), gated=True)
    queue.happened(ClusterEvent.POD_DELETED)
    await clock.advance(400)
    assert queue.sizes() == {"active": 0, "backoff": 0, "unschedulable": 0, "gated": 1}
    queue.add(pod("a"))
    assert (await taken(queue)).pod.key.name == "a"


async def test_a_removed_pod_is_not_taken(queue: SchedulingQueue) -> None:
    queue.add(pod("a"))
    queue.add(pod("b"))
    queue.remove("a")
    queued = await taken(queue)
    assert queued.pod.key.name == "b"
    queue.remove("b")
    queue.failed(queued, FIT)
    assert sum(queue.sizes().values()) == 0


async def test_an_update_replaces_the_pod_where_it_is(queue: SchedulingQueue) -> None:
    queue.add(pod("a"))
    queue.update(pod("a", labels={"new": "yes"}))
    assert (await taken(queue)).pod.labels == {"new": "yes"}
