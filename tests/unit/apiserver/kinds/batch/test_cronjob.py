from typing import Any

import pytest

from kubeling.api.meta import Object


def cron_job(name: str = "c", *, job: Object | None = None, status: Object | None = None, **spec: Any) -> Object:
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}
    inner = {"template": {"spec": pod}, **(job or {})}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name, "namespace": "n"},
        "spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": inner}, **spec},
        **({"status": status} if status else {}),
    }


def test_defaults(strategies: Any) -> None:
    _, made = strategies.decoded(cron_job())
    spec = made["spec"]
    assert (spec["concurrencyPolicy"], spec["suspend"]) == ("Allow", False)
    assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (3, 1)
    assert spec["jobTemplate"]["spec"]["template"]["spec"]["dnsPolicy"] == "ClusterFirst"
    assert "backoffLimit" not in spec["jobTemplate"]["spec"]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (cron_job(), []),
        (cron_job(timeZone="Europe/Berlin"), []),
        (cron_job(schedule=""), ["spec.schedule: Required value"]),
        (
            cron_job(schedule="* * *"),
            ['spec.schedule: Invalid value: "* * *": expected exactly 5 fields, found 3: [* * *]'],
        ),
        (
            cron_job(schedule="TZ=UTC * * * * *"),
            [
                'spec.schedule: Invalid value: "TZ=UTC * * * * *": '
                "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
            ],
        ),
        (cron_job(timeZone="Mars/X"), ['spec.timeZone: Invalid value: "Mars/X": unknown time zone Mars/X']),
        (cron_job(timeZone=""), ['spec.timeZone: Invalid value: "": timeZone must be nil or non-empty string']),
        (
            cron_job(concurrencyPolicy="X"),
            ['spec.concurrencyPolicy: Unsupported value: "X": supported values: "Allow", "Forbid", "Replace"'],
        ),
        (
            cron_job(job={"manualSelector": True}),
            ['spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: "nil", "false"'],
        ),
        (
            cron_job(name="c" * 53),
            [f'metadata.name: Invalid value: "{"c" * 53}": must be no more than 52 characters'],
        ),
    ],
)
def test_rules(strategies: Any, given: Object, wanted: list[str]) -> None:
    assert strategies.errors(given) == wanted


def test_old_zones_in_schedules_stay(strategies: Any) -> None:
    old = cron_job(schedule="TZ=UTC * * * * *")
    assert strategies.update_errors(old, cron_job(schedule="TZ=UTC 1 * * * *")) == []
    (error,) = strategies.update_errors(old, cron_job(schedule="TZ=UTC 1 * * * *", timeZone="UTC"))
    assert error.endswith("cannot use both timeZone field and TZ or CRON_TZ in schedule")


def test_rows(strategies: Any) -> None:
    status = {"active": [{}, {}], "lastScheduleTime": "2026-05-06T07:05:00Z"}
    cells = strategies.cells(cron_job(timeZone="UTC", suspend=True, status=status))
    assert list(cells.values())[1:6] == ["*/5 * * * *", "UTC", "True", 2, "3m9s"]
    empty = strategies.cells(cron_job())
    assert list(empty.values())[2:6] == ["<none>", "False", 0, "<none>"]
