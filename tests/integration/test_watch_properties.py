"""The guarantees of watches under concurrent writers, checked over what several watchers have recorded."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from kubeling.api.errors import StatusError
from kubeling.api.meta import Key, Object, key_of
from kubeling.api.resources import CONFIG_MAPS
from kubeling.client.kubeconfig import Credentials
from kubeling.client.rest import Client, WatchEvent
from kubeling.client.transport import Transport
from tests.integration import watchproperties as properties
from tests.integration.conftest import ADMIN, ApiServer

WRITERS, WRITES = 4, 60


@pytest.fixture
async def client(apiserver: ApiServer) -> AsyncIterator[Client]:
    made = Client(Transport.of(Credentials(apiserver.url, token=ADMIN, insecure=True)))
    yield made
    await made.aclose()


class Recorder:
    """Watches a namespace's ConfigMaps from a revision on, and keeps what it hears."""

    def __init__(self, client: Client, namespace: str, start: str, label_selector: str = "") -> None:
        self.events: list[WatchEvent] = []
        self._watch = client.watch(CONFIG_MAPS, namespace, resource_version=start, label_selector=label_selector)

    async def run(self) -> None:
        async for event in self._watch:
            self.events.append(event)

    async def until(self, version: int) -> None:
        """Waits until a revision at or after that one has been told."""
        async with asyncio.timeout(20):
            while not self.events or int(self.events[-1].object["metadata"]["resourceVersion"]) < version:
                await asyncio.sleep(0.02)


async def write(client: Client, namespace: str, seed: int, written: list[tuple[Key, int]]) -> None:
    """Creates, changes and deletes at random; notes what the server has acknowledged."""
    chance = random.Random(seed)
    for number in range(WRITES):
        name = f"c{chance.randrange(6)}"
        color = chance.choice(["red", "blue"])
        with suppress(StatusError):  # others have deleted or created it meanwhile: that is the point
            match chance.randrange(4):
                case 0:
                    await client.delete(CONFIG_MAPS, name, namespace)
                    continue
                case 1:
                    done = await client.create(CONFIG_MAPS, made(name, color, seed, number), namespace)
                case _:
                    patch = {"metadata": {"labels": {"color": color}}, "data": {"by": f"{seed}", "n": f"{number}"}}
                    done = await client.patch(CONFIG_MAPS, name, patch, namespace)
            written.append((key_of(done), int(done["metadata"]["resourceVersion"])))


def made(name: str, color: str, seed: int, number: int) -> Object:
    return {"metadata": {"name": name, "labels": {"color": color}}, "data": {"by": f"{seed}", "n": f"{number}"}}


async def test_watches_under_concurrent_writers(client: Client, namespace: str) -> None:
    start = await client.list(CONFIG_MAPS, namespace)
    before: dict[Key, Object] = {key_of(item): item for item in start["items"]}
    version = start["metadata"]["resourceVersion"]
    recorders = [Recorder(client, namespace, version) for _ in range(3)]
    red = Recorder(client, namespace, version, "color=red")
    tasks = [asyncio.create_task(r.run()) for r in [*recorders, red]]
    written: list[tuple[Key, int]] = []
    await asyncio.gather(*(write(client, namespace, seed, written) for seed in range(WRITERS)))
    last = await client.create(CONFIG_MAPS, made("last", "red", 0, 0), namespace)
    end = int(last["metadata"]["resourceVersion"])
    for recorder in [*recorders, red]:
        await recorder.until(end)
    histories = [properties.seen(r.events) for r in recorders]
    whole = histories[0]
    for history in [*histories, properties.seen(red.events)]:
        assert properties.unordered(history) == []
        assert properties.repeated(history) == []
        assert properties.wrong_types(history, before) == []
    assert properties.torn(histories) == []
    assert [text for history in histories for text in properties.untruthful(history, whole)] == []
    assert properties.missing(whole, written) == []
    await check_resuming(client, namespace, whole)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert {e.object["metadata"]["labels"]["color"] for e in red.events if e.type != "DELETED"} <= {"red"}


async def check_resuming(client: Client, namespace: str, whole: list[properties.Seen]) -> None:
    """From any of the recorded revisions on, a new watch tells the rest."""
    versions = sorted({event.version for event in whole})
    end = properties.changes(whole)[-1].version
    for start in versions[: -1 : max(1, len(versions) // 12)]:
        recorder = Recorder(client, namespace, str(start))
        task = asyncio.create_task(recorder.run())
        await recorder.until(end)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert properties.unlike(whole, properties.seen(recorder.events), start) == []
