import random
from datetime import UTC, datetime
from typing import Any

import pytest

from controllers.job import CONTROLLER, indexes
from controllers.job.jobpods import FINALIZER, index_of, new_pod
from controllers.job.plan import plan
from controllers.lib.pods import is_active, phase_of
from kubeling.api.meta import Object, condition_of, is_deleting, name_of
from kubeling.api.resources import JOBS, PODS
from tests.unit.controllers.world import World


def spec_of(**more: Any) -> Object:
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "one"}]}
    return {
        "parallelism": 1,
        "completions": 1,
        "backoffLimit": 6,
        "selector": {"matchLabels": {"job": "j"}},
        "template": {"metadata": {"labels": {"job": "j"}}, "spec": pod},
        **more,
    }


async def start(w: World, **spec: Any) -> None:
    w.create(JOBS, "j", spec_of(**spec))
    await w.clock.advance(0.1)


def active(w: World) -> list[Object]:
    return sorted((p for p in w.pods() if is_active(p)), key=lambda p: index_of(p) or 0)


def status(w: World) -> Object:
    found: Object = w.get(JOBS, "j").get("status") or {}
    return found


async def end(w: World, pod: Object, phase: str = "Succeeded", code: int = 1) -> None:
    terminated = {"exitCode": 0 if phase == "Succeeded" else code, "finishedAt": w.clock.now().isoformat()}
    w.set_status(pod, phase=phase, containerStatuses=[{"name": "c", "state": {"terminated": terminated}}])
    await w.clock.advance(0.1)


def verdict(w: World) -> tuple[str, str]:
    for type_ in ("Complete", "Failed"):
        if condition := condition_of(w.get(JOBS, "j"), type_):
            return type_, condition["reason"]
    return "", ""


async def test_completions_and_parallelism() -> None:
    async with World(CONTROLLER) as w:
        await start(w, completions=5, parallelism=2)
        done = 0
        while active(w):
            assert len(active(w)) == min(2, 5 - done)
            await end(w, active(w)[0])
            done += 1
        await w.settle()
        assert done == 5
        assert verdict(w) == ("Complete", "CompletionsReached")
        assert status(w)["succeeded"] == 5
        assert status(w)["uncountedTerminatedPods"] == {}
        assert status(w)["completionTime"]
        assert not any(p["metadata"].get("finalizers") for p in w.pods())
        assert ("Completed", "Job completed") in w.events()


async def test_failures_wait_longer_and_longer_up_to_the_limit() -> None:
    async with World(CONTROLLER) as w:
        await start(w, backoffLimit=2)
        waits = []
        for _ in range(2):
            began = w.clock.monotonic()
            await end(w, active(w)[0], "Failed")
            while not active(w):
                await w.clock.advance(1)
            waits.append(round(w.clock.monotonic() - began))
        assert waits == [10, 20]
        await end(w, active(w)[0], "Failed")
        await w.settle()
        assert verdict(w) == ("Failed", "BackoffLimitExceeded")
        assert status(w)["failed"] == 3
        assert ("BackoffLimitExceeded", "Job has reached the specified backoff limit") in w.events()


async def test_deadline() -> None:
    async with World(CONTROLLER) as w:
        await start(w, activeDeadlineSeconds=30, parallelism=2, completions=2)
        await w.clock.advance(31)
        assert all(is_deleting(p) for p in w.pods())
        assert verdict(w) == ("", "")  # pods are still ending
        target = condition_of(w.get(JOBS, "j"), "FailureTarget")
        assert target and target["reason"] == "DeadlineExceeded"
        w.finish_deleted()
        await w.settle()
        assert verdict(w) == ("Failed", "DeadlineExceeded")


async def test_indexed() -> None:
    async with World(CONTROLLER) as w:
        await start(w, completionMode="Indexed", completions=4, parallelism=3)
        assert [index_of(p) for p in active(w)] == [0, 1, 2]
        pod = active(w)[0]
        assert name_of(pod).startswith("j-0-") and pod["spec"]["hostname"] == "j-0"
        env = pod["spec"]["containers"][0]["env"][0]
        assert env["name"] == "JOB_COMPLETION_INDEX"
        await end(w, active(w)[2])
        await end(w, active(w)[0])
        assert status(w)["completedIndexes"] == "0,2"
        while active(w):
            await end(w, active(w)[0])
        await w.settle()
        assert status(w)["completedIndexes"] == "0-3"
        assert verdict(w) == ("Complete", "CompletionsReached")


