from typing import Any

from controllers.daemonset import CONTROLLER
from controllers.daemonset.nodes import node_of
from kubeling.api.meta import Object, is_deleting, name_of
from kubeling.api.resources import CONTROLLER_REVISIONS, DAEMON_SETS, NODES
from tests.unit.controllers.world import World


def spec_of(**more: Any) -> Object:
    containers = [{"name": "c", "image": "one"}]
    return {
        "selector": {"matchLabels": {"app": "d"}},
        "template": {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": containers, **more.pop("pod", {})}},
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
        "revisionHistoryLimit": 10,
        **more,
    }


def add_node(w: World, name: str, taints: list[Object] | None = None, **labels: str) -> None:
    w.create(NODES, name, {"taints": taints or []}, namespace="", labels=labels)


def nodes(w: World) -> list[str]:
    return sorted(node_of(p) for p in w.pods() if not is_deleting(p))


def set_image(w: World, image: str) -> None:
    w.api.update(DAEMON_SETS, "ns", "d", lambda o: o["spec"]["template"]["spec"]["containers"][0].update(image=image))


async def run_up(w: World, count: int = 4, **spec: Any) -> None:
    for number in range(count):
        add_node(w, f"n{number}")
    w.create(DAEMON_SETS, "d", spec_of(**spec))
    await w.settle()
    w.make_ready()
    await w.settle()


async def step(w: World) -> None:
    w.finish_deleted()
    await w.settle()
    w.make_ready(*(p for p in w.pods() if not p.get("status")))
    await w.settle()


async def test_a_pod_on_every_node_that_fits() -> None:
    async with World(CONTROLLER) as w:
        add_node(w, "plain", disk="ssd")
        add_node(w, "other")
        add_node(w, "tainted", [{"key": "k", "value": "v", "effect": "NoSchedule"}], disk="ssd")
        add_node(w, "cordoned", [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}], disk="ssd")
        w.create(DAEMON_SETS, "d", spec_of(pod={"nodeSelector": {"disk": "ssd"}}))
        await w.settle()
        assert nodes(w) == ["cordoned", "plain"]
        add_node(w, "late", disk="ssd")
        await w.settle()
        w.make_ready()
        await w.settle()
        assert nodes(w) == ["cordoned", "late", "plain"]
        status = w.get(DAEMON_SETS, "d")["status"]
        assert status["desiredNumberScheduled"] == status["numberReady"] == status["updatedNumberScheduled"] == 3
        w.api.update(NODES, "", "late", lambda o: o["metadata"].update(labels={}))
        await w.settle()
        assert nodes(w) == ["cordoned", "plain"]


async def test_rolling_update_one_node_at_a_time() -> None:
    async with World(CONTROLLER) as w:
        await run_up(w)
        set_image(w, "two")
        await w.settle()
        for _ in range(12):
            unavailable = [p for p in w.pods() if is_deleting(p) or not p.get("status")]
            assert len(unavailable) <= 1
            await step(w)
        assert {p["spec"]["containers"][0]["image"] for p in w.pods()} == {"two"}
        assert w.get(DAEMON_SETS, "d")["status"]["updatedNumberScheduled"] == 4
        assert sorted(r["revision"] for r in w.api.all(CONTROLLER_REVISIONS)) == [1, 2]


async def test_surge_starts_the_new_pod_first() -> None:
    async with World(CONTROLLER) as w:
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 2}}
        await run_up(w, updateStrategy=strategy)
        set_image(w, "two")
        await w.settle()
        assert len(w.pods()) == 6
        for _ in range(12):
            await step(w)
        assert nodes(w) == ["n0", "n1", "n2", "n3"]
        assert {p["spec"]["containers"][0]["image"] for p in w.pods()} == {"two"}


async def test_failed_pods_are_replaced_with_back_off() -> None:
    async with World(CONTROLLER) as w:
        await run_up(w, count=1)
        for expected in (True, False):
            pod = w.pods()[0]
            w.set_status(pod, phase="Failed")
            await w.clock.advance(0.1)
            assert is_deleting(w.pods()[0]) is expected
            w.finish_deleted()
            await w.clock.advance(0.1)
        assert [reason for reason, _ in w.events()].count("FailedDaemonPod") == 1
        await w.clock.advance(2)
        assert is_deleting(w.pods()[0])


async def test_on_delete_and_pods_of_gone_nodes() -> None:
    async with World(CONTROLLER) as w:
        await run_up(w, updateStrategy={"type": "OnDelete"})
        set_image(w, "two")
        await step(w)
        assert {p["spec"]["containers"][0]["image"] for p in w.pods()} == {"one"}
        w.api.delete(NODES, "", "n3")
        await w.settle()
        assert nodes(w) == ["n0", "n1", "n2"]
        assert all(name_of(p).startswith("d-") for p in w.pods())
