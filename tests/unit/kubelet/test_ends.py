"""How pods and their containers end: order of signals, minimum grace, what is told of containers that are lost."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kubelet.containers.hooks import HookRunner
from kubelet.containers.security import container_security, needs_passwd
from kubelet.pods.ended import MESSAGE
from kubelet.pods.killer import Deadline, Exits, Killer
from kubelet.pods.metrics import REGISTRY as METRICS
from kubelet.pods.reporter import StatusReporter
from kubelet.pods.rounds import round_label
from kubelet.pods.status import Facts, Waiting, not_yet_terminal, pod_status
from kubelet.pods.turns import Turns
from kubelet.pods.within import within
from kubelet.runtime.identity import read_identity
from kubelet.runtime.records import ContainerRecord, Identity, ImageRecord, PodRecord, SandboxRecord, State
from kubelet.runtime.specs import PodRef
from kubeling.api.errors import StatusError, failure
from kubeling.client.clock import FakeClock

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
REF = PodRef("ns", "p", "u1")
EXITED, RUNNING = State.EXITED, State.RUNNING


def pod(main: int = 1, init: int = 0, sidecars: int = 0, **spec: Any) -> dict[str, Any]:
    def named(prefix: str, count: int, **more: Any) -> list[dict[str, Any]]:
        return [{"name": f"{prefix}{i}", "image": "img", **more} for i in range(count)]

    first = [*named("i", init), *named("s", sidecars, restartPolicy="Always")]
    return {
        "metadata": {"name": "p", "namespace": "ns", "uid": "u1", "generation": 1},
        "spec": {"containers": named("c", main), "initContainers": first, "restartPolicy": "Always", **spec},
        "status": {},
    }


def run(name: str, state: State = RUNNING, code: int = 0, attempt: int = 0, **more: Any) -> ContainerRecord:
    return ContainerRecord(
        id=f"{name}-{attempt}", pod=REF, name=name, attempt=attempt, state=state, created_at=NOW, started_at=NOW,
        finished_at=NOW if state is EXITED else None, exit_code=code, image="img", image_id="sha256:1", sandbox_id="s", **more,
    )  # fmt: skip


def told(given: dict[str, Any], *runs: ContainerRecord, **facts: Any) -> dict[str, Any]:
    record = PodRecord(REF, (SandboxRecord("s", REF, 0, True, NOW, "10.0.0.1"),), runs)
    return pod_status(given, record, Facts(now=NOW, host_ip="192.0.2.9", **facts))


def first(status: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = status["containerStatuses"][0]
    return entry


# --- what is told ------------------------------------------------------------------------------------------------


def test_a_running_container_that_is_lost_counts_as_restarted() -> None:
    given = pod()
    given["status"] = told(given, run("c0"))
    given["status"] = told(given)
    lost = first(given["status"])
    assert (lost["restartCount"], lost["state"]) == (1, {"waiting": {"reason": "ContainerCreating"}})
    end = lost["lastState"]["terminated"]
    assert (end["exitCode"], end["reason"]) == (137, "ContainerStatusUnknown")
    assert given["status"]["phase"] == "Running"
    assert first(told(given)) == lost  # told again, nothing is counted twice
    assert first(told(given, run("c0", attempt=1)))["lastState"] == lost["lastState"]


def test_an_older_run_is_not_taken_for_the_one_that_is_lost() -> None:
    given = pod()
    given["status"] = told(given, run("c0", attempt=1), run("c0", EXITED, 3))
    entry = first(told(given, run("c0", EXITED, 3)))
    assert (entry["restartCount"], "waiting" in entry["state"]) == (2, True)
    assert entry["lastState"]["terminated"]["exitCode"] == 3


def test_an_end_that_was_told_stays_when_the_engine_forgets_it() -> None:
    given = pod(main=2, restartPolicy="Never")
    given["status"] = told(given, run("c0", EXITED, 4), run("c1"))
    assert first(told(given, run("c1"))) == first(given["status"])


def test_init_containers_wait_for_initialization_like_all_others() -> None:
    status = told(pod(init=1))
    for entry in (status["initContainerStatuses"][0], first(status)):
        assert entry["state"] == {"waiting": {"reason": "PodInitializing"}}


def test_a_pod_that_is_deleted_waits_for_no_restart() -> None:
    given = pod()
    given["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    entry = first(told(given, run("c0", EXITED, 2), waiting={"c0": Waiting("CrashLoopBackOff")}))
    assert entry["state"]["terminated"]["exitCode"] == 2


def test_a_phase_waits_for_the_last_sidecar() -> None:
    given = pod(sidecars=1, restartPolicy="Never")
    started = frozenset({"s0"})
    status = told(given, run("c0", EXITED), run("s0"), started=started, ready=started)
    assert status["phase"] == "Running"
    assert told(given, run("c0", EXITED), run("s0", EXITED, 143))["phase"] == "Succeeded"


def test_a_sidecar_that_never_ran_keeps_a_pod_pending() -> None:
    given = pod(sidecars=1)
    assert told(given, run("c0"))["phase"] == "Pending"
    assert told(given, run("c0"), run("s0"), started=frozenset({"s0"}))["phase"] == "Running"


def test_what_is_held_back_while_containers_run() -> None:
    given = pod()
    given["status"] = {"phase": "Running"}
    status = told(given, run("c0"), reason="Evicted", message="why")
    assert status["phase"] == "Failed"
    held = not_yet_terminal(status, given["status"])
    assert held["phase"] == "Running" and "reason" not in held and "message" not in held


def test_containers_that_cannot_be_told_count_as_failed_at_the_end() -> None:
    status = told(pod(main=2), run("c0", EXITED), terminal=True)
    assert status["phase"] == "Failed"
    end = status["containerStatuses"][1]["state"]["terminated"]
    assert (end["exitCode"], end["reason"], end["message"]) == (137, "ContainerStatusUnknown", MESSAGE)


def test_the_end_of_a_pod_that_was_not_initialized_says_nothing_of_its_containers() -> None:
    status = told(pod(init=2), run("i0"), terminal=True)
    assert status["initContainerStatuses"][0]["state"]["terminated"]["reason"] == "ContainerStatusUnknown"
    assert "waiting" in status["initContainerStatuses"][1]["state"] and "waiting" in first(status)["state"]
    assert status["phase"] == "Failed"


def test_who_a_container_runs_as_is_told_and_stays() -> None:
    given = pod()
    given["status"] = told(given, run("c0", identity=Identity(1000, 0, (0, 3000))))
    assert first(given["status"])["user"] == {"linux": {"uid": 1000, "gid": 0, "supplementalGroups": [0, 3000]}}
    assert first(told(given, run("c0", EXITED, 1)))["user"] == first(given["status"])["user"]
    assert "user" not in first(told(given, run("c0", attempt=1)))


def test_a_refused_pod_is_told_the_same_after_a_restart_of_the_kubelet() -> None:
    given = pod()
    given["status"] = told(given, refused=True, terminal=True, reason="OutOfcpu", message="Pod was rejected: no room")
    assert told(given, terminal=True) == given["status"]
    assert "containerStatuses" not in given["status"]


def test_all_containers_restarting() -> None:
    given = pod()
    rule = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}
    given["spec"]["containers"][0] |= {"restartPolicy": "Never", "restartPolicyRules": [rule]}

    def condition(**facts: Any) -> tuple[str, str]:
        found = {c["type"]: c for c in told(given, run("c0", EXITED, 42), **facts)["conditions"]}
        return found["AllContainersRestarting"]["status"], found["AllContainersRestarting"].get("reason", "")

    assert condition() == ("False", "")
    assert condition(restarting=True) == ("True", "RestartAllContainersStarted")
    assert condition(terminal=True) == ("False", "PodFailed")
    assert not [c for c in told(pod(), run("c0"))["conditions"] if c["type"] == "AllContainersRestarting"]


# --- the order of ends -------------------------------------------------------------------------------------------


async def test_sidecars_wait_for_the_others_and_for_those_after_them() -> None:
    turns, order = Turns(pod(main=2, sidecars=2), ["c0", "s0", "s1"]), []

    async def end(name: str) -> None:
        await turns.wait(name)
        order.append(name)
        await asyncio.sleep(0)
        turns.ended(name)

    await asyncio.wait_for(asyncio.gather(*map(end, ["s0", "s1", "c0"])), 5)  # c1 does not run: nobody waits for it
    assert order == ["c0", "s1", "s0"]


class Runtime:
    """One container that ends only when killed."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock, self.signals, self.record = clock, [], run("c0")

    async def signal(self, container_id: str, signal: str) -> None:
        self.signals.append((signal, self.clock.monotonic()))
        if signal == "SIGKILL":
            self.record = run("c0", EXITED, 137)

    async def pod(self, ref: PodRef) -> PodRecord:
        return PodRecord(ref, (), (self.record,))


