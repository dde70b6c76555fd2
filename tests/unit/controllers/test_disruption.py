from datetime import UTC, datetime
from typing import Any

import pytest

from controllers import disruption, ttlafterfinished
from kubeling.api.meta import Object, condition_of, is_deleting, name_of, owner_reference, rfc3339
from kubeling.api.resources import DEPLOYMENTS, JOBS, POD_DISRUPTION_BUDGETS, PODS, REPLICA_SETS
from tests.unit.controllers.world import World


async def setup(w: World, pods: int, ready: int, **budget: Any) -> Object:
    rs = w.create(REPLICA_SETS, "rs", {"replicas": pods, "template": {}})
    for number in range(pods):
        pod = w.create(PODS, f"p{number}", {}, labels={"app": "x"}, ownerReferences=[owner_reference(rs)])
        w.set_status(pod, phase="Running", ready=number < ready)
    w.create(POD_DISRUPTION_BUDGETS, "b", {"selector": {"matchLabels": {"app": "x"}}, **budget})
    await w.clock.advance(0.1)
    found: Object = w.get(POD_DISRUPTION_BUDGETS, "b")["status"]
    return found


@pytest.mark.parametrize(
    ("pods", "ready", "budget", "allowed", "desired"),
    [
        (3, 3, {"minAvailable": 2}, 1, 2),
        (3, 2, {"minAvailable": 2}, 0, 2),
        (4, 4, {"minAvailable": "50%"}, 2, 2),
        (5, 5, {"minAvailable": "50%"}, 2, 3),
        (4, 4, {"maxUnavailable": 1}, 1, 3),
        (4, 2, {"maxUnavailable": 1}, 0, 3),
        (7, 7, {"maxUnavailable": "30%"}, 3, 4),
        (0, 0, {"minAvailable": 1}, 0, 1),
    ],
)
async def test_how_many_may_go(pods: int, ready: int, budget: Any, allowed: int, desired: int) -> None:
    async with World(disruption.CONTROLLER) as w:
        status = await setup(w, pods, ready, **budget)
        assert (status["disruptionsAllowed"], status["desiredHealthy"]) == (allowed, desired)
        assert (status["currentHealthy"], status["expectedPods"]) == (ready, pods)
        condition = condition_of(w.get(POD_DISRUPTION_BUDGETS, "b"), "DisruptionAllowed")
        assert condition and condition["reason"] == ("SufficientPods" if allowed else "InsufficientPods")


async def test_an_eviction_counts_until_the_pod_goes_or_two_minutes_are_over() -> None:
    async with World(disruption.CONTROLLER) as w:
        await setup(w, 3, 3, maxUnavailable=1)

        def evict(obj: Object) -> None:
            obj["status"].update(disruptionsAllowed=0, disruptedPods={"p0": rfc3339(w.clock.now())})

        w.api.update(POD_DISRUPTION_BUDGETS, "ns", "b", evict)
        await w.clock.advance(60)
        assert w.get(POD_DISRUPTION_BUDGETS, "b")["status"]["disruptionsAllowed"] == 0
        await w.clock.advance(70)
        status = w.get(POD_DISRUPTION_BUDGETS, "b")["status"]
        assert status["disruptionsAllowed"] == 1 and "disruptedPods" not in status
        assert "NotDeleted" in [reason for reason, _ in w.events()]


async def test_pods_without_a_controller_are_told_of_and_left_out() -> None:
    async with World(disruption.CONTROLLER) as w:
        w.create(PODS, "bare", {}, labels={"app": "x"})
        status = await setup(w, 0, 0, maxUnavailable=1)
        assert (status["expectedPods"], status["disruptionsAllowed"]) == (0, 0)
        condition = condition_of(w.get(POD_DISRUPTION_BUDGETS, "b"), "DisruptionAllowed")
        assert condition and condition["reason"] == "InsufficientPods"


async def test_a_rolling_update_counts_its_deployment_once() -> None:
    async with World(disruption.CONTROLLER) as w:
        deployment = w.create(DEPLOYMENTS, "d", {"replicas": 4, "template": {}})
        for name, size in (("old", 3), ("new", 2)):
            owners = [owner_reference(deployment)]
            rs = w.create(REPLICA_SETS, name, {"replicas": size, "template": {}}, ownerReferences=owners)
            for number in range(size):
                pod = w.create(PODS, f"{name}{number}", {}, labels={"app": "x"}, ownerReferences=[owner_reference(rs)])
                w.set_status(pod, phase="Running", ready=True)
        w.create(POD_DISRUPTION_BUDGETS, "b", {"selector": {"matchLabels": {"app": "x"}}, "maxUnavailable": 1})
        await w.clock.advance(0.1)
        status = w.get(POD_DISRUPTION_BUDGETS, "b")["status"]
        figures = [status[k] for k in ("expectedPods", "desiredHealthy", "currentHealthy", "disruptionsAllowed")]
        assert figures == [4, 3, 5, 2]


async def test_finished_pods_count_as_expected() -> None:
    async with World(disruption.CONTROLLER) as w:
        done = w.create(PODS, "done", {}, labels={"app": "x"})
        w.set_status(done, phase="Succeeded")
        status = await setup(w, 2, 2, minAvailable=1)
        assert (status["expectedPods"], status["currentHealthy"], status["disruptionsAllowed"]) == (3, 2, 1)