async def test_back_off_per_index() -> None:
    async with World(CONTROLLER) as w:
        more = {"completionMode": "Indexed", "completions": 2, "parallelism": 2, "backoffLimitPerIndex": 1}
        await start(w, **more, backoffLimit=100)
        await end(w, active(w)[1])
        await end(w, active(w)[0], "Failed")
        assert not active(w)
        assert status(w)["uncountedTerminatedPods"] == {} and "failed" not in status(w)  # told with its replacement
        await w.clock.advance(11)
        assert status(w)["failed"] == 1
        await end(w, active(w)[0], "Failed")
        await w.settle()
        assert (status(w)["completedIndexes"], status(w)["failedIndexes"]) == ("1", "0")
        assert verdict(w) == ("Failed", "FailedIndexes")


@pytest.mark.parametrize(
    ("action", "code", "expected"),
    [
        ("FailJob", 42, ("Failed", "PodFailurePolicy")),
        ("Ignore", 42, ("", "")),
        ("Count", 42, ("Failed", "BackoffLimitExceeded")),
        ("FailJob", 1, ("Failed", "BackoffLimitExceeded")),
    ],
)
async def test_pod_failure_policy(action: str, code: int, expected: tuple[str, str]) -> None:
    async with World(CONTROLLER) as w:
        rule = {"action": action, "onExitCodes": {"operator": "In", "values": [42]}}
        await start(w, backoffLimit=0, podFailurePolicy={"rules": [rule]})
        await end(w, active(w)[0], "Failed", code)
        await w.settle()
        assert verdict(w) == expected
        if action == "FailJob" and code == 42:
            message = condition_of(w.get(JOBS, "j"), "Failed")
            assert message and message["message"].endswith("failed with exit code 42 matching FailJob rule at index 0")


async def test_success_policy() -> None:
    async with World(CONTROLLER) as w:
        policy = {"rules": [{"succeededIndexes": "1-2", "succeededCount": 1}]}
        await start(w, completionMode="Indexed", completions=4, parallelism=4, successPolicy=policy)
        await end(w, active(w)[0])
        assert verdict(w) == ("", "")
        await end(w, next(p for p in active(w) if index_of(p) == 2))
        assert not active(w)
        assert verdict(w) == ("", "") and status(w)["terminating"] == 2
        w.finish_deleted()
        await w.settle()
        assert verdict(w) == ("Complete", "SuccessPolicy")
        assert "failed" not in status(w)  # those that were no longer needed have not failed


@pytest.mark.parametrize("policy", ["TerminatingOrFailed", "Failed"])
async def test_a_failed_jobs_remaining_pods_have_failed_too(policy: str) -> None:
    async with World(CONTROLLER) as w:
        await start(w, completions=3, parallelism=3, backoffLimit=0, podReplacementPolicy=policy)
        await end(w, active(w)[0], "Failed")
        await w.clock.advance(0.1)
        assert condition_of(w.get(JOBS, "j"), "FailureTarget") and verdict(w) == ("", "")
        assert status(w)["terminating"] == 2
        w.finish_deleted()
        await w.settle()
        assert verdict(w) == ("Failed", "BackoffLimitExceeded")
        assert status(w)["failed"] == 3


async def test_suspend_and_resume() -> None:
    async with World(CONTROLLER) as w:
        await start(w, suspend=True)
        assert not w.pods()
        assert "startTime" not in status(w)
        w.api.update(JOBS, "ns", "j", lambda o: o["spec"].update(suspend=False))
        await w.clock.advance(0.1)
        assert len(active(w)) == 1 and status(w)["startTime"]
        w.api.update(JOBS, "ns", "j", lambda o: o["spec"].update(suspend=True))
        await w.clock.advance(0.1)
        assert not active(w)
        assert "failed" not in status(w)
        assert ("Suspended", "Job suspended") in w.events()
        assert ("Resumed", "Job resumed") in w.events()


@pytest.mark.parametrize(("policy", "replaced"), [("TerminatingOrFailed", True), ("Failed", False)])
async def test_pod_replacement_policy(policy: str, replaced: bool) -> None:
    async with World(CONTROLLER) as w:
        await start(w, podReplacementPolicy=policy)
        w.api.delete(PODS, "ns", name_of(w.pods()[0]))
        await w.clock.advance(0.1)
        assert bool(active(w)) is replaced