class Told:
    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def event(self, obj: Any, type_: str, reason: str, message: str, **more: Any) -> None:
        self.events.append((reason, message))


def test_a_pod_whose_containers_all_run_anew_has_not_ended() -> None:
    rule = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}
    given = pod(main=1, sidecars=1, restartPolicy="Never")
    given["spec"]["initContainers"][0]["restartPolicyRules"] = [rule]
    trigger, killed = run("s0", EXITED, 42), run("c0", EXITED, 137)
    assert told(given, trigger, killed)["phase"] == "Running"
    begun = run("s0", attempt=1, labels=round_label(NOW))
    assert told(given, begun, trigger, killed)["phase"] == "Running"
    anew = run("c0", EXITED, 137, attempt=1, labels=round_label(NOW))
    ended = run("s0", EXITED, 143, attempt=1, labels=round_label(NOW))
    assert told(given, ended, anew, trigger, killed)["phase"] == "Failed"


@pytest.mark.parametrize(("grace", "killed_after"), [(0, 2), (1, 2), (5, 5)])
async def test_a_container_always_gets_two_seconds_after_its_signal(grace: float, killed_after: float) -> None:
    clock, events = FakeClock(), Told()
    runtime: Any = Runtime(clock)
    http: Any = None
    killer = Killer(runtime, HookRunner(runtime, clock, http, events), events, clock, Exits(clock), "192.0.2.1")
    task = asyncio.create_task(killer.kill(pod(), run("c0"), Deadline(clock, grace)))
    await clock.advance(10)
    await asyncio.wait_for(task, 5)
    assert [(s, round(at)) for s, at in runtime.signals] == [("", 0), ("SIGKILL", killed_after)]
    assert events.events == [("Killing", "Stopping container c0")]


