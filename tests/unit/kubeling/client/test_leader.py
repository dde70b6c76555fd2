import asyncio

from kubeling.api.errors import service_unavailable
from kubeling.api.resources import LEASES
from kubeling.client.clock import FakeClock
from kubeling.client.leader import LeaderElector, LeaseTimes, next_record
from tests.unit.controllers.fakeapi import FakeApi


class Candidate:
    """A process that would like to lead."""

    def __init__(self, api: FakeApi, clock: FakeClock, identity: str, *, release: bool = True) -> None:
        self.leads = False
        elector = LeaderElector(api.client(), name="cm", identity=identity, clock=clock, release_on_cancel=release)
        self.task = asyncio.create_task(elector.run(self.lead))

    async def lead(self) -> None:
        self.leads = True
        try:
            await asyncio.Event().wait()
        finally:
            self.leads = False

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


def holder(api: FakeApi) -> str:
    (lease,) = api.all(LEASES)
    return str(lease["spec"]["holderIdentity"])


async def test_one_leads_and_the_next_takes_over_after_the_lease() -> None:
    clock = FakeClock()
    api = FakeApi(clock)
    pair = [Candidate(api, clock, name, release=False) for name in ("a", "b")]
    await clock.advance(30)
    assert sorted(c.leads for c in pair) == [False, True]
    leader, other = sorted(pair, key=lambda c: not c.leads)
    await leader.stop()
    await clock.advance(10)
    assert not other.leads
    await clock.advance(10)
    assert other.leads
    assert api.all(LEASES)[0]["spec"]["leaseTransitions"] == 1
    await other.stop()


async def test_giving_back_lets_the_next_in_at_once() -> None:
    clock = FakeClock()
    api = FakeApi(clock)
    first = Candidate(api, clock, "a")
    await clock.advance(1)
    second = Candidate(api, clock, "b")
    await clock.advance(5)
    assert first.leads and not second.leads
    await first.stop()
    assert holder(api) == ""
    await clock.advance(3)
    assert second.leads
    await second.stop()


async def test_a_leader_that_cannot_renew_gives_up_before_another_may_take_over() -> None:
    clock = FakeClock()
    api = FakeApi(clock)
    first = Candidate(api, clock, "a")
    await clock.advance(4)
    assert first.leads
    api.fail = lambda request: service_unavailable("away")
    await clock.advance(13)
    assert not first.leads and first.task.done()


def test_the_record() -> None:
    clock = FakeClock()
    times = LeaseTimes()
    made = next_record(None, "a", times, clock.now())
    assert (made["leaseDurationSeconds"], made["leaseTransitions"]) == (15, 0)
    renewed = next_record(made, "a", times, clock.now())
    assert (renewed["acquireTime"], renewed["leaseTransitions"]) == (made["acquireTime"], 0)
    assert next_record(made, "b", times, clock.now())["leaseTransitions"] == 1
