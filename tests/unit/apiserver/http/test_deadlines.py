from __future__ import annotations

import asyncio

import pytest

from apiserver.http.deadlines import Deadlines
from apiserver.http.message import Request, Response
from apiserver.http.steps import deadline
from kubeling.api.errors import StatusError
from tests.unit.apiserver.http.test_steps import request


async def test_who_takes_too_long_is_cancelled_and_the_others_are_not() -> None:
    deadlines = Deadlines(0.05)
    slow = asyncio.ensure_future(_under(deadlines, 30.0))
    assert await _under(deadlines, 0.0) == "done"
    later = asyncio.ensure_future(_later(deadlines))
    assert await slow == "expired"
    assert await later == "done"


async def _later(deadlines: Deadlines) -> str:
    """Begins when the timer of another is running already."""
    await asyncio.sleep(0.03)
    return await _under(deadlines, 0.03)


async def _under(deadlines: Deadlines, seconds: float) -> str:
    limited = deadlines.begin()
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        if deadlines.is_cause(limited):
            return "expired"
        raise
    finally:
        deadlines.end(limited)
    return "done"


async def test_a_cancellation_from_elsewhere_goes_on() -> None:
    task = asyncio.ensure_future(_under(Deadlines(30.0), 30.0))
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