async def test_pods_whose_controller_is_gone_allow_no_disruption() -> None:
    async with World(disruption.CONTROLLER) as w:
        await setup(w, 2, 2, maxUnavailable=1)
        w.api.delete(REPLICA_SETS, "ns", "rs")
        w.api.update(POD_DISRUPTION_BUDGETS, "ns", "b", lambda b: b["spec"].update(maxUnavailable=2))
        await w.clock.advance(1)
        status = w.get(POD_DISRUPTION_BUDGETS, "b")["status"]
        assert (status["disruptionsAllowed"], status["conditions"][0]["reason"]) == (0, "SyncFailed")
        text = 'Failed to calculate the number of expected pods: found no controllers for pod "p0"'
        assert ("CalculateExpectedPodCountFailed", text) in w.events()


async def test_a_controller_that_our_copy_does_not_have_yet_is_asked_for() -> None:
    async with World(disruption.CONTROLLER) as w:
        await setup(w, 2, 2, maxUnavailable=1)
        w.api.watchers = [watcher for watcher in w.api.watchers if watcher[1] != "replicasets"]
        rs = w.create(REPLICA_SETS, "late", {"replicas": 3, "template": {}})
        pod = w.create(PODS, "late", {}, labels={"app": "x"}, ownerReferences=[owner_reference(rs)])
        w.set_status(pod, phase="Running", ready=True)
        await w.clock.advance(1)
        status = w.get(POD_DISRUPTION_BUDGETS, "b")["status"]
        assert (status["expectedPods"], status["conditions"][0]["reason"]) == (5, "InsufficientPods")


async def test_a_pod_in_two_budgets_is_told() -> None:
    async with World(disruption.CONTROLLER) as w:
        for name in ("b", "a"):
            w.create(POD_DISRUPTION_BUDGETS, name, {"selector": {"matchLabels": {"app": "x"}}, "minAvailable": 1})
        await w.settle()
        w.create(PODS, "p", {}, labels={"app": "x"})
        await w.settle()
        text = 'Pod "ns"/"p" matches multiple PodDisruptionBudgets.  Chose "a" arbitrarily.'
        assert ("MultiplePodDisruptionBudgets", text) in w.events()
        assert all(w.get(POD_DISRUPTION_BUDGETS, name)["status"]["expectedPods"] == 1 for name in "ab")


def test_the_event_shows_the_selector_as_go_does() -> None:
    expression = {"key": "tier", "operator": "In", "values": ["a", "b"]}
    budget = {"spec": {"selector": {"matchLabels": {"b": "2", "a": "1"}, "matchExpressions": [expression]}}}
    assert (
        "(selector: &LabelSelector{MatchLabels:map[string]string{a: 1,b: 2,},MatchExpressions:[]LabelSelectorRequirement{"
        "LabelSelectorRequirement{Key:tier,Operator:In,Values:[a b],},},})"
    ) in disruption.unmanaged_text(budget)


def test_a_budget_that_cannot_be_worked_out_keeps_the_generation_it_was_last_worked_out_for() -> None:
    budget = {
        "metadata": {"name": "b", "namespace": "default", "generation": 3},
        "status": {"observedGeneration": 2, "disruptionsAllowed": 1, "currentHealthy": 2},
    }
    status = disruption.failed_status(budget, "no scale", datetime(2026, 1, 1, tzinfo=UTC))
    assert (status["observedGeneration"], status["disruptionsAllowed"], status["currentHealthy"]) == (2, 0, 2)
    condition = status["conditions"][0]
    assert (condition["status"], condition["reason"], condition["message"]) == ("False", "SyncFailed", "no scale")
    assert condition["observedGeneration"] == 2


@pytest.mark.parametrize(("reason", "after"), [("EvictionByEvictionAPI", "False"), ("TerminationByKubelet", "True")])
async def test_only_the_kubelets_own_notice_of_a_disruption_never_goes_stale(reason: str, after: str) -> None:
    w = World(disruption.CONTROLLER)
    pod = w.create(PODS, "p", {})
    notice = {"type": "DisruptionTarget", "status": "True", "reason": reason}
    conditions = [{**notice, "lastTransitionTime": rfc3339(w.clock.now())}]
    w.set_status(pod, phase="Running", conditions=conditions)
    async with w:
        await w.clock.advance(130)
        condition = condition_of(w.get(PODS, "p"), "DisruptionTarget")
        assert condition is not None and condition["status"] == after


async def test_jobs_go_when_their_time_is_over() -> None:
    async with World(ttlafterfinished.CONTROLLER) as w:
        done = {"type": "Complete", "status": "True", "lastTransitionTime": rfc3339(w.clock.now())}
        for name, ttl in (("soon", 10), ("later", 100), ("never", None)):
            w.create(JOBS, name, {"ttlSecondsAfterFinished": ttl})
            w.api.update(JOBS, "ns", name, lambda o: o.update(status={"conditions": [done]}))
        w.create(JOBS, "running", {"ttlSecondsAfterFinished": 0})
        await w.clock.advance(11)
        assert sorted(name_of(j) for j in w.api.all(JOBS) if not is_deleting(j)) == ["later", "never", "running"]
        await w.clock.advance(100)
        assert sorted(name_of(j) for j in w.api.all(JOBS) if not is_deleting(j)) == ["never", "running"]
