from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from apiserver.flowcontrol.level import Level, Queuing, Rejected, dealt

PATIENCE = 30.0
QUEUES = Queuing(8, 2, 3)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def level(clock: Clock, limit: int, queuing: Queuing | None = QUEUES) -> Level:
    return Level("l", "uid", limit, queuing, clock)


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_hands_are_distinct_and_always_the_same() -> None:
    for name in map(str, range(200)):
        hand = dealt(("schema", name), 64, 6)
        assert len(set(hand)) == 6 and max(hand) < 64
        assert hand == dealt(("schema", name), 64, 6)
    assert sorted(dealt(("s", "x"), 3, 5)) == [0, 1, 2]


def test_free_seats_are_taken_at_once(clock: Clock) -> None:
    found = level(clock, 2)
    assert found.try_now(1) and found.try_now(1) and not found.try_now(1)
    found.leave(1)
    assert found.try_now(1) and found.most == 2


def test_what_is_wider_than_the_level_runs_alone(clock: Clock) -> None:
    found = level(clock, 2)
    assert found.try_now(10)
    assert not found.try_now(1)
    found.leave(10)
    assert found.executing == 0


async def test_without_queues_there_is_nothing_to_wait_for(clock: Clock) -> None:
    with pytest.raises(Rejected, match="concurrency-limit"):
        await level(clock, 1, None).wait(("s", "u"), 1, PATIENCE)


async def test_seats_go_to_those_who_wait(clock: Clock) -> None:
    found = level(clock, 1)
    assert found.try_now(1)
    waiting = asyncio.ensure_future(found.wait(("s", "u"), 1, PATIENCE))
    await turn()
    assert found.waiting_requests == 1 and not found.try_now(1)
    found.leave(1)
    queue, began = await waiting
    assert (found.executing, found.waiting) == (1, 0)
    found.leave_queue(queue, 1, began)
    assert found.executing == 0


async def test_full_queues_refuse(clock: Clock) -> None:
    found = level(clock, 1, Queuing(1, 1, 2))
    assert found.try_now(1)
    tasks = [asyncio.ensure_future(found.wait(("s", "u"), 1, PATIENCE)) for _ in range(2)]
    await turn()
    with pytest.raises(Rejected, match="queue-full"):
        await found.wait(("s", "u"), 1, PATIENCE)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (found.waiting, found.waiting_requests) == (0, 0)


async def test_nobody_waits_for_ever(clock: Clock) -> None:
    found = level(clock, 1)
    assert found.try_now(1)
    with pytest.raises(Rejected, match="time-out"):
        await found.wait(("s", "u"), 1, 0.01)
    assert found.waiting == 0


async def test_who_leaves_after_the_grant_gives_the_seat_back(clock: Clock) -> None:
    found = level(clock, 1)
    assert found.try_now(1)
    waiting = asyncio.ensure_future(found.wait(("s", "u"), 1, PATIENCE))
    await turn()
    found.leave(1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert found.executing == 0


async def test_a_quiet_flow_does_not_wait_for_a_busy_one(clock: Clock) -> None:
    """Ten requests of one user are queued when another user's first comes: it is served next but one, not last."""
    found = level(clock, 1, Queuing(64, 1, 50))
    served: list[str] = []

    async def one(user: str) -> None:
        queue, began = await found.wait(("s", user), 1, PATIENCE)
        served.append(user)
        clock.now += 0.01
        await asyncio.sleep(0)
        found.leave_queue(queue, 1, began)

    users: Sequence[str] = ("busy", "quiet")
    assert dealt(("s", users[0]), 64, 1) != dealt(("s", users[1]), 64, 1)
    assert found.try_now(1)
    tasks = [asyncio.ensure_future(one("busy")) for _ in range(10)]
    await turn()
    tasks.append(asyncio.ensure_future(one("quiet")))
    await turn()
    found.leave(1)
    await asyncio.gather(*tasks)
    assert served.index("quiet") <= 1
    assert len(served) == 11 and found.executing == 0


async def test_a_higher_limit_lets_the_waiting_in(clock: Clock) -> None:
    found = level(clock, 1)
    assert found.try_now(1)
    waiting = asyncio.ensure_future(found.wait(("s", "u"), 1, PATIENCE))
    await turn()
    found.settle(2)
    await waiting
    assert found.executing == 2
