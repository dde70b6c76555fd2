from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.kinds.core.pod import POD

NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)


def row(status: dict[str, Any], *, init: int = 0, sidecar: bool = False, deleting: bool = False) -> list[Any]:
    assert POD.printer is not None
    steps: list[dict[str, Any]] = [{"name": f"i{n}"} for n in range(init)]
    if sidecar:
        steps.append({"name": "s", "restartPolicy": "Always"})
    meta = {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"}
    if deleting:
        meta["deletionTimestamp"] = "2026-01-01T01:00:00Z"
    return POD.printer.row(
        {"metadata": meta, "spec": {"containers": [{"name": "c"}], "initContainers": steps}, "status": status}, NOW
    )


def state(name: str, *, ready: bool = False, restarts: int = 0, started: bool = False, **state: Any) -> dict[str, Any]:
    return {"name": name, "ready": ready, "restartCount": restarts, "started": started, "state": state}


INITIALIZED = {"type": "Initialized", "status": "True"}


@pytest.mark.parametrize(
    ("status", "options", "expected"),
    [
        ({"phase": "Pending"}, {}, ["0/1", "Pending", "0"]),
        (
            {
                "phase": "Pending",
                "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}],
            },
            {},
            ["0/1", "SchedulingGated", "0"],
        ),
        ({"phase": "Failed", "reason": "Evicted"}, {}, ["0/1", "Evicted", "0"]),
        (
            {"phase": "Pending", "initContainerStatuses": [state("i0", running={})]},
            {"init": 2},
            ["0/1", "Init:0/2", "0"],
        ),
        (
            {
                "phase": "Pending",
                "initContainerStatuses": [state("i0", waiting={"reason": "CrashLoopBackOff"}, restarts=3)],
            },
            {"init": 1},
            ["0/1", "Init:CrashLoopBackOff", "3"],
        ),
        (
            {"phase": "Pending", "initContainerStatuses": [state("i0", terminated={"exitCode": 7})]},
            {"init": 1},
            ["0/1", "Init:ExitCode:7", "0"],
        ),
        (
            {"phase": "Pending", "containerStatuses": [state("c", waiting={"reason": "ContainerCreating"})]},
            {},
            ["0/1", "ContainerCreating", "0"],
        ),
        ({"phase": "Running", "containerStatuses": [state("c", ready=True, running={})]}, {}, ["1/1", "Running", "0"]),
        (
            {"phase": "Running", "containerStatuses": [state("c", terminated={"exitCode": 0, "reason": "Completed"})]},
            {},
            ["0/1", "Completed", "0"],
        ),
        (
            {"phase": "Failed", "containerStatuses": [state("c", terminated={"exitCode": 0, "signal": 9})]},
            {},
            ["0/1", "Signal:9", "0"],
        ),
        (
            {
                "phase": "Running",
                "initContainerStatuses": [state("s", ready=True, started=True, running={}, restarts=2)],
                "containerStatuses": [state("c", ready=True, running={})],
            },
            {"sidecar": True},
            ["2/2", "Running", "2"],
        ),
        ({"phase": "Running"}, {"deleting": True}, ["0/1", "Terminating", "0"]),
        ({"phase": "Running", "reason": "NodeLost"}, {"deleting": True}, ["0/1", "Unknown", "0"]),
        ({"phase": "Succeeded"}, {"deleting": True}, ["0/1", "Succeeded", "0"]),
    ],
)
def test_ready_status_and_restarts(status: dict[str, Any], options: dict[str, Any], expected: list[str]) -> None:
    assert row(status, **options)[1:4] == expected


def test_restarts_tell_when_the_last_was() -> None:
    status = state("c", ready=True, running={}, restarts=2)
    status["lastState"] = {"terminated": {"finishedAt": "2026-01-01T00:55:00Z"}}
    assert row({"phase": "Running", "containerStatuses": [status]})[3] == "2 (5m ago)"


def test_wide_columns() -> None:
    status = {"phase": "Running", "podIP": "10.0.0.1", "nominatedNodeName": "m", "podIPs": [{"ip": "10.0.0.1"}]}
    assert row(status)[4:] == ["60m", "10.0.0.1", "<none>", "m", "<none>"]
