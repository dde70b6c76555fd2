import asyncio
from collections.abc import AsyncIterator, Callable

import httpx
import orjson
import pytest

from kubeling.api.errors import StatusError, expired, is_conflict, not_found
from kubeling.api.resources import NODES, PODS
from kubeling.client.errors import ConnectionFailed
from kubeling.client.rest import Client, PatchKind
from kubeling.client.transport import Transport

Handler = Callable[[httpx.Request], httpx.Response]


def client_of(handler: Handler) -> Client:
    return Client(Transport("http://api.test", mock=httpx.MockTransport(handler)))


def recording(answer: object, status: int = 200) -> tuple[Client, list[httpx.Request]]:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(status, json=answer)

    return client_of(handler), seen


POD = {"metadata": {"name": "a", "namespace": "ns", "resourceVersion": "7"}}


async def test_requests_as_they_go_over_the_wire() -> None:
    client, seen = recording(POD)
    await client.get(PODS, "a", "ns")
    await client.list(PODS, label_selector="app=web", limit=5)
    await client.create(PODS, POD)
    await client.create(PODS, {"kind": "Binding"}, "ns", name="a", subresource="binding")
    await client.update(PODS, POD, subresource="status")
    await client.patch(PODS, "a", {"x": 1}, "ns", kind=PatchKind.APPLY, field_manager="me", force=True)
    await client.delete(PODS, "a", "ns", grace_period_seconds=0, uid="u1", propagation_policy="Foreground")
    await client.get(NODES, "n/1")
    assert [(r.method, str(r.url).removeprefix("http://api.test")) for r in seen] == [
        ("GET", "/api/v1/namespaces/ns/pods/a"),
        ("GET", "/api/v1/pods?labelSelector=app%3Dweb&limit=5"),
        ("POST", "/api/v1/namespaces/ns/pods"),
        ("POST", "/api/v1/namespaces/ns/pods/a/binding"),
        ("PUT", "/api/v1/namespaces/ns/pods/a/status"),
        ("PATCH", "/api/v1/namespaces/ns/pods/a?fieldManager=me&force=true"),
        ("DELETE", "/api/v1/namespaces/ns/pods/a"),
        ("GET", "/api/v1/nodes/n%2F1"),
    ]
    assert orjson.loads(seen[2].content)["kind"] == "Pod"
    assert seen[5].headers["content-type"] == "application/apply-patch+yaml"
    options = orjson.loads(seen[6].content)
    assert options["gracePeriodSeconds"] == 0
    assert options["preconditions"] == {"uid": "u1"}


async def test_a_namespaced_object_without_namespace_is_refused_before_it_is_sent() -> None:
    client, seen = recording(POD)
    with pytest.raises(ValueError, match="namespace is required"):
        await client.get(PODS, "a")
    assert seen == []


async def test_failures_are_status_errors() -> None:
    client, _ = recording(not_found("", "pods", "a").status, 404)
    with pytest.raises(StatusError) as caught:
        await client.get(PODS, "a", "ns")
    assert caught.value.code == 404
    assert caught.value.message == 'pods "a" not found'


async def test_an_answer_that_is_no_status_still_tells_its_code_and_text() -> None:
    client = client_of(lambda _: httpx.Response(409, text="proxy says no"))
    with pytest.raises(StatusError) as caught:
        await client.get(PODS, "a", "ns")
    assert is_conflict(caught.value)
    assert caught.value.message == "proxy says no"


async def test_retry_after_is_obeyed() -> None:
    answers = [httpx.Response(429, headers={"Retry-After": "0"}, json={}), httpx.Response(200, json=POD)]
    client = client_of(lambda _: answers.pop(0))
    assert await client.get(PODS, "a", "ns") == POD


async def test_no_connection_is_connection_failed_and_a_write_is_sent_once() -> None:
    sent: list[str] = []

    def broken(request: httpx.Request) -> httpx.Response:
        sent.append(request.method)
        raise httpx.ReadError("gone")

    client = client_of(broken)
    with pytest.raises(ConnectionFailed, match="gone"):
        await client.create(PODS, POD)
    with pytest.raises(ConnectionFailed):
        await client.get(PODS, "a", "ns")
    assert sent == ["POST", "GET", "GET"]


class Chunks(httpx.AsyncByteStream):
    def __init__(self, *chunks: bytes) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            await asyncio.sleep(0)
            yield chunk


def event(type_: str, obj: object) -> bytes:
    return orjson.dumps({"type": type_, "object": obj}) + b"\n"


async def test_watch_joins_lines_over_chunks() -> None:
    line = event("ADDED", POD) + event("BOOKMARK", {"metadata": {"resourceVersion": "9"}})
    client = client_of(lambda _: httpx.Response(200, stream=Chunks(line[:10], line[10:-3], line[-3:])))
    got = [e async for e in client.watch(PODS, resource_version="1")]
    assert [e.type for e in got] == ["ADDED", "BOOKMARK"]
    assert got[0].object == POD


async def test_watch_raises_the_error_event() -> None:
    line = event("ADDED", POD) + event("ERROR", expired("too old resource version: 1 (9)").status)
    client = client_of(lambda _: httpx.Response(200, stream=Chunks(line)))
    got = []
    with pytest.raises(StatusError) as caught:
        async for e in client.watch(PODS, resource_version="1"):
            got.append(e)
    assert len(got) == 1
    assert caught.value.code == 410


async def test_watch_that_breaks_off_within_an_event() -> None:
    client = client_of(lambda _: httpx.Response(200, stream=Chunks(event("ADDED", POD)[:-5])))
    with pytest.raises(ConnectionFailed):
        assert [e async for e in client.watch(PODS)] == []


async def test_list_items_follows_continue_and_fills_in_the_type() -> None:
    pages = [
        {"metadata": {"continue": "next"}, "items": [{"metadata": {"name": "a"}}]},
        {"metadata": {}, "items": [{"metadata": {"name": "b"}}]},
    ]
    client = client_of(lambda _: httpx.Response(200, json=pages.pop(0)))
    items = await client.list_items(PODS)
    assert [(i["kind"], i["metadata"]["name"]) for i in items] == [("Pod", "a"), ("Pod", "b")]
