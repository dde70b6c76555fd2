from __future__ import annotations

import asyncio
from typing import Any, cast

from apiserver.bootstrap.flow import FLOW_SCHEMAS, PRIORITY_LEVELS
from apiserver.flowcontrol.controller import FlowControl
from apiserver.http.message import Request, Response
from apiserver.http.request import User
from apiserver.registry.facade import Registries

NO_REGISTRIES = cast(Registries, None)  # only run() looks at the store


def request(path: str = "/api/v1/pods", method: str = "GET", user: User | None = None, query: str = "") -> Request:
    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": []}
    made = Request(scope, receive)
    made.user = user or User("alice", groups=("system:authenticated",))
    return made


def control(total: int = 600, objects: int = 0) -> FlowControl:
    return FlowControl(NO_REGISTRIES, total, 60, lambda info: objects)


async def ends(_: Request) -> Response:
    return Response()


def with_uid(obj: dict[str, Any]) -> dict[str, Any]:
    return {**obj, "metadata": {**obj["metadata"], "uid": f"uid-of-{obj['metadata']['name']}"}}


async def test_answers_tell_schema_and_level() -> None:
    limits = control()
    limits.configure(map(with_uid, PRIORITY_LEVELS), map(with_uid, FLOW_SCHEMAS))
    asked = request()
    await limits.step(ends)(asked)
    assert asked.added_headers == (
        (b"x-kubernetes-pf-flowschema-uid", b"uid-of-global-default"),
        (b"x-kubernetes-pf-prioritylevel-uid", b"uid-of-global-default"),
    )


async def test_too_much_is_refused_in_upstreams_words() -> None:
    limits = control(total=1)
    limits.configure((), ())  # the mandatory ones are always there; catch-all rejects
    blocked = asyncio.Event()

    async def lasts(_: Request) -> Response:
        await blocked.wait()
        return Response()

    first = asyncio.ensure_future(limits.step(lasts)(request()))
    await asyncio.sleep(0)
    refused = await limits.step(ends)(request())
    assert (refused.status, refused.body) == (429, b"Too many requests, please try again later.\n")
    assert (b"retry-after", b"1") in refused.headers
    admin = User("root", groups=("system:masters",))
    assert (await limits.step(ends)(request(user=admin))).status == 200
    blocked.set()
    assert (await first).status == 200
    (flow,) = [f for f in limits.flows if f.name == "catch-all"]
    assert (flow.dispatched, flow.executing, flow.rejected) == (1, 0, {"concurrency-limit": 1})


async def test_what_finds_no_seat_waits_its_turn() -> None:
    limits = control(total=1)
    blocked = asyncio.Event()

    async def lasts(_: Request) -> Response:
        await blocked.wait()
        return Response()

    first = asyncio.ensure_future(limits.step(lasts)(request()))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(limits.step(ends)(request()))
    await asyncio.sleep(0)
    (flow,) = [f for f in limits.flows if f.name == "global-default"]
    assert (flow.executing, flow.waiting) == (1, 1)
    blocked.set()
    assert [(await t).status for t in (first, second)] == [200, 200]
    assert (flow.dispatched, flow.executing, flow.waiting, flow.waits[True].total) == (2, 0, 0, 1)


async def test_long_lists_take_more_seats_and_lasting_requests_none() -> None:
    limits = control(objects=950)
    seen: list[int] = []

    async def looks(_: Request) -> Response:
        seen.append(limits.levels["global-default"].executing)
        return Response()

    await limits.step(looks)(request())
    await limits.step(looks)(request("/api/v1/namespaces/a/pods/p"))
    await limits.step(looks)(request("/api/v1/namespaces/a/pods/p/exec"))
    await limits.step(looks)(request(query="watch=1"))
    assert seen == [10, 1, 0, 1]


def test_schemas_of_levels_that_do_not_exist_are_passed_over() -> None:
    limits = control()
    dangling = {
        "metadata": {"name": "a"},
        "spec": {
            "matchingPrecedence": 2,
            "priorityLevelConfiguration": {"name": "gone"},
            "rules": [
                {
                    "subjects": [{"kind": "User", "user": {"name": "*"}}],
                    "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True}],
                }
            ],
        },
    }
    limits.configure(PRIORITY_LEVELS, [dangling])
    asked = request()
    assert limits.classify(asked.user, asked.info).name == "catch-all"


def test_levels_lend_what_they_do_not_need() -> None:
    limits = control()
    before = limits.levels["workload-low"].limit
    limits.levels["global-default"].most = 400
    limits.borrow()
    assert limits.levels["global-default"].limit > 49
    assert limits.levels["workload-low"].limit < before