async def test_a_sidecars_hook_runs_at_once_and_its_signal_waits_its_turn() -> None:
    clock, events, turn = FakeClock(), Told(), asyncio.Event()
    runtime: Any = Runtime(clock)
    http: Any = None
    given = pod()
    given["spec"]["containers"][0]["lifecycle"] = {"preStop": {"sleep": {"seconds": 1}}}
    killer = Killer(runtime, HookRunner(runtime, clock, http, events), events, clock, Exits(clock), "192.0.2.1")

    async def wait(name: str) -> None:
        await turn.wait()

    task = asyncio.create_task(killer.kill(given, run("c0"), Deadline(clock, 30), turn=wait))
    await clock.advance(4)
    assert runtime.signals == []
    turn.set()
    await clock.advance(60)
    await asyncio.wait_for(task, 5)
    assert [(s, round(at)) for s, at in runtime.signals] == [("", 4), ("SIGKILL", 30)]


async def test_a_sleep_that_the_grace_period_cuts_short_is_counted() -> None:
    clock, events = FakeClock(), Told()
    runtime: Any = Runtime(clock)
    client: Any = None
    given = pod()
    given["spec"]["containers"][0]["lifecycle"] = {"preStop": {"sleep": {"seconds": 60}}}
    before = METRICS.get_sample_value("kubelet_sleep_action_terminated_early_total") or 0.0
    killer = Killer(runtime, HookRunner(runtime, clock, client, events), events, clock, Exits(clock), "192.0.2.1")
    task = asyncio.create_task(killer.kill(given, run("c0"), Deadline(clock, 5)))
    await clock.advance(30)
    await asyncio.wait_for(task, 5)
    assert METRICS.get_sample_value("kubelet_sleep_action_terminated_early_total") == before + 1