async def test_pods_are_held_while_they_are_the_jobs() -> None:
    async with World(CONTROLLER) as w:
        await start(w, parallelism=2, completions=2)
        left, lost = w.pods()
        w.api.update(PODS, "ns", name_of(left), lambda p: p["metadata"].update(labels={"job": "other"}))
        w.api.update(PODS, "ns", name_of(lost), lambda p: p["metadata"].update(ownerReferences=[], finalizers=[]))
        await w.settle()
        assert not w.get(PODS, name_of(left))["metadata"]["finalizers"]
        assert not w.get(PODS, name_of(left))["metadata"].get("ownerReferences")
        adopted = w.get(PODS, name_of(lost))["metadata"]
        assert adopted["finalizers"] == ["batch.kubernetes.io/job-tracking"] and adopted["ownerReferences"]
        stray = {"labels": {"batch.kubernetes.io/job-name": "j"}, "finalizers": ["batch.kubernetes.io/job-tracking"]}
        w.create(PODS, "stray", {}, **stray)
        w.create(PODS, "nameless", {}, finalizers=["batch.kubernetes.io/job-tracking"])
        await w.settle()
        for name in ("stray", "nameless"):
            assert not w.get(PODS, name)["metadata"]["finalizers"]


async def test_a_deleted_job_lets_its_pods_go() -> None:
    async with World(CONTROLLER) as w:
        await start(w)
        w.api.delete(JOBS, "ns", "j")
        await w.settle()
        assert not w.pods()[0]["metadata"]["finalizers"]


async def test_ignored_failures_of_an_index_do_not_use_up_its_limit() -> None:
    async with World(CONTROLLER) as w:
        rule = {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [42]}}
        more = {"completionMode": "Indexed", "backoffLimitPerIndex": 1, "backoffLimit": 100}
        await start(w, **more, podFailurePolicy={"rules": [rule]})
        for number, wait in enumerate((10, 20)):
            await end(w, active(w)[0], "Failed", 42)
            await w.clock.advance(wait - 1)
            assert not active(w)  # they do lengthen the wait
            await w.clock.advance(1.2)
            notes = active(w)[0]["metadata"]["annotations"]
            assert notes["batch.kubernetes.io/job-index-failure-count"] == "0"
            assert notes["batch.kubernetes.io/job-index-ignored-failure-count"] == str(number + 1)
        assert "failed" not in status(w)
        await end(w, active(w)[0], "Failed", 1)
        await w.clock.advance(41)
        assert verdict(w) == ("", "") and status(w)["failed"] == 1
        await end(w, active(w)[0], "Failed", 1)
        await w.settle()
        assert verdict(w) == ("Failed", "FailedIndexes")


async def test_an_index_that_waits_keeps_its_place() -> None:
    async with World(CONTROLLER) as w:
        await start(w, completionMode="Indexed", completions=2, backoffLimitPerIndex=1, backoffLimit=100)
        await end(w, active(w)[0], "Failed")
        await w.clock.advance(5)
        assert not active(w)
        await w.clock.advance(6)
        assert [index_of(p) for p in active(w)] == [0]


async def test_failed_indexes_are_worse_than_a_success_policy_is_good() -> None:
    async with World(CONTROLLER) as w:
        policy = {"rules": [{"succeededIndexes": "1"}]}
        more = {"completionMode": "Indexed", "completions": 2, "parallelism": 2, "backoffLimitPerIndex": 0}
        await start(w, **more, backoffLimit=100, successPolicy=policy)
        first, second = active(w)
        w.set_status(first, phase="Failed")
        await end(w, second)
        await w.settle()
        assert verdict(w) == ("Failed", "FailedIndexes")


async def test_work_of_unknown_size_is_done_once_nothing_runs() -> None:
    async with World(CONTROLLER) as w:
        await start(w, completions=None, parallelism=2)
        one, other = active(w)
        await end(w, one)
        w.api.delete(PODS, "ns", name_of(other))
        await w.clock.advance(0.1)
        assert condition_of(w.get(JOBS, "j"), "SuccessCriteriaMet") and verdict(w) == ("", "")
        w.finish_deleted()
        await w.settle()
        assert verdict(w) == ("Complete", "CompletionsReached")


