from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from controllers import podgc
from controllers.nodelifecycle import CONTROLLER, TAINT_EVICTION
from controllers.nodelifecycle.eviction import patience, since_when
from controllers.nodelifecycle.zones import ZoneState, state_of
from kubeling.api.meta import (
    Object,
    condition_of,
    has_condition,
    is_deleting,
    labels_of,
    parse_time,
    rfc3339,
    rfc3339_micro,
)
from kubeling.api.resources import LEASES, NODES, PODS
from tests.unit.controllers.world import World

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def ready(value: str = "True") -> Object:
    return {"conditions": [{"type": "Ready", "status": value}]}


def add_node(w: World, name: str) -> None:
    w.create(NODES, name, {}, namespace="")
    w.api.update(NODES, "", name, lambda o: o.update(status=ready()))
    w.create(LEASES, name, {"renewTime": rfc3339_micro(w.clock.now())}, namespace="kube-node-lease")


async def live(w: World, seconds: int, *alive: str) -> None:
    """Time passes; only these nodes renew their leases."""
    for _ in range(seconds // 5):
        await w.clock.advance(5)
        for name in alive:
            renewed = {"renewTime": rfc3339_micro(w.clock.now())}
            w.api.update(LEASES, "kube-node-lease", name, lambda o, r=renewed: o["spec"].update(r))


def taints(w: World, name: str) -> list[tuple[str, str]]:
    found = w.get(NODES, name)["spec"].get("taints") or []
    return sorted((t["key"].partition("/")[2], t["effect"]) for t in found)


async def test_a_silent_node_is_tainted_and_its_pods_leave_in_time() -> None:
    async with World(CONTROLLER, TAINT_EVICTION) as w:
        add_node(w, "n1")
        add_node(w, "n2")
        patient = [{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "tolerationSeconds": 60}]
        w.create(PODS, "patient", {"nodeName": "n2", "tolerations": patient})
        w.create(PODS, "plain", {"nodeName": "n2"})
        w.create(PODS, "elsewhere", {"nodeName": "n1"})
        w.make_ready()
        await live(w, 30, "n1", "n2")
        assert taints(w, "n2") == []
        await live(w, 65, "n1")
        node = w.get(NODES, "n2")
        condition = condition_of(node, "Ready")
        assert condition and (condition["status"], condition["reason"]) == ("Unknown", "NodeStatusUnknown")
        assert condition["message"] == "Kubelet stopped posting node status."
        assert taints(w, "n2") == [("unreachable", "NoExecute"), ("unreachable", "NoSchedule")]
        assert is_deleting(w.get(PODS, "plain"))
        target = condition_of(w.get(PODS, "plain"), "DisruptionTarget")
        assert target and target["reason"] == "DeletionByTaintManager"
        not_ready = condition_of(w.get(PODS, "patient"), "Ready")
        assert not_ready and not_ready["status"] == "False"
        assert not is_deleting(w.get(PODS, "patient"))
        assert not is_deleting(w.get(PODS, "elsewhere"))
        await live(w, 70, "n1")
        assert is_deleting(w.get(PODS, "patient"))
        heard = ready()
        heard["conditions"][0]["lastHeartbeatTime"] = rfc3339(w.clock.now())
        w.api.update(NODES, "", "n2", lambda o: o.update(status=heard))
        await live(w, 10, "n1", "n2")
        assert taints(w, "n2") == []


async def test_nobody_is_evicted_when_all_nodes_are_silent() -> None:
    async with World(CONTROLLER, TAINT_EVICTION) as w:
        add_node(w, "n1")
        w.create(PODS, "p", {"nodeName": "n1"})
        await live(w, 120)
        assert taints(w, "n1") == [("unreachable", "NoSchedule")]
        assert not is_deleting(w.get(PODS, "p"))


async def test_cordoned_and_pressed_nodes_take_no_new_pods() -> None:
    async with World(CONTROLLER) as w:
        add_node(w, "n1")
        pressed = [{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "True"}]
        w.api.update(NODES, "", "n1", lambda o: o["status"].update(conditions=pressed))
        w.api.update(NODES, "", "n1", lambda o: o["spec"].update(unschedulable=True))
        await w.clock.advance(0.1)
        assert taints(w, "n1") == [("disk-pressure", "NoSchedule"), ("unschedulable", "NoSchedule")]
        w.api.update(NODES, "", "n1", lambda o: o["spec"].update(unschedulable=False))
        await w.clock.advance(0.1)
        assert taints(w, "n1") == [("disk-pressure", "NoSchedule")]


@pytest.mark.parametrize(
    ("good", "bad", "state"),
    [(3, 0, "NORMAL"), (0, 1, "FULL"), (1, 2, "NORMAL"), (2, 3, "PARTIAL"), (4, 3, "NORMAL"), (0, 0, "NORMAL")],
)
def test_zone_states(good: int, bad: int, state: str) -> None:
    nodes = [{"status": ready()}] * good + [{"status": ready("Unknown")}] * bad
    assert state_of(nodes, 0.55) is ZoneState[state]


@pytest.mark.parametrize(
    ("tolerations", "seconds"),
    [
        ([], 0),
        ([{"key": "k", "operator": "Exists"}], None),
        ([{"key": "k", "operator": "Exists", "tolerationSeconds": 30}], 30),
        ([{"key": "k", "operator": "Exists", "tolerationSeconds": -5}], 0),
        ([{"key": "k", "tolerationSeconds": 30}, {"operator": "Exists", "tolerationSeconds": 20}], 20),
        ([{"key": "k", "operator": "Equal", "value": "other"}], 0),
        ([{"operator": "Exists", "effect": "NoSchedule"}], 0),
    ],
)
def test_how_long_a_pod_may_stay(tolerations: list[Any], seconds: int | None) -> None:
    assert patience({"spec": {"tolerations": tolerations}}, [{"key": "k", "effect": "NoExecute"}]) == seconds


@pytest.mark.parametrize(
    ("added", "scheduled", "since"),
    [((10,), None, 10), ((10, 5), None, 5), ((1000,), 3, 3), ((10, None), 3, 0), ((None,), None, 0), ((-5,), None, 0)],
)
def test_since_when_a_pod_has_been_patient(added: tuple[int | None, ...], scheduled: int | None, since: int) -> None:
    def ago(seconds: int) -> str:
        return rfc3339(NOW - timedelta(seconds=seconds))

    taints = [{"key": "k", **({"timeAdded": ago(s)} if s is not None else {})} for s in added]
    pod: Object = {"spec": {}}
    if scheduled is not None:
        pod["status"] = {
            "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": ago(scheduled)}]
        }
    assert since_when(pod, taints, NOW) == NOW - timedelta(seconds=since)


