"""The registry of a kind over the in-memory store: writes, retries, runtime registration."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from apiserver.cache.hub import Hub
from apiserver.registry.admission import AdmissionChain
from apiserver.registry.kind import Kind
from apiserver.registry.registries import ServerRegistries
from apiserver.registry.served import Catalog
from apiserver.storage.memory import MemoryStorage
from kubeling.api import errors
from kubeling.api.errors import StatusError
from kubeling.api.meta import Object, utcnow
from kubeling.api.resource import Resource

THINGS = Resource("example.dev", "v1", "Thing", "things")
KIND = Kind(THINGS, key="example.dev/things")


@asynccontextmanager
async def registries() -> AsyncIterator[ServerRegistries]:
    storage = MemoryStorage()
    hub = Hub(storage)
    made = ServerRegistries(storage, hub, Catalog(), AdmissionChain(), lambda *_: None, utcnow)
    await hub.start()
    running = asyncio.ensure_future(hub.run())
    try:
        yield made
    finally:
        running.cancel()


def thing(name: str, **more: object) -> Object:
    return {"metadata": {"name": name, "namespace": "ns"}, **more}


async def test_a_kind_comes_and_goes_while_the_server_runs() -> None:
    async with registries() as made:
        changes: list[int] = []
        made.catalog.listen(lambda: changes.append(made.catalog.generation))
        made.register(KIND)
        await made.hub.sync_all()
        assert made.catalog.find("example.dev", "v1", "things") is not None
        await made.of(THINGS).create(thing("a"))
        assert (await made.of(THINGS).get("a", "ns"))["kind"] == "Thing"
        watcher = made.of(THINGS).objects.cache.watch("")
        made.unregister(KIND)
        assert watcher.closed and made.find("example.dev", "things") is None and len(changes) == 2


async def test_concurrent_updates_all_count() -> None:
    async with registries() as made:
        made.register(KIND)
        await made.hub.sync_all()
        registry = made.of(THINGS)
        await registry.create(thing("a", data={"n": 0}))

        def grow(obj: Object) -> Object:
            obj["data"] = {"n": obj["data"]["n"] + 1}
            return obj

        await asyncio.gather(*(registry.update("a", grow, "ns") for _ in range(20)))
        assert (await registry.get("a", "ns"))["data"] == {"n": 20}


async def test_an_update_that_changes_nothing_writes_nothing() -> None:
    async with registries() as made:
        made.register(KIND)
        await made.hub.sync_all()
        created = await made.of(THINGS).create(thing("a"))
        before = await made.storage.revision()
        same = await made.of(THINGS).update("a", lambda obj: obj, "ns")
        none = await made.of(THINGS).update("a", lambda obj: None, "ns")
        assert await made.storage.revision() == before
        assert (
            same["metadata"]["resourceVersion"]
            == none["metadata"]["resourceVersion"]
            == created["metadata"]["resourceVersion"]
        )


async def test_generated_names_and_conflicts() -> None:
    async with registries() as made:
        made.register(KIND)
        await made.hub.sync_all()
        registry = made.of(THINGS)
        obj = {"metadata": {"generateName": "web-", "namespace": "ns"}}
        names = {(await registry.create(obj))["metadata"]["name"] for _ in range(10)}
        assert len(names) == 10 and all(len(n) == len("web-") + 5 for n in names)
        await registry.create(thing("a"))
        with pytest.raises(StatusError) as err:
            await registry.create(thing("a"))
        assert errors.is_already_exists(err.value)


async def test_subscribers_hear_of_everything() -> None:
    async with registries() as made:
        made.register(KIND)
        await made.hub.sync_all()
        registry = made.of(THINGS)
        await registry.create(thing("a"))
        await made.wait_synced()
        heard: list[tuple[bool, bool]] = []
        end = registry.subscribe(lambda old, new: heard.append((old is not None, new is not None)))
        await registry.update("a", lambda obj: {**obj, "data": {}}, "ns")
        await registry.delete("a", "ns")
        await made.wait_synced()
        end()
        await registry.create(thing("b"))
        await made.wait_synced()
        assert heard == [(False, True), (True, True), (True, False)]


async def test_an_update_that_changes_nothing_writes_what_is_stored_in_an_old_form() -> None:
    async with registries() as made:
        made.register(replace(KIND, read=lambda obj: {**obj, "apiVersion": "example.dev/v1"}))
        await made.hub.sync_all()
        old = b'{"kind":"Thing","apiVersion":"example.dev/v0","metadata":{"name":"a","namespace":"ns"},"spec":{"n":1}}'
        objects = made.of(THINGS).objects
        revision = await made.storage.put(objects.path("ns", "a"), old, 0)

        async def unchanged(obj: Object) -> Object:
            return obj

        written = await objects.change("ns", "a", unchanged)
        stored = await made.storage.get(objects.path("ns", "a"))
        assert stored is not None and stored.revision > revision
        assert b'"apiVersion":"example.dev/v1"' in stored.value
        assert written["metadata"]["resourceVersion"] == str(stored.revision)
        await objects.change("ns", "a", unchanged)
        again = await made.storage.get(objects.path("ns", "a"))
        assert again == stored


async def test_the_order_of_stored_fields_makes_no_write() -> None:
    async with registries() as made:
        made.register(KIND)
        await made.hub.sync_all()
        other = (
            b'{"spec":{"n":1},"metadata":{"namespace":"ns","name":"a"},"apiVersion":"example.dev/v1","kind":"Thing"}'
        )
        objects = made.of(THINGS).objects
        revision = await made.storage.put(objects.path("ns", "a"), other, 0)

        async def unchanged(obj: Object) -> Object:
            return obj

        assert (await objects.change("ns", "a", unchanged))["metadata"]["resourceVersion"] == str(revision)
