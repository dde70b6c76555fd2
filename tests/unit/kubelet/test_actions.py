"""What a pod needs next, as tables of containers and their runs."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kubelet.pods.actions import Verdicts, pod_actions
from kubelet.pods.rounds import round_label
from kubelet.pods.spec import spec_hash
from kubelet.runtime.records import ContainerRecord, PodRecord, SandboxRecord, State
from kubelet.runtime.specs import PodRef

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REF = PodRef("default", "p", "u1")
SANDBOX = SandboxRecord("s0", REF, 0, True, NOW, "10.0.0.1")


def pod(*containers: dict[str, Any], init: tuple[dict[str, Any], ...] = (), **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "p", "namespace": "default", "uid": "u1"},
        "spec": {"containers": list(containers), "initContainers": list(init), **spec},
    }


def container(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "i", **more}


def run(
    name: str, state: State = State.RUNNING, code: int = 0, attempt: int = 0, sandbox: str = "s0", **more: Any
) -> ContainerRecord:
    return ContainerRecord(
        id=f"{name}-{attempt}",
        pod=REF,
        name=name,
        attempt=attempt,
        state=state,
        created_at=NOW,
        started_at=NOW,
        finished_at=NOW if state is State.EXITED else None,
        exit_code=code,
        spec_hash=more.pop("spec_hash", spec_hash(container(name))),
        sandbox_id=sandbox,
        **more,
    )


def decide(
    given: dict[str, Any],
    *runs: ContainerRecord,
    sandboxes: tuple[SandboxRecord, ...] = (SANDBOX,),
    verdicts: Verdicts | None = None,
    hold: datetime | None = None,
) -> Any:
    return pod_actions(given, PodRecord(REF, sandboxes, tuple(runs)), verdicts or Verdicts(), lambda _c, _r: hold, NOW)


A, B = container("a"), container("b")
SIDECAR = container("side", restartPolicy="Always")
EXITED = State.EXITED


@pytest.mark.parametrize(
    ("given", "runs", "starts"),
    [
        pytest.param(pod(A, B), [], ["a:0", "b:0"], id="new pod starts all"),
        pytest.param(pod(A, B), [run("a")], ["b:0"], id="only what is missing"),
        pytest.param(pod(A), [run("a", EXITED, 1)], ["a:1"], id="Always restarts a failure"),
        pytest.param(pod(A), [run("a", EXITED, 0)], ["a:1"], id="Always restarts a success"),
        pytest.param(
            pod(A, B, restartPolicy="OnFailure"), [run("a", EXITED, 0), run("b")], [], id="OnFailure keeps a success"
        ),
        pytest.param(
            pod(A, restartPolicy="OnFailure"), [run("a", EXITED, 2, 3)], ["a:4"], id="OnFailure restarts a failure"
        ),
        pytest.param(pod(A, init=(B,)), [], ["b:0"], id="init first"),
        pytest.param(pod(A, init=(B,)), [run("b")], [], id="init runs"),
        pytest.param(pod(A, init=(B,)), [run("b", EXITED, 0)], ["a:0"], id="init done"),
        pytest.param(pod(A, init=(B,)), [run("b", EXITED, 1)], ["b:1"], id="init failed, Always"),
        pytest.param(pod(A, init=(SIDECAR,)), [], ["side:0"], id="sidecar first"),
        pytest.param(pod(A, init=(SIDECAR,)), [run("side")], [], id="sidecar not yet started"),
        pytest.param(
            pod(A, init=(SIDECAR, B)),
            [run("a"), run("side", EXITED, 0), run("b", EXITED, 0)],
            ["side:1"],
            id="dead sidecar runs again",
        ),
        pytest.param(pod(A), [run("a", State.CREATED)], ["a:0"], id="created but never started"),
        pytest.param(
            pod(
                {
                    **A,
                    "restartPolicy": "Never",
                    "restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}],
                }
            ),
            [run("a", EXITED, 42)],
            ["a:1"],
            id="restart rule",
        ),
    ],
)
def test_starts(given: dict[str, Any], runs: list[ContainerRecord], starts: list[str]) -> None:
    actions = decide(given, *runs)
    assert [f"{s.container['name']}:{s.attempt}" for s in actions.starts] == starts
    assert not actions.kill_pod


@pytest.mark.parametrize(
    ("given", "runs"),
    [
        pytest.param(pod(A, restartPolicy="Never"), [run("a", EXITED, 1)], id="Never and failed"),
        pytest.param(pod(A, restartPolicy="OnFailure"), [run("a", EXITED, 0)], id="OnFailure and done"),
        pytest.param(pod(A, init=(B,), restartPolicy="Never"), [run("b", EXITED, 1)], id="init failed for good"),
        pytest.param(
            pod(A, init=(SIDECAR,), restartPolicy="Never"), [run("a", EXITED, 0), run("side")], id="sidecars go last"
        ),
    ],
)
def test_the_pod_has_ended(given: dict[str, Any], runs: list[ContainerRecord]) -> None:
    assert decide(given, *runs).kill_pod


def test_started_sidecar_lets_the_others_start() -> None:
    actions = decide(pod(A, init=(SIDECAR,)), run("side"), verdicts=Verdicts(frozenset({"side"})))
    assert [s.container["name"] for s in actions.starts] == ["a"]


def test_no_sandbox_asks_for_one_and_init_runs_again_in_it() -> None:
    dead = SandboxRecord("s0", REF, 0, False, NOW)
    actions = decide(pod(A), run("a", EXITED, 137), sandboxes=(dead,))
    assert (actions.create_sandbox, actions.kill_pod, actions.attempt) == (True, True, 1)
    fresh = SandboxRecord("s1", REF, 1, True, NOW)
    again = decide(pod(A, init=(B,)), run("a", EXITED, 137), run("b", EXITED, 0), sandboxes=(fresh, dead))
    assert [f"{s.container['name']}:{s.attempt}" for s in again.starts] == ["b:1"]


def test_no_new_sandbox_for_a_pod_that_is_done() -> None:
    dead = SandboxRecord("s0", REF, 0, False, NOW)
    actions = decide(pod(A, restartPolicy="Never"), run("a", EXITED, 0), sandboxes=(dead,))
    assert not actions.create_sandbox


def test_back_off_holds_a_restart_until_its_time() -> None:
    until = NOW + timedelta(seconds=10)
    actions = decide(pod(A), run("a", EXITED, 1), hold=until)
    assert actions.starts == ()
    assert actions.wake_at == until
    assert decide(pod(A), run("a", EXITED, 1), hold=NOW).starts


@pytest.mark.parametrize("probe", ["liveness", "startup"])
def test_failed_probe_kills(probe: str) -> None:
    actions = decide(pod(A), run("a"), verdicts=Verdicts(frozenset(), {"a": probe}))
    assert [k.message for k in actions.kills] == [f"Container a failed {probe} probe, will be restarted"]


@pytest.mark.parametrize("policy", ["Always", "OnFailure", "Never"])
def test_a_changed_image_runs_anew_at_once_whatever_the_policy(policy: str) -> None:
    actions = decide(pod(A, restartPolicy=policy), run("a", spec_hash="other"))
    assert [k.message for k in actions.kills] == ["Container a definition changed, will be restarted"]
    assert [(s.attempt, s.after) for s in actions.starts] == [(1, None)]


def test_a_failed_probe_ends_a_container_that_may_not_run_again() -> None:
    unwell = Verdicts(frozenset({"a"}), {"a": "liveness"})
    rules = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}]
    for given in (pod(A, restartPolicy="Never"), pod({**A, "restartPolicy": "Never", "restartPolicyRules": rules})):
        actions = decide(given, run("a"), verdicts=unwell)
        assert [k.message for k in actions.kills] == ["Container a failed liveness probe"]
        assert not actions.starts


def test_a_killed_container_waits_for_the_end_before_not_for_its_own() -> None:
    unwell = Verdicts(frozenset({"a"}), {"a": "liveness"})
    earlier = run("a", EXITED, 1)
    actions = decide(pod(A), run("a", attempt=1), earlier, verdicts=unwell)
    assert [(s.attempt, s.after) for s in actions.starts] == [(2, earlier)]
    held = decide(pod(A), run("a", attempt=1), earlier, verdicts=unwell, hold=NOW + timedelta(seconds=9))
    assert held.kills and not held.starts


SIDE2 = container("side2", restartPolicy="Always")


@pytest.mark.parametrize(
    ("init", "runs", "started", "starts"),
    [
        pytest.param((SIDECAR, B), [run("side", EXITED), run("b")], (), ["side:1"], id="beside an init that runs"),
        pytest.param(
            (SIDECAR, B), [run("side", EXITED), run("b", EXITED)], (), ["side:1", "a:0"], id="holds nothing up"
        ),
        pytest.param((SIDECAR, B), [run("side", EXITED)], (), ["side:1"], id="the last is to run before the next"),
        pytest.param(
            (SIDECAR, SIDE2), [run("side"), run("side2")], ("side2",), ["a:0"], id="the first is not ready any more"
        ),
        pytest.param((B, SIDECAR), [run("side")], ("side",), ["a:0"], id="what ran before is lost"),
        pytest.param((container("x"), B), [run("b")], (), [], id="what ran before is lost, and an init runs"),
    ],
)
def test_the_last_init_container_tells_how_far_it_is(
    init: tuple[dict[str, Any], ...], runs: list[ContainerRecord], started: tuple[str, ...], starts: list[str]
) -> None:
    actions = decide(pod(A, init=init), *runs, verdicts=Verdicts(frozenset(started)))
    assert [f"{s.container['name']}:{s.attempt}" for s in actions.starts] == starts


def test_an_init_container_that_runs_is_left_alone_a_sidecar_is_not() -> None:
    assert decide(pod(A, init=(B,)), run("b", spec_hash="other")) == decide(pod(A, init=(B,)), run("b"))
    changed = run("side", spec_hash="other")
    assert not decide(pod(A, init=(SIDECAR,)), changed).kills  # not before it has started
    actions = decide(pod(A, init=(SIDECAR,)), changed, verdicts=Verdicts(frozenset({"side"})))
    assert [k.message for k in actions.kills] == ["Init container side definition changed"]
    assert [f"{s.container['name']}:{s.attempt}" for s in actions.starts] == ["side:1", "a:0"]
    for probe in ("startup", "liveness"):
        actions = decide(pod(A, init=(SIDECAR,)), run("side"), verdicts=Verdicts(frozenset(), {"side": probe}))
        assert [k.message for k in actions.kills] == [f"Init container side failed {probe} probe"]


def test_ephemeral_containers_start_once() -> None:
    given = pod(A, ephemeralContainers=[container("debug")])
    assert [s.kind for s in decide(given, run("a")).starts] == ["ephemeral"]
    assert not decide(given, run("a"), run("debug", EXITED, 1)).starts


def test_a_lost_container_counts_on_from_the_api() -> None:
    given = pod(A)
    given["status"] = {"containerStatuses": [{"name": "a", "restartCount": 4, "containerID": "docker://x"}]}
    assert decide(given).starts[0].attempt == 5


RULE = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}
TRIGGER = container("a", restartPolicy="Never", restartPolicyRules=[RULE])


HALF = NOW + timedelta(milliseconds=500)


def later(record: ContainerRecord) -> ContainerRecord:
    return dataclasses.replace(record, labels=round_label(HALF))


def test_all_containers_run_anew_when_a_rule_says_so() -> None:
    given = pod(TRIGGER, B, init=(container("i"),), restartPolicy="Never")
    trigger, init = run("a", EXITED, 42), run("i", EXITED, 0)
    trigger = dataclasses.replace(trigger, finished_at=HALF)
    found = decide(given, trigger, run("b"), init)
    assert [k.record.name for k in found.kills] == ["b"] and not found.starts and not found.kill_pod
    found = decide(given, trigger, run("b", EXITED, 143), init)
    assert [(s.container["name"], s.attempt) for s in found.starts] == [("i", 1)]
    again = later(run("i", EXITED, 0, 1))
    found = decide(given, trigger, run("b", EXITED, 143), again, init)
    assert [(s.container["name"], s.attempt, s.round) for s in found.starts] == [("a", 1, HALF), ("b", 1, HALF)]
    found = decide(
        given, later(run("a", attempt=1)), later(run("b", attempt=1)), again, trigger, run("b", EXITED), init
    )
    assert found.starts == () and found.kills == ()


def test_a_container_made_just_after_the_end_that_restarts_all_runs_anew_too() -> None:
    given = pod(TRIGGER, B, init=(container("i"),), restartPolicy="Never")
    trigger = dataclasses.replace(run("a", EXITED, 42), finished_at=HALF)
    late = dataclasses.replace(run("b"), created_at=NOW + timedelta(seconds=1))  # decided on before, made after
    found = decide(given, trigger, late, run("i", EXITED))
    assert [k.record.name for k in found.kills] == ["b"] and not found.starts
    ended = dataclasses.replace(late, state=EXITED, finished_at=NOW + timedelta(seconds=2), exit_code=137)
    found = decide(given, trigger, ended, run("i", EXITED))
    assert [(s.container["name"], s.attempt) for s in found.starts] == [("i", 1)]