def taint_by_hand(w: World, node: str, *effects: str) -> None:
    wanted = [{"key": "k", "effect": effect} for effect in effects]
    w.api.update(NODES, "", node, lambda o: o["spec"].update(taints=wanted))


async def test_a_taint_without_a_time_evicts_once_the_toleration_is_over() -> None:
    async with World(TAINT_EVICTION) as w:
        add_node(w, "n1")
        w.create(
            PODS, "p", {"nodeName": "n1", "tolerations": [{"key": "k", "operator": "Exists", "tolerationSeconds": 60}]}
        )
        done = w.create(PODS, "done", {"nodeName": "n1"})
        w.set_status(done, phase="Succeeded")
        taint_by_hand(w, "n1", "NoExecute")
        await w.clock.advance(59)
        assert is_deleting(w.get(PODS, "done")) and not is_deleting(w.get(PODS, "p"))
        await w.clock.advance(2)
        assert is_deleting(w.get(PODS, "p"))
        assert w.events()[-1] == ("TaintManagerEviction", "Marking for deletion Pod ns/p")


@pytest.mark.parametrize("how", ["untainted", "deleted", "tolerant"])
async def test_an_eviction_is_called_off_and_said_to_be(how: str) -> None:
    async with World(TAINT_EVICTION) as w:
        add_node(w, "n1")
        patient: Object = {"key": "k", "operator": "Exists", "tolerationSeconds": 60}
        w.create(PODS, "p", {"nodeName": "n1", "tolerations": [patient]})
        taint_by_hand(w, "n1", "NoExecute")
        await w.clock.advance(30)
        if how == "untainted":
            taint_by_hand(w, "n1", "NoSchedule")
        elif how == "deleted":
            w.api.delete(PODS, "ns", "p")
            w.finish_deleted()
        else:
            w.api.update(PODS, "ns", "p", lambda o: o["spec"].update(tolerations=[{"operator": "Exists"}]))
        await w.clock.advance(60)
        assert w.events() == [("TaintManagerEviction", "Cancelling deletion of Pod ns/p")]
        event = next(o for (_, plural, _, _), o in w.api.objects.items() if plural == "events")
        assert event["involvedObject"] == {"apiVersion": "v1", "kind": "Pod", "name": "p", "namespace": "ns"}
        assert how == "deleted" or not is_deleting(w.get(PODS, "p"))


