import asyncio
from typing import Any

import httpx
import orjson

from kubeling.api.errors import expired
from kubeling.api.meta import Key, Object, is_deleting
from kubeling.api.resources import PODS
from kubeling.client.backoff import Backoff
from kubeling.client.informer import Informer
from kubeling.client.rest import Client
from kubeling.client.transport import Transport


def pod(name: str, version: int, uid: str = "", **metadata: Any) -> Object:
    return {
        "metadata": {"name": name, "namespace": "ns", "uid": uid or name, "resourceVersion": str(version), **metadata}
    }


class Feed(httpx.AsyncByteStream):
    """A watch response that the test writes to."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    def send(self, type_: str, obj: Object) -> None:
        self.queue.put_nowait(orjson.dumps({"type": type_, "object": obj}) + b"\n")

    def end(self) -> None:
        self.queue.put_nowait(None)

    async def __aiter__(self):  # type: ignore[no-untyped-def]
        while (chunk := await self.queue.get()) is not None:
            yield chunk


class Server:
    """One collection, listed as it stands; each watch gets a feed."""

    def __init__(self, *items: Object, version: int) -> None:
        self.items = list(items)
        self.version = version
        self.feeds: list[Feed] = []
        self.watched_from: list[str] = []
        self.lists = 0
        self.failures = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.failures:
            self.failures -= 1
            raise httpx.ConnectError("refused")
        if request.url.params.get("watch") == "true":
            self.watched_from.append(request.url.params["resourceVersion"])
            self.feeds.append(Feed())
            return httpx.Response(200, stream=self.feeds[-1])
        self.lists += 1
        return httpx.Response(200, json={"metadata": {"resourceVersion": str(self.version)}, "items": self.items})


class Scene:
    def __init__(self, server: Server) -> None:
        self.server = server
        client = Client(Transport("http://api.test", mock=httpx.MockTransport(server)))
        self.informer = Informer(client, PODS, backoff=Backoff(initial=0.001, maximum=0.002))
        self.changes: list[tuple[str, str]] = []
        self.informer.add_handler(self.heard)

    def heard(self, old: Object | None, new: Object | None) -> None:
        obj = new or old or {}
        what = "added" if old is None else "deleted" if new is None else "changed"
        self.changes.append((what, obj["metadata"]["name"]))

    async def __aenter__(self) -> "Scene":
        self.task = asyncio.create_task(self.informer.run())
        await self.informer.wait_synced()
        await self.settle()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])

    async def settle(self, seconds: float = 0.0) -> None:
        for _ in range(30):
            await asyncio.sleep(seconds / 30)

    def names(self) -> list[str]:
        return sorted(obj["metadata"]["name"] for obj in self.informer.store.list())


async def test_list_then_watch() -> None:
    async with Scene(Server(pod("a", 3), pod("b", 4), version=5)) as scene:
        assert scene.names() == ["a", "b"]
        assert scene.server.watched_from == ["5"]
        feed = scene.server.feeds[0]
        feed.send("ADDED", pod("c", 6))
        feed.send("MODIFIED", pod("a", 7))
        feed.send("DELETED", pod("b", 8))
        await scene.settle()
        assert scene.names() == ["a", "c"]
        assert scene.changes[2:] == [("added", "c"), ("changed", "a"), ("deleted", "b")]
        assert scene.informer.store.list()[0]["kind"] == "Pod"


async def test_resumes_where_it_was_and_lists_again_only_after_410() -> None:
    async with Scene(Server(version=5)) as scene:
        scene.server.feeds[0].send("BOOKMARK", {"metadata": {"resourceVersion": "40"}})
        scene.server.feeds[0].end()
        await scene.settle(0.05)
        assert scene.server.watched_from == ["5", "40"]
        assert scene.server.lists == 1
        scene.server.items, scene.server.version = [pod("z", 50)], 51
        scene.server.feeds[1].send("ERROR", expired("too old").status)
        await scene.settle(0.05)
        assert scene.server.lists == 2
        assert scene.names() == ["z"]


async def test_survives_a_server_that_is_away() -> None:
    server = Server(version=5)
    server.failures = 4
    async with Scene(server) as scene:
        server.failures = 3
        scene.server.feeds[0].end()
        await scene.settle(0.1)
        assert not scene.task.done()
        assert scene.server.watched_from[-1] == "5"


async def test_relist_drops_what_is_gone_and_what_another_storage_had() -> None:
    async with Scene(Server(pod("a", 3), pod("b", 4), version=5)) as scene:
        scene.server.items, scene.server.version = [pod("b", 2, uid="other")], 2
        scene.server.feeds[0].send("ERROR", expired("too old").status)
        await scene.settle(0.05)
        assert scene.names() == ["b"]
        assert scene.informer.store.list()[0]["metadata"]["uid"] == "other"


async def test_own_writes_are_seen_at_once_and_never_again() -> None:
    async with Scene(Server(version=5)) as scene:
        scene.informer.observe(pod("mine", 6))
        assert scene.names() == ["mine"]
        scene.server.feeds[0].send("ADDED", pod("mine", 6))
        await scene.settle()
        assert scene.changes == [("added", "mine")]


async def test_an_own_write_that_the_server_has_already_shown_deleted_stays_away() -> None:
    async with Scene(Server(version=5)) as scene:
        scene.server.feeds[0].send("ADDED", pod("mine", 6))
        scene.server.feeds[0].send("DELETED", pod("mine", 7))
        await scene.settle()
        scene.informer.observe(pod("mine", 6))
        assert scene.names() == []


async def test_own_deletions_mark_the_object_until_the_server_says_so() -> None:
    async with Scene(Server(pod("a", 3), version=5)) as scene:
        scene.informer.observe_deletion(pod("a", 3))
        stored = scene.informer.store.get(Key("ns", "a"))
        assert stored is not None and is_deleting(stored)
        scene.server.feeds[0].send("MODIFIED", pod("a", 6))  # a status written before our deletion
        await scene.settle()
        stored = scene.informer.store.get(Key("ns", "a"))
        assert stored is not None and is_deleting(stored)
        scene.server.feeds[0].send("DELETED", pod("a", 8))
        await scene.settle()
        assert scene.names() == []


async def test_deleted_and_created_again_between_two_lists_is_told_as_both() -> None:
    async with Scene(Server(pod("a", 3, uid="one"), version=5)) as scene:
        scene.server.feeds[0].send("MODIFIED", pod("a", 9, uid="two"))
        await scene.settle()
        assert scene.changes == [("added", "a"), ("deleted", "a"), ("added", "a")]
