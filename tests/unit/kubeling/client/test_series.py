import asyncio

from kubeling.api.meta import Object
from kubeling.api.resources import EVENTS_V1
from kubeling.client.clock import FakeClock
from kubeling.client.series import SeriesRecorder
from tests.unit.controllers.fakeapi import FakeApi

POD: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "ns", "uid": "u"}}


async def test_repetitions_become_a_series() -> None:
    clock = FakeClock()
    api = FakeApi(clock)
    recorder = SeriesRecorder(api.client(), "default-scheduler", "default-scheduler-h", clock=clock)
    task = asyncio.create_task(recorder.run())

    async def fail(note: str) -> Object:
        recorder.event(POD, "Warning", "FailedScheduling", note, action="Scheduling")
        await recorder.flush()
        (event,) = api.all(EVENTS_V1)
        return event

    event = await fail("no nodes")
    assert (event["action"], event["note"], event["reportingController"]) == (
        "Scheduling",
        "no nodes",
        "default-scheduler",
    )
    assert event["eventTime"] == "2026-01-01T00:00:00.000000Z" and "series" not in event
    await clock.advance(1)
    assert (await fail("0/1 nodes"))["series"] == {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}
    writes = len(api.writes)
    for _ in range(3):
        await fail("again")
    assert len(api.writes) == writes  # counted, not written
    await clock.advance(1000)
    assert api.all(EVENTS_V1)[0]["series"]["count"] == 5
    recorder.event(POD, "Warning", "FailedScheduling", "much later", action="Scheduling")
    await recorder.flush()
    assert len(api.all(EVENTS_V1)) == 2
    task.cancel()
    await asyncio.wait([task])