async def test_a_pod_too_many_is_replaced_only_after_it_has_ended() -> None:
    async with World(CONTROLLER) as w:
        more = {"completionMode": "Indexed", "completions": 2, "parallelism": 2, "podReplacementPolicy": "Failed"}
        await start(w, **more)
        w.api.update(PODS, "ns", name_of(active(w)[1]), lambda p: p["metadata"]["annotations"].update(
            {"batch.kubernetes.io/job-completion-index": "0"}
        ))  # fmt: skip
        await w.clock.advance(0.1)
        assert len(active(w)) == 1
        w.finish_deleted()
        await w.clock.advance(0.1)
        assert [index_of(p) for p in active(w)] == [0, 1]


def test_a_status_names_at_most_500_pods_at_once() -> None:
    job: Object = {"metadata": {"name": "j", "uid": "u"}, "spec": spec_of(completions=600, parallelism=600)}
    pods: list[Object] = [
        {"metadata": {"name": f"p{n}", "namespace": "ns", "uid": f"u{n}", "finalizers": [FINALIZER]},
         "status": {"phase": "Succeeded"}}
        for n in range(600)
    ]  # fmt: skip
    first = plan(job, pods, datetime(2026, 1, 1, tzinfo=UTC))
    assert (len(first.status["uncountedTerminatedPods"]["succeeded"]), len(first.unfinalize)) == (500, 500)
    assert condition_of({"status": first.status}, "SuccessCriteriaMet") and not first.events
    for pod in first.unfinalize:
        pod["metadata"]["finalizers"] = []
    second = plan({**job, "status": first.status}, pods, datetime(2026, 1, 1, tzinfo=UTC))
    assert second.status["succeeded"] == 500
    assert (len(second.status["uncountedTerminatedPods"]["succeeded"]), len(second.unfinalize)) == (100, 100)


async def test_more_successes_than_completions_are_told() -> None:
    async with World(CONTROLLER) as w:
        await start(w, completions=2, parallelism=2)
        for pod in active(w):
            w.set_status(pod, phase="Succeeded")
        w.api.update(JOBS, "ns", "j", lambda o: o["spec"].update(completions=1))
        await w.settle()
        assert verdict(w)[0] == "Complete" and status(w)["succeeded"] == 2
        text = "Too many succeeded pods running after completion count reached"
        assert ("TooManySucceededPods", text) in w.events()


def test_an_index_stays_in_the_name_of_a_job_with_a_long_one() -> None:
    job = {"metadata": {"name": "j" * 60, "namespace": "ns", "uid": "u"}, "kind": "Job", "apiVersion": "batch/v1",
           "spec": spec_of(completionMode="Indexed")}  # fmt: skip
    assert new_pod(job, 12)["metadata"]["generateName"] == "j" * 54 + "-12-"


@pytest.mark.parametrize("seed", range(4))
async def test_kills_at_any_moment_lose_and_double_nothing(seed: int) -> None:
    chance = random.Random(seed)
    w = World(CONTROLLER)
    async with w:
        await start(w, completionMode="Indexed", completions=12, parallelism=4, backoffLimit=1000)
        failures = 0
        for _ in range(400):
            if verdict(w)[0]:
                break
            if running := active(w):
                pod = chance.choice(running)
                failed = chance.random() < 0.2
                failures += failed
                w.set_status(pod, phase="Failed" if failed else "Succeeded", containerStatuses=[])
            for _ in range(chance.randrange(8)):
                await w.clock.advance(0)
            if chance.random() < 0.4:
                await w.stop()
                await w.start()
            await w.clock.advance(chance.choice([0.0, 1.0, 30.0]))
        await w.settle()
        assert verdict(w) == ("Complete", "CompletionsReached")
        assert (status(w)["succeeded"], status(w).get("failed", 0)) == (12, failures)
        winners = [index_of(p) for p in w.pods() if phase_of(p) == "Succeeded"]
        assert sorted(i for i in winners if i is not None) == list(range(12))


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("", set()), ("0", {0}), ("1,2", {1, 2}), ("0-2,5", {0, 1, 2, 5}), ("3-5,7,9,10", {3, 4, 5, 7, 9, 10})],
)
def test_compressed_indexes(text: str, numbers: set[int]) -> None:
    assert indexes.parse(text, 100) == numbers
    assert indexes.compress(numbers) == text
