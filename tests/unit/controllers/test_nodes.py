from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controllers import podgc
from controllers.nodelifecycle import CONTROLLER, TAINT_EVICTION
from controllers.nodelifecycle.eviction import evict_at
from controllers.nodelifecycle.zones import ZoneState, state_of
from kubeling.api.meta import Object, condition_of, is_deleting, rfc3339, rfc3339_micro
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
        w.api.update(NODES, "", "n2", lambda o: o.update(status=ready()))
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
        ([{"key": "k", "operator": "Exists", "tolerationSeconds": 30}], 20),
        ([{"key": "k", "operator": "Exists", "tolerationSeconds": 5}], -5),
        ([{"key": "k", "operator": "Equal", "value": "other"}], 0),
        ([{"operator": "Exists", "effect": "NoSchedule"}], 0),
    ],
)
def test_when_a_pod_must_go(tolerations: list[Any], seconds: int | None) -> None:
    taint = {"key": "k", "effect": "NoExecute", "timeAdded": rfc3339(NOW - timedelta(seconds=10))}
    due = evict_at({"spec": {"tolerations": tolerations}}, [taint], NOW)
    assert due == (None if seconds is None else NOW + timedelta(seconds=seconds))


async def test_pods_of_gone_nodes_and_old_finished_pods_go() -> None:
    async with World(podgc.CONTROLLER, terminated_pod_gc_threshold=2) as w:
        add_node(w, "n1")
        w.create(PODS, "kept", {"nodeName": "n1"})
        w.create(PODS, "orphan", {"nodeName": "gone"})
        for number in range(4):
            pod = w.create(PODS, f"done-{number}", {"nodeName": "n1"})
            w.set_status(pod, phase="Succeeded")
            await w.clock.advance(1)
        await w.clock.advance(20)
        assert [p["metadata"]["name"] for p in w.pods() if is_deleting(p)] == ["done-0", "done-1"]
        assert not is_deleting(w.get(PODS, "orphan"))
        await w.clock.advance(60)
        orphan = w.get(PODS, "orphan")
        assert is_deleting(orphan) and orphan["status"]["phase"] == "Failed"
        target = condition_of(orphan, "DisruptionTarget")
        assert target and target["message"] == "PodGC: node no longer exists"
        assert not is_deleting(w.get(PODS, "kept"))
