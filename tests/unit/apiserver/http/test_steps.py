from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from apiserver.http.message import Request, Response
from apiserver.http.request import User
from apiserver.http.steps import InFlight, deadline, long_running, map_errors, requested_seconds
from apiserver.storage.base import Unavailable
from kubeling.api import errors
from kubeling.api.errors import StatusError


def request(method: str = "GET", path: str = "/api/v1/pods", query: str = "") -> Request:
    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": []}
    return Request(scope, receive)


@pytest.mark.parametrize(("text", "expected"), [("1s", 1), ("1m30s", 90), ("500ms", 0.5), ("1.5h", 5400)])
def test_durations(text: str, expected: float) -> None:
    assert requested_seconds(text) == expected


@pytest.mark.parametrize("text", ["", "5", "x", "1s2"])
def test_no_durations(text: str) -> None:
    with pytest.raises(StatusError):
        requested_seconds(text)


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/api/v1/pods", "", False),
        ("/api/v1/pods", "watch=1", True),
        ("/api/v1/namespaces/a/pods/p/exec", "", True),
        ("/api/v1/namespaces/a/pods/p/status", "", False),
    ],
)
def test_what_may_last(path: str, query: str, expected: bool) -> None:
    assert long_running(request(path=path, query=query)) is expected


async def test_failures_become_statuses() -> None:
    async def refuses(_: Request) -> Response:
        raise errors.too_many_requests("later", 7)

    async def breaks(_: Request) -> Response:
        raise ZeroDivisionError

    refused = await map_errors(refuses)(request())
    assert refused.status == 429 and (b"retry-after", b"7") in refused.headers
    assert (await map_errors(breaks)(request())).status == 500


async def test_too_much_at_once_is_refused_but_not_to_the_masters() -> None:
    limit = InFlight(1, 1)
    inner = request()

    async def nested(_: Request) -> Response:
        return await limit.step(ends)(inner)

    async def ends(_: Request) -> Response:
        return Response()

    refused = await limit.step(nested)(request())
    assert (refused.status, refused.body) == (429, b"Too many requests, please try again later.\n")
    inner.user = User("root", groups=("system:masters",))
    assert (await limit.step(nested)(request())).status == 200
    assert limit.current == {True: 0, False: 0}


async def test_an_unreachable_store_is_told_in_upstreams_words() -> None:
    async def waits(_: Request) -> Response:
        raise Unavailable("etcdserver: request timed out")

    answer = await map_errors(waits)(request())
    status = json.loads(bytes(answer.body))
    assert (answer.status, status["message"]) == (500, "etcdserver: request timed out")
    assert "reason" not in status


async def test_requests_end_when_their_time_is_up() -> None:
    async def lasts(_: Request) -> Response:
        await asyncio.sleep(60)
        return Response()

    with pytest.raises(StatusError) as err:
        await deadline(0.01)(lasts)(request())
    assert err.value.code == 504
