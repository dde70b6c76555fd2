"""Pod phases, container states and conditions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from kubelet.pods.reporter import status_patch
from kubelet.pods.status import Facts, Waiting, pod_status
from kubelet.runtime.records import ContainerRecord, PodRecord, SandboxRecord, State
from kubelet.runtime.specs import PodRef

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
REF = PodRef("default", "p", "u1")
SANDBOX = SandboxRecord("s0", REF, 0, True, NOW, "10.0.0.1")


def pod(init: int = 0, main: int = 1, **spec: Any) -> dict[str, Any]:
    def named(prefix: str, count: int) -> list[dict[str, Any]]:
        return [{"name": f"{prefix}{i}", "image": "img"} for i in range(count)]

    return {
        "metadata": {"name": "p", "namespace": "default", "uid": "u1", "generation": 3},
        "spec": {"containers": named("c", main), "initContainers": named("i", init), **spec},
    }


def run(name: str, state: State = State.RUNNING, code: int = 0, attempt: int = 0, **more: Any) -> ContainerRecord:
    started = more.pop("started_at", NOW)
    return ContainerRecord(
        id=f"{name}{attempt}", pod=REF, name=name, attempt=attempt, state=state, created_at=NOW, started_at=started,
        finished_at=NOW if state is State.EXITED else None, exit_code=code, image="img", image_id="sha256:1",
        sandbox_id="s0", **more,
    )  # fmt: skip


def status(given: dict[str, Any], *runs: ContainerRecord, sandbox: bool = True, **facts: Any) -> dict[str, Any]:
    record = PodRecord(REF, (SANDBOX,) if sandbox else (), tuple(runs))
    return pod_status(given, record, Facts(now=NOW, host_ip="192.0.2.9", **facts))


def conditions(found: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c.get("reason", "")) for c in found["conditions"]}


EXITED = State.EXITED


@pytest.mark.parametrize(
    ("given", "runs", "phase"),
    [
        pytest.param(pod(), [], "Pending", id="nothing yet"),
        pytest.param(pod(), [run("c0")], "Running", id="running"),
        pytest.param(pod(main=2), [run("c0")], "Pending", id="one still waits"),
        pytest.param(pod(), [run("c0", EXITED, 1)], "Running", id="will be restarted"),
        pytest.param(pod(restartPolicy="Never"), [run("c0", EXITED, 1)], "Failed", id="failed"),
        pytest.param(pod(restartPolicy="Never"), [run("c0", EXITED, 0)], "Succeeded", id="succeeded"),
        pytest.param(pod(restartPolicy="OnFailure"), [run("c0", EXITED, 1)], "Running", id="retries"),
        pytest.param(pod(init=1), [run("i0")], "Pending", id="initializing"),
        pytest.param(pod(init=1, restartPolicy="Never"), [run("i0", EXITED, 1)], "Failed", id="init failed"),
        pytest.param(pod(init=1), [run("i0", EXITED, 1)], "Pending", id="init will be retried"),
        pytest.param(pod(init=1), [run("i0", EXITED, 0), run("c0")], "Running", id="initialized"),
    ],
)
def test_phase(given: dict[str, Any], runs: list[ContainerRecord], phase: str) -> None:
    assert status(given, *runs)["phase"] == phase


def test_a_pod_that_is_initialized_again_in_a_new_sandbox_is_pending_until_it_is() -> None:
    before = [replace(r, sandbox_id="gone") for r in (run("c0", EXITED, 137), run("i0", EXITED, 0))]
    again = run("i0", attempt=1)
    assert status(pod(init=1), again, *before)["phase"] == "Pending"
    done = run("i0", EXITED, 0, attempt=1)
    assert status(pod(init=1), run("c0", attempt=1), done, *before)["phase"] == "Running"


def test_a_sidecar_that_restarts_makes_no_running_pod_pending() -> None:
    given = pod(init=1)
    given["spec"]["initContainers"][0]["restartPolicy"] = "Always"
    assert status(given, run("c0"), run("i0", attempt=1), run("i0", EXITED, 1))["phase"] == "Running"


def test_a_ready_pod() -> None:
    found = status(pod(), run("c0"), ready=frozenset({"c0"}), started=frozenset({"c0"}))
    assert found["observedGeneration"] == 3
    assert (found["podIP"], found["hostIP"], found["qosClass"]) == ("10.0.0.1", "192.0.2.9", "BestEffort")
    assert [c["type"] for c in found["conditions"]] == [
        "PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled",
    ]  # fmt: skip
    assert set(conditions(found).values()) == {("True", "")}
    entry = found["containerStatuses"][0]
    assert entry["state"] == {"running": {"startedAt": "2026-01-01T12:00:00Z"}}
    assert (entry["ready"], entry["started"], entry["containerID"]) == (True, True, "docker://c00")


def test_waiting_reasons() -> None:
    found = status(pod(), sandbox=False)
    assert found["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert conditions(found)["PodReadyToStartContainers"] == ("False", "")
    found = status(pod(init=1), run("i0"))
    assert found["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}
    assert conditions(found)["Initialized"] == ("False", "ContainersNotInitialized")
    found = status(pod(), waiting={"c0": Waiting("ErrImagePull", "no such host")})
    assert found["containerStatuses"][0]["state"] == {"waiting": {"reason": "ErrImagePull", "message": "no such host"}}


def test_an_init_container_has_started_while_it_runs_and_is_ready_when_it_is_done() -> None:
    told = [status(pod(init=1), *runs)["initContainerStatuses"][0] for runs in ([run("i0")], [run("i0", EXITED, 0)])]
    assert [(entry["started"], entry["ready"]) for entry in told] == [(True, False), (False, True)]


def test_crash_loop_shows_the_last_run() -> None:
    waiting = {"c0": Waiting("CrashLoopBackOff", "back-off 10s")}
    found = status(pod(), run("c0", EXITED, 3, attempt=2), waiting=waiting, messages={"c02": "bye"})
    entry = found["containerStatuses"][0]
    assert entry["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert entry["restartCount"] == 2
    ended = entry["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (3, "Error", "bye")
    assert found["phase"] == "Running"


@pytest.mark.parametrize(
    ("record", "reason", "code"),
    [
        (run("c0", EXITED, 0), "Completed", 0),
        (run("c0", EXITED, 1), "Error", 1),
        (run("c0", EXITED, 137, oom_killed=True), "OOMKilled", 137),
        (run("c0", EXITED, 127, error="no such file", started_at=None), "StartError", 128),
    ],
)
def test_exit_reasons(record: ContainerRecord, reason: str, code: int) -> None:
    ended = status(pod(restartPolicy="Never"), record)["containerStatuses"][0]["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == (reason, code)


def test_readiness_gates() -> None:
    given = pod(readinessGates=[{"conditionType": "example.com/ok"}])
    ready = {"ready": frozenset({"c0"}), "started": frozenset({"c0"})}
    found = status(given, run("c0"), **ready)
    assert conditions(found)["Ready"] == ("False", "ReadinessGatesNotReady")
    given["status"] = {"conditions": [{"type": "example.com/ok", "status": "True"}]}
    found = status(given, run("c0"), **ready)
    assert conditions(found)["Ready"] == ("True", "")
    assert conditions(found)["example.com/ok"] == ("True", "")


def test_a_pod_that_is_ended_succeeds_only_if_all_did() -> None:
    assert status(pod(), run("c0", EXITED, 0), terminal=True)["phase"] == "Succeeded"
    assert status(pod(), run("c0", EXITED, 143), terminal=True)["phase"] == "Failed"
    found = status(pod(), terminal=True, reason="Evicted", message="why")
    assert (found["phase"], found["reason"], found["message"]) == ("Failed", "Evicted", "why")
    assert conditions(found)["Ready"] == ("False", "PodFailed")


def test_phase_never_goes_back() -> None:
    given = pod()
    given["status"] = {"phase": "Failed"}
    assert status(given, run("c0"))["phase"] == "Failed"


def test_transition_time_moves_with_the_status_only() -> None:
    given = pod()
    old = "2025-01-01T00:00:00Z"
    given["status"] = {
        "conditions": [{"type": t, "status": "True", "lastTransitionTime": old} for t in ("PodScheduled", "Ready")]
    }
    times = {c["type"]: c["lastTransitionTime"] for c in status(given, run("c0"))["conditions"]}
    assert times["PodScheduled"] == old
    assert times["Ready"] != old


def test_status_patch_holds_what_differs_and_clears_old_reasons() -> None:
    given = pod()
    first = status(given, run("c0"))
    given["status"] = first
    assert status_patch(given, first) == {}
    second = status(given, run("c0"), ready=frozenset({"c0"}), started=frozenset({"c0"}))
    patch = status_patch(given, second)
    assert set(patch["status"]) == {"containerStatuses", "conditions"}
    ready = next(c for c in patch["status"]["conditions"] if c["type"] == "Ready")
    assert (ready["status"], ready["reason"], ready["message"]) == ("True", None, None)
    assert patch["metadata"] == {"uid": "u1"}


def test_an_ended_pod_keeps_what_was_said_of_its_containers() -> None:
    given = pod(restartPolicy="Never")
    given["status"] = status(given, run("c0", EXITED, 7))
    assert given["status"]["phase"] == "Failed"
    assert status(given, sandbox=False)["containerStatuses"] == given["status"]["containerStatuses"]


def test_a_refused_pod_tells_of_nothing_else() -> None:
    found = status(pod(), refused=True, terminal=True, reason="OutOfcpu", message="Pod was rejected: no room")
    assert {k: found[k] for k in ("phase", "reason", "message")} == {
        "phase": "Failed",
        "reason": "OutOfcpu",
        "message": "Pod was rejected: no room",
    }
    assert "containerStatuses" not in found and "podIP" not in found


def test_a_resize_condition_is_taken_back() -> None:
    pending = {"PodResizePending": ("True", "Deferred", "no room")}
    given = pod()
    given["status"] = status(given, run("c0"), conditions=pending)
    assert conditions(given["status"])["PodResizePending"] == ("True", "Deferred")
    after = status(given, run("c0"))
    assert "PodResizePending" not in conditions(after)
    assert {"type": "PodResizePending", "$patch": "delete"} in status_patch(given, after)["status"]["conditions"]