async def test_a_node_that_says_it_is_not_ready_keeps_its_pods_conditions() -> None:
    async with World(CONTROLLER) as w:
        add_node(w, "n1")
        add_node(w, "n2")
        w.create(PODS, "p", {"nodeName": "n1"})
        w.make_ready()
        w.api.update(NODES, "", "n1", lambda o: o.update(status=ready("False")))
        await live(w, 60, "n1", "n2")
        assert has_condition(w.get(PODS, "p"), "Ready")
        assert taints(w, "n1") == [("not-ready", "NoExecute"), ("not-ready", "NoSchedule")]
        assert "NodeNotReady" not in dict(w.events())


async def test_a_new_node_that_has_told_nothing_yet_is_given_time() -> None:
    async with World(CONTROLLER) as w:
        add_node(w, "n1")
        w.create(NODES, "n2", {}, namespace="")
        w.api.update(NODES, "", "n2", lambda o: o.update(status={}))
        await live(w, 55, "n1")
        assert taints(w, "n2") == []
        await live(w, 20, "n1")
        assert taints(w, "n2") == [("unreachable", "NoExecute"), ("unreachable", "NoSchedule")]
        condition = condition_of(w.get(NODES, "n2"), "Ready")
        assert condition and condition["reason"] == "NodeStatusNeverUpdated"


async def test_nodes_of_a_zone_are_given_up_one_after_the_other() -> None:
    async with World(CONTROLLER, node_eviction_rate=0.5) as w:
        for number in range(8):
            add_node(w, f"n{number}")
        for number in range(3):
            w.api.update(NODES, "", f"n{number}", lambda o: o.update(status=ready("False")))
        await live(w, 10, *(f"n{number}" for number in range(8)))
        times = sorted(
            parse_time(t["timeAdded"])
            for number in range(3)
            for t in w.get(NODES, f"n{number}")["spec"]["taints"]
            if t["effect"] == "NoExecute"
        )
        assert [(b - a).total_seconds() for a, b in pairwise(times)] == [2, 2]


async def test_a_node_left_out_of_the_count_does_not_stop_evictions() -> None:
    async with World(CONTROLLER) as w:
        w.create(NODES, "n1", {}, namespace="", labels={"node.kubernetes.io/exclude-disruption": ""})
        w.api.update(NODES, "", "n1", lambda o: o.update(status=ready("False")))
        await w.clock.advance(10)
        assert taints(w, "n1") == [("not-ready", "NoExecute"), ("not-ready", "NoSchedule")]


async def test_the_older_labels_follow_the_newer() -> None:
    async with World(CONTROLLER) as w:
        labels = {"kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64", "beta.kubernetes.io/arch": "amd64"}
        w.create(NODES, "n1", {}, namespace="", labels=labels)
        w.api.update(NODES, "", "n1", lambda o: o.update(status=ready()))
        await w.clock.advance(1)
        beta = {"beta.kubernetes.io/os": "linux", "beta.kubernetes.io/arch": "arm64"}
        assert labels_of(w.get(NODES, "n1")) == {**labels, **beta}


async def test_pods_of_gone_nodes_and_old_finished_pods_go() -> None:
    async with World(podgc.CONTROLLER, terminated_pod_gc_threshold=2) as w:
        add_node(w, "n1")
        w.create(PODS, "kept", {"nodeName": "n1"})
        w.create(PODS, "orphan", {"nodeName": "gone"})
        for number in range(4):
            pod = w.create(PODS, f"done-{number}", {"nodeName": "n1"})
            w.set_status(pod, phase="Succeeded")
            if number == 3:
                w.set_status(pod, phase="Failed", reason="Evicted")
            await w.clock.advance(1)
        await w.clock.advance(20)
        assert [p["metadata"]["name"] for p in w.pods() if is_deleting(p)] == ["done-0", "done-3"]
        assert not is_deleting(w.get(PODS, "orphan"))
        await w.clock.advance(60)
        orphan = w.get(PODS, "orphan")
        assert is_deleting(orphan) and orphan["status"]["phase"] == "Failed"
        target = condition_of(orphan, "DisruptionTarget")
        assert target and target["message"] == "PodGC: node no longer exists"
        assert not is_deleting(w.get(PODS, "kept"))
