import asyncio

from kubeling.api.meta import Object
from kubeling.api.resources import EVENTS
from kubeling.client.clock import FakeClock
from kubeling.client.events import EventRecorder
from tests.unit.controllers.fakeapi import FakeApi

POD: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "ns", "uid": "u"}}


class Scene:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.api = FakeApi(self.clock)
        self.recorder = EventRecorder(self.api.client(), "kubelet", host="n1", clock=self.clock)

    async def __aenter__(self) -> "Scene":
        self.task = asyncio.create_task(self.recorder.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])

    async def written(self) -> list[Object]:
        await self.recorder.flush()
        return self.api.all(EVENTS)


async def test_an_event_as_it_is_written() -> None:
    async with Scene() as scene:
        scene.recorder.event(POD, "Normal", "Started", "Started container c", field_path="spec.containers{c}")
        (event,) = await scene.written()
        assert event["metadata"]["name"].startswith("p.") and event["metadata"]["namespace"] == "ns"
        assert event["involvedObject"]["fieldPath"] == "spec.containers{c}"
        assert event["source"] == {"component": "kubelet", "host": "n1"}
        assert (event["type"], event["reason"], event["count"]) == ("Normal", "Started", 1)
        assert event["firstTimestamp"] == event["lastTimestamp"] == "2026-01-01T00:00:00Z"


async def test_the_same_again_counts() -> None:
    async with Scene() as scene:
        for _ in range(3):
            scene.recorder.event(POD, "Warning", "BackOff", "Back-off")
            await scene.written()
            await scene.clock.advance(10)
        (event,) = await scene.written()
        assert event["count"] == 3
        assert (event["firstTimestamp"], event["lastTimestamp"]) == ("2026-01-01T00:00:00Z", "2026-01-01T00:00:20Z")


async def test_an_event_that_has_gone_meanwhile_is_written_anew() -> None:
    async with Scene() as scene:
        scene.recorder.event(POD, "Warning", "BackOff", "Back-off")
        (event,) = await scene.written()
        scene.api.delete(EVENTS, "ns", event["metadata"]["name"])
        scene.recorder.event(POD, "Warning", "BackOff", "Back-off")
        (event,) = await scene.written()
        assert event["count"] == 2


async def test_many_similar_ones_are_combined() -> None:
    async with Scene() as scene:
        for number in range(15):
            scene.recorder.event(POD, "Normal", "Pulled", f"image {number}")
        found = await scene.written()
        combined = [e for e in found if e["message"].startswith("(combined from similar events): ")]
        assert len(found) == 10 and len(combined) == 1
        assert combined[0]["count"] == 6 and combined[0]["message"].endswith("image 14")


async def test_an_object_talked_about_too_much_is_silenced_for_a_while() -> None:
    async with Scene() as scene:
        for _ in range(40):
            scene.recorder.event(POD, "Normal", "Same", "same")
        assert (await scene.written())[0]["count"] == 25
        await scene.clock.advance(301)
        scene.recorder.event(POD, "Normal", "Same", "same")
        assert (await scene.written())[0]["count"] == 26
