from datetime import UTC, datetime
from typing import Any

import pytest

from controllers.cronjob import CONTROLLER, plan
from kubeling.api.meta import Object, annotations_of, name_of
from kubeling.api.resources import CRON_JOBS, JOBS
from tests.unit.controllers.world import World

TEMPLATE: Object = {"metadata": {"labels": {"a": "b"}}, "spec": {"template": {"spec": {}}}}


def owner(schedule: str = "*/5 * * * *", created: str = "2026-01-01T00:00:00Z", last: str = "", **spec: Any) -> Object:
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "c", "namespace": "ns", "uid": "u", "creationTimestamp": created},
        "spec": {"schedule": schedule, "jobTemplate": TEMPLATE, **spec},
        "status": {"lastScheduleTime": last} if last else {},
    }


def at(hour: int, minute: int, second: int = 0) -> datetime:
    return datetime(2026, 1, 1, hour, minute, second, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cronjob", "now", "due"),
    [
        (owner(), at(0, 4), None),
        (owner(), at(0, 5), at(0, 5)),
        (owner(last="2026-01-01T00:05:00Z"), at(0, 9), None),
        (owner(last="2026-01-01T00:05:00Z"), at(0, 21), at(0, 20)),  # of several missed ones the last
        (owner(startingDeadlineSeconds=30), at(0, 5, 40), None),
        (owner(suspend=True), at(0, 5), None),
        (owner("0 1 * * *", "2025-12-31T22:00:00Z", timeZone="Europe/Berlin"), at(0, 30), at(0, 0)),
        (owner("@hourly", created="2025-01-01T00:00:00Z"), at(3, 30), at(3, 0)),
    ],
)
def test_when_it_starts(cronjob: Object, now: datetime, due: datetime | None) -> None:
    assert plan(cronjob, [], now).scheduled == due


def test_very_many_missed_times_are_told() -> None:
    events = plan(owner("* * * * *", created="2025-06-01T00:00:00Z"), [], at(0, 0)).events
    assert [reason for _, reason, _ in events] == ["TooManyMissedTimes"]


async def test_jobs_come_on_time_and_old_ones_go() -> None:
    async with World(CONTROLLER) as w:
        spec = {"schedule": "* * * * *", "jobTemplate": TEMPLATE, "successfulJobsHistoryLimit": 2}
        w.create(CRON_JOBS, "c", spec)
        for _ in range(5):
            await w.clock.advance(60)
            for job in w.api.all(JOBS):
                if not job.get("status"):
                    done = {"completionTime": "2026-01-01T00:10:00Z", "startTime": w.clock.now().isoformat()}
                    done["conditions"] = [{"type": "Complete", "status": "True"}]  # type: ignore[assignment]
                    w.api.update(JOBS, "ns", name_of(job), lambda o, done=done: o.update(status=done))
        await w.clock.advance(1)
        assert len(w.api.all(JOBS)) == 2
        job = w.api.all(JOBS)[-1]
        assert name_of(job).startswith("c-2945") and name_of(job).removeprefix("c-").isdigit()
        assert annotations_of(job)["batch.kubernetes.io/cronjob-scheduled-timestamp"].endswith("Z")
        status = w.get(CRON_JOBS, "c")["status"]
        assert status["lastSuccessfulTime"] == "2026-01-01T00:10:00Z"
        reasons = [reason for reason, _ in w.events()]
        assert {"SuccessfulCreate", "SawCompletedJob", "SuccessfulDelete"} <= set(reasons)


@pytest.mark.parametrize(("policy", "count"), [("Allow", 3), ("Forbid", 1), ("Replace", 1)])
async def test_concurrency(policy: str, count: int) -> None:
    async with World(CONTROLLER) as w:
        w.create(CRON_JOBS, "c", {"schedule": "* * * * *", "jobTemplate": TEMPLATE, "concurrencyPolicy": policy})
        for _ in range(3):
            await w.clock.advance(60.2)
        assert len(w.api.all(JOBS)) == count
        assert len(w.get(CRON_JOBS, "c")["status"]["active"]) == count


def test_a_schedule_or_time_zone_that_is_none() -> None:
    told = plan(owner(timeZone="Nowhere/Land"), [], at(0, 5)).events
    assert told == [("Warning", "UnknownTimeZone", 'invalid timeZone: "Nowhere/Land": unknown time zone Nowhere/Land')]
    (event,) = plan(owner("every day"), [], at(0, 5)).events
    assert event[:2] == ("Warning", "UnparseableSchedule")
    assert event[2].startswith('unparseable schedule: "every day" : ')
    assert not plan(owner("every day", suspend=True), [], at(0, 5)).events


def test_a_success_counts_whether_or_not_the_job_was_listed_as_active() -> None:
    done: Object = {
        "metadata": {"name": "by-hand", "uid": "j"},
        "status": {"conditions": [{"type": "Complete", "status": "True"}], "completionTime": "2026-01-01T00:02:00Z"},
    }
    made = plan(owner(), [done], at(0, 4))
    assert made.status["lastSuccessfulTime"] == "2026-01-01T00:02:00Z" and not made.events


@pytest.mark.parametrize("policy", ["Allow", "Forbid", "Replace"])
async def test_a_job_that_was_made_before_a_crash_is_taken_for_its_time(policy: str) -> None:
    """Its creation was the last thing that a controller did: the status does not know of it yet."""
    async with World(CONTROLLER) as w:
        w.create(CRON_JOBS, "c", {"schedule": "*/5 * * * *", "jobTemplate": TEMPLATE, "concurrencyPolicy": policy})
        await w.clock.advance(300.2)
        (made,) = w.api.all(JOBS)
        await w.stop()
        w.api.update(CRON_JOBS, "ns", "c", lambda o: o.update(status={}))
        await w.start()
        assert [job["metadata"]["uid"] for job in w.api.all(JOBS)] == [made["metadata"]["uid"]]
        status = w.get(CRON_JOBS, "c")["status"]
        assert [a["name"] for a in status["active"]] == [name_of(made)]
        assert status["lastScheduleTime"] == "2026-01-01T00:05:00Z"
        assert "JobAlreadyActive" not in [reason for reason, _ in w.events()]
