from __future__ import annotations

import asyncio

import pytest

from apiserver.http.deadlines import Deadlines
from apiserver.http.message import Request, Response
from apiserver.http.steps import deadline
from kubeling.api.errors import StatusError
from tests.unit.apiserver.http.test_steps import request


async def test_who_takes_too_long_is_cancelled_and_the_others_are_not() -> None:
    deadlines, go_on = Deadlines(3600.0), asyncio.Event()
    slow = asyncio.ensure_future(_under(deadlines, asyncio.Event()))
    await asyncio.sleep(0)
    first_due = deadlines.expire(0.0)
    assert first_due is not None
    while asyncio.get_running_loop().time() + 3600.0 <= first_due:  # the clock may be coarse
        await asyncio.sleep(0.001)
    later = asyncio.ensure_future(_under(deadlines, go_on))
    await asyncio.sleep(0)
    next_due = deadlines.expire(first_due)
    assert next_due is not None and next_due > first_due
    assert await slow == "expired"
    go_on.set()
    assert await later == "done"
    assert deadlines.expire(next_due) is None


async def test_the_timer_finds_who_is_due() -> None:
    assert await _under(Deadlines(0.01), asyncio.Event()) == "expired"


async def _under(deadlines: Deadlines, until: asyncio.Event) -> str:
    limited = deadlines.begin()
    try:
        await until.wait()
    except asyncio.CancelledError:
        if deadlines.is_cause(limited):
            return "expired"
        raise
    finally:
        deadlines.end(limited)
    return "done"


async def test_a_cancellation_from_elsewhere_goes_on() -> None:
    task = asyncio.ensure_future(_under(Deadlines(3600.0), asyncio.Event()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("query", ["", "timeout=20ms"])
async def test_a_request_that_takes_too_long_is_answered_504(query: str) -> None:
    async def never(_: Request) -> Response:
        await asyncio.Event().wait()
        return Response()

    with pytest.raises(StatusError) as error:
        await deadline(0.05)(never)(request(query=query))
    assert error.value.code == 504
