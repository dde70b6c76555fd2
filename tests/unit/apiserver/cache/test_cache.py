"""Entries are cut from stored bytes; the cache keeps content, ring and watchers level; the hub follows the store."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from apiserver.cache.entry import Entry, Event, EventType, Form, body_of, decoded_entry, encode, entry_of
from apiserver.cache.hub import Hub
from apiserver.cache.kind_cache import FEWEST, FRESH_SECONDS, MOST, KindCache, TooOld
from apiserver.cache.watcher import CAPACITY
from apiserver.storage.base import Change, KeyValue
from apiserver.storage.memory import MemoryStorage

FORM = Form.of("Thing", "v1", {"spec.node": lambda obj: str(obj.get("spec", {}).get("node", ""))})
UID = "01234567-89ab-4cde-8f01-23456789abcd"


def thing(name: str, namespace: str = "ns", **more: Any) -> dict[str, Any]:
    metadata = {"labels": {"app": name}, "name": name, "namespace": namespace, "uid": UID}
    return {"apiVersion": "v1", "kind": "Thing", "metadata": metadata, **more}


@pytest.mark.parametrize(
    "stored",
    [
        encode(thing("a", spec={"node": "n1"})),
        orjson.dumps(thing("a", spec={"node": "n1"})),  # laid out otherwise
        orjson.dumps({"kind": "Thing", "apiVersion": "v1", "metadata": {"name": "a"}}),  # without uid
    ],
)
def test_body_is_the_object_with_its_version_and_without_its_kind(stored: bytes) -> None:
    expected = orjson.loads(stored)
    del expected["kind"], expected["apiVersion"]
    expected["metadata"]["resourceVersion"] = "7"
    assert orjson.loads(body_of(stored, FORM, 7)) == expected


def test_an_annotation_that_looks_like_a_version_stays() -> None:
    obj = thing("a")
    obj["metadata"]["annotations"] = {"x": '{"resourceVersion":"7","uid":"1"}'}
    entry = entry_of("ns/a", encode(obj), 7, FORM)
    deleted = entry.deleted_at(9).decode(FORM)
    assert deleted["metadata"]["resourceVersion"] == "9"
    assert deleted["metadata"]["annotations"] == obj["metadata"]["annotations"]


@pytest.mark.parametrize("stored", [encode(thing("a")), orjson.dumps({**thing("a"), "apiVersion": "v1beta1"})])
def test_the_object_that_comes_with_an_entry_is_what_the_entry_decodes_to(stored: bytes) -> None:
    entry, obj = decoded_entry("ns/a", stored, 7, FORM)
    assert obj == entry.decode(FORM)


def test_listeners_are_handed_the_decoded_object_and_the_ring_does_not_keep_it() -> None:
    cache = cache_with()
    told: list[Any] = []
    cache.listen(lambda event: told.append(event.obj))
    cache.apply(Change("/registry/things/ns/a", encode(thing("a")), 50))
    cache.apply(Change("/registry/things/ns/a", None, 51))
    assert told[0]["metadata"]["resourceVersion"] == "50" and told[1] is None
    assert all(event.obj is None for event in cache.events_after(49))


def test_encode_drops_the_version_and_keeps_the_rest() -> None:
    obj = thing("a", spec={"node": "n1"})
    obj["metadata"]["resourceVersion"] = "3"
    del obj["metadata"]["labels"]
    assert orjson.loads(encode(obj)) == {
        "kind": "Thing", "apiVersion": "v1", "metadata": {"name": "a", "namespace": "ns", "uid": UID}, "spec": {"node": "n1"},
    }  # fmt: skip


def cache_with(*names: str) -> KindCache:
    cache = KindCache("/registry/things/", FORM)
    cache.load([], 1)
    for number, name in enumerate(names):
        cache.apply(change(name, 2 + number))
    return cache


def change(name: str, revision: int, *, gone: bool = False, **more: Any) -> Change:
    return Change(f"/registry/things/ns/{name}", None if gone else encode(thing(name, **more)), revision)


def test_scan_is_in_key_order_and_counts() -> None:
    cache = cache_with("b", "a", "c")
    assert [e.name for e in cache.scan("ns/")] == ["a", "b", "c"]
    assert [e.name for e in cache.scan("ns/", "ns/b")] == ["b", "c"]
    assert [e.name for e in cache.scan("n/")] == []
    assert cache.count("ns/", "ns/b") == 2
    cache.apply(change("b", 9, gone=True))
    assert [e.name for e in cache.scan()] == ["a", "c"] and cache.get("ns/b") is None


def test_the_ring_answers_what_came_after() -> None:
    cache = cache_with("a", "b")
    cache.apply(change("a", 5, spec={"node": "n"}))
    cache.apply(change("b", 6, gone=True))
    assert [(e.type, e.revision) for e in cache.events_after(2)] == [
        (EventType.ADDED, 3), (EventType.MODIFIED, 5), (EventType.DELETED, 6),
    ]  # fmt: skip
    assert cache.events_after(6) == []
    with pytest.raises(TooOld) as err:
        cache.events_after(0)
    assert err.value.oldest == 1


def changed(cache: KindCache, revisions: range) -> None:
    for revision in revisions:
        cache.apply(change("a", revision))


def test_old_changes_leave_the_ring_but_for_the_last_hundred() -> None:
    now = 0.0
    cache = KindCache("/registry/things/", FORM, clock=lambda: now)
    cache.load([], 1)
    changed(cache, range(2, 302))
    now = FRESH_SECONDS
    changed(cache, range(302, 303))
    assert len(cache.events_after(1)) == 301  # all fresh still
    now = 2 * FRESH_SECONDS - 1
    changed(cache, range(303, 304))
    with pytest.raises(TooOld) as err:
        cache.events_after(202)
    assert err.value.oldest == 203  # 300 were old, two are not, 98 stay with them
    assert len(cache.events_after(203)) == FEWEST


def test_no_more_changes_than_the_most_are_kept_however_fresh() -> None:
    cache = cache_with()
    changed(cache, range(2, MOST + 3))
    with pytest.raises(TooOld):
        cache.events_after(1)
    assert len(cache.events_after(2)) == MOST


async def test_watchers_are_told_of_their_scope() -> None:
    cache = cache_with()
    everything, namespace, one, other = (cache.watch(s) for s in ("", "ns/", "ns/a", "elsewhere/"))
    cache.apply(change("a", 2))
    cache.apply(change("b", 3))
    assert [e.revision for e in await everything.next() or []] == [2, 3]
    assert [e.revision for e in await namespace.next() or []] == [2, 3]
    assert [e.revision for e in await one.next() or []] == [2]
    assert await other.next(timeout=0.01) == []
    one.close()
    assert await one.next() is None and cache.watchers == 3


async def test_a_sink_gets_what_gathered_once_a_round() -> None:
    cache = cache_with()
    watchers = [cache.watch("") for _ in range(3)]
    got: list[list[int]] = []
    for watcher in watchers:
        watcher.attach(lambda events, memo: got.append([e.revision for e in events]))
    cache.apply(change("a", 2))
    cache.apply(change("b", 3))
    await asyncio.sleep(0.05)
    assert got == [[2, 3]] * 3


async def test_who_lags_too_far_is_closed() -> None:
    cache = cache_with("a")
    slow = cache.watch("")
    event = cache.events_after(1)[0]
    for _ in range(CAPACITY + 1):
        slow.push(event)
    assert slow.closed and cache.watchers == 0


def test_an_event_is_rendered_once_a_style() -> None:
    calls: list[str] = []

    def render(type_: EventType, entry: Entry) -> bytes:
        calls.append(entry.name)
        return b"line"

    event = Event(EventType.ADDED, entry_of("ns/a", encode(thing("a")), 2, FORM), None)
    for _ in range(5):
        event.line("v1", render, EventType.ADDED)
    event.line("v2", render, EventType.ADDED)
    assert calls == ["a", "a"]


def test_listeners_hear_of_what_a_reload_changed() -> None:
    cache = cache_with("a", "b")
    heard: list[tuple[str, str]] = []
    cache.listen(lambda event: heard.append((event.type, event.entry.name)))
    cache.unload()
    cache.load(
        [
            KeyValue("/registry/things/ns/b", encode(thing("b")), 3),
            KeyValue("/registry/things/ns/c", encode(thing("c")), 8),
        ],
        9,
    )
    assert heard == [("DELETED", "a"), ("ADDED", "c")]


async def test_the_hub_follows_the_store_and_reads_are_fresh() -> None:
    storage = MemoryStorage()
    await storage.put("/registry/things/ns/before", encode(thing("before")), 0)
    hub = Hub(storage)
    cache = KindCache("/registry/things/", FORM)
    hub.add(cache)
    await hub.start()
    running = asyncio.ensure_future(hub.run())
    await hub.sync_all()
    assert cache.get("ns/before") is not None
    for number in range(5):
        await storage.put(f"/registry/things/ns/n{number}", encode(thing(f"n{number}")), 0)
        await hub.catch_up()
        assert cache.get(f"ns/n{number}") is not None
    await storage.put("/elsewhere", b"x", 0)
    assert await asyncio.gather(*(hub.catch_up() for _ in range(50))) == [await storage.revision()] * 50
    await storage.put("/registry/things/ns/bad", b"not json", 0)
    await hub.catch_up()
    assert cache.get("ns/bad") is None
    running.cancel()


async def test_a_kind_that_is_added_later_misses_nothing() -> None:
    storage = MemoryStorage()
    hub = Hub(storage)
    await hub.start()
    running = asyncio.ensure_future(hub.run())
    cache = KindCache("/registry/example.dev/things/", FORM)
    hub.add(cache)
    await storage.put("/registry/example.dev/things/ns/a", encode(thing("a")), 0)
    await hub.catch_up()
    assert cache.get("ns/a") is None  # waits for the load
    await hub.sync(cache)
    assert cache.get("ns/a") is not None
    hub.remove(cache)
    running.cancel()


async def test_a_cache_takes_changes_beside_the_one_it_replaces() -> None:
    storage = MemoryStorage()
    hub = Hub(storage)
    old = KindCache("/registry/things/", FORM)
    await hub.start()
    following = asyncio.ensure_future(hub.run())
    hub.add(old)
    await hub.sync(old)
    await storage.put("/registry/things/ns/a", encode(thing("a")), 0)
    new = KindCache("/registry/things/", FORM)
    hub.add(new)
    await hub.sync(new)
    watcher = old.watch("")
    await hub.wait_for(await storage.put("/registry/things/ns/b", encode(thing("b")), 0))
    assert [[e.name for e in cache.scan()] for cache in (old, new)] == [["a", "b"], ["a", "b"]]
    hub.remove(old)
    assert watcher.closed
    await hub.wait_for(await storage.put("/registry/things/ns/c", encode(thing("c")), 0))
    assert [e.name for e in new.scan()] == ["a", "b", "c"] and not old.synced
    following.cancel()