async def test_within() -> None:
    clock, done = FakeClock(), asyncio.Event()
    late = asyncio.create_task(within(clock, 3, done.wait()))
    await clock.advance(4)
    assert await late is False
    early = asyncio.create_task(within(clock, 3, done.wait()))
    await clock.advance(1)
    done.set()
    assert await early is True
    broken_off = asyncio.create_task(within(clock, 3, asyncio.Event().wait()))
    await clock.advance(1)
    broken_off.cancel()
    with pytest.raises(asyncio.CancelledError):
        await broken_off


# --- a status that nobody takes ----------------------------------------------------------------------------------


class Refusing:
    """An API server that takes no status."""

    def __init__(self, code: int) -> None:
        self.code, self.asked, self.deleted = code, 0, 0

    async def patch(self, *args: Any, **kwargs: Any) -> Any:
        self.asked += 1
        raise failure(self.code, "Invalid", "no")

    async def delete(self, *args: Any, **kwargs: Any) -> Any:
        self.deleted += 1
        raise StatusError({"code": 404, "reason": "NotFound", "message": "gone"})


async def test_a_pod_whose_status_is_refused_for_good_goes_all_the_same() -> None:
    api: Any = Refusing(422)
    given, clock = pod(), FakeClock()
    reporter = StatusReporter(api, lambda p: given, clock)
    await asyncio.wait_for(reporter.finish(given, {"phase": "Failed"}), 5)
    assert (api.asked, api.deleted) == (1, 1)


async def test_a_status_that_cannot_be_sent_now_is_sent_before_the_pod_goes() -> None:
    api: Any = Refusing(503)
    given, clock = pod(), FakeClock()
    reporter = StatusReporter(api, lambda p: given, clock)
    task = asyncio.create_task(reporter.finish(given, {"phase": "Failed"}))
    await clock.advance(20)
    assert api.asked > 1 and api.deleted == 0 and not task.done()
    task.cancel()
    await reporter.close()


# --- who it runs as ----------------------------------------------------------------------------------------------


def test_the_identity_is_what_runc_was_told(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    user = {"uid": 1000, "gid": 2000, "additionalGids": [2000, 3000]}
    (tmp_path / "x" / "config.json").write_text(json.dumps({"process": {"user": user}}))
    assert read_identity("x", (tmp_path / "none", tmp_path)) == Identity(1000, 2000, (2000, 3000))
    assert read_identity("y", (tmp_path,)) is None


PASSWD = "root:x:0:0:root:/:/bin/sh\nweb:x:1000:1001::/:/bin/sh\n"


@pytest.mark.parametrize(
    ("context", "image_user", "user"),
    [
        ({"runAsUser": 1000}, "", "1000:1001"),
        ({"runAsUser": 1000, "runAsGroup": 5}, "", "1000:5"),
        ({"runAsUser": 4000}, "1:2", "4000:0"),
        ({}, "web", "web:1001"),
        ({}, "web:7", "web:7"),
        ({}, "", "0:0"),
    ],
)
def test_a_strict_policy_names_the_group_so_that_the_image_adds_none(
    context: dict[str, Any], image_user: str, user: str
) -> None:
    given = pod(securityContext={"supplementalGroupsPolicy": "Strict", **context})
    container = given["spec"]["containers"][0]
    image = ImageRecord("sha256:1", ("img",), (), 1, image_user)
    assert container_security(given, container, image, Path("/"), passwd=PASSWD).user == user
    assert needs_passwd(given, container) == ("runAsGroup" not in context)
    assert not needs_passwd(pod(), container)
