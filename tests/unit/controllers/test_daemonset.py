from typing import Any

import httpx

from controllers.daemonset import CONTROLLER
from controllers.daemonset.nodes import node_of, tolerations_of
from kubeling.api.errors import StatusError, failure
from kubeling.api.meta import Object, is_deleting, labels_of, name_of
from kubeling.api.resources import CONTROLLER_REVISIONS, DAEMON_SETS, NODES, PODS
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


async def test_what_ended_of_itself() -> None:
    """A succeeded pod is replaced at once; one that is finished and being deleted takes nobody's place."""
    async with World(CONTROLLER) as w:
        await run_up(w, count=1)
        for _ in range(3):
            w.set_status(next(p for p in w.pods() if not is_deleting(p)), phase="Succeeded")
            await w.settle(0.01)
        assert len(w.pods()) == 4 and len(nodes(w)) == 1
        text = next(message for reason, message in w.events() if reason == "SucceededDaemonPod")
        assert text.endswith("on node n0, will try to delete it")


async def test_a_pod_that_is_bound_to_a_node_that_is_gone_is_left_to_the_pod_garbage_collector() -> None:
    async with World(CONTROLLER) as w:
        await run_up(w, count=2)
        w.api.update(PODS, "ns", name_of(w.pods()[0]), lambda p: p["spec"].update(nodeName=node_of(p)))
        for node in ("n0", "n1"):
            w.api.delete(NODES, "", node)
        await w.settle()
        assert len(nodes(w)) == 1


async def test_of_a_nodes_pods_the_oldest_that_is_bound_stays() -> None:
    async with World(CONTROLLER) as w:
        await run_up(w, count=1)
        first = w.pods()[0]
        w.api.update(PODS, "ns", name_of(first), lambda p: p["spec"].update(nodeName="n0"))
        await w.clock.advance(5)
        copy = {**first["metadata"], "name": "second"}
        w.api.create(PODS, {"metadata": copy, "spec": first["spec"]})
        w.make_ready(w.get(PODS, "second"))
        w.set_status(first, phase="Running")
        await w.settle()
        assert [name_of(p) for p in w.pods() if is_deleting(p)] == ["second"]


async def test_a_failed_pod_that_is_left_alone_does_not_hold_up_the_update() -> None:
    async with World(CONTROLLER) as w:
        await run_up(w, count=3)
        for _ in range(2):
            w.set_status(next(p for p in w.pods() if node_of(p) == "n0"), phase="Failed")
            await w.clock.advance(0.1)
            w.finish_deleted()
            await w.clock.advance(0.1)
        assert not [p for p in w.pods() if is_deleting(p)]
        w.api.update(
            DAEMON_SETS,
            "ns",
            "d",
            lambda o: o["spec"]["updateStrategy"].update(rollingUpdate={"maxUnavailable": 2, "maxSurge": 0}),
        )
        set_image(w, "two")
        await w.clock.advance(0.1)
        assert {node_of(p) for p in w.pods() if is_deleting(p)} == {"n0", "n1"}


async def test_an_outdated_pod_where_none_belongs_any_more() -> None:
    """It stays on a node that may keep it, and goes with the update, once enough others are available."""
    for update in ({"maxUnavailable": 1, "maxSurge": 0}, {"maxUnavailable": 0, "maxSurge": 1}):
        async with World(CONTROLLER) as w:
            await run_up(w, count=2, updateStrategy={"type": "RollingUpdate", "rollingUpdate": update})
            taint = {"key": "k", "effect": "NoSchedule"}
            w.api.update(NODES, "", "n0", lambda n, t=taint: n["spec"].update(taints=[t]))
            await w.settle()
            assert nodes(w) == ["n0", "n1"]
            w.set_status(next(p for p in w.pods() if node_of(p) == "n1"), phase="Running")
            set_image(w, "two")
            await w.settle()
            assert "n0" in nodes(w)  # the other one, which is not available, goes first
            for _ in range(4):
                await step(w)
            assert nodes(w) == ["n1"]
            assert w.get(DAEMON_SETS, "d")["status"]["numberMisscheduled"] == 0


async def test_tolerations_of_the_template_are_overruled() -> None:
    own = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}
    found = tolerations_of({"tolerations": [{"operator": "Exists", "key": "k"}, own]})
    assert found[:2] == [{"operator": "Exists", "key": "k"}, {k: v for k, v in own.items() if k != "tolerationSeconds"}]
    assert len(found) == 7


async def test_revisions_of_one_template_become_one_and_live_ones_count_for_the_limit() -> None:
    async with World(CONTROLLER) as w:
        await run_up(w, count=2, updateStrategy={"type": "OnDelete"}, revisionHistoryLimit=1)
        (first,) = w.api.all(CONTROLLER_REVISIONS)
        labels = {**first["metadata"]["labels"], "controller-revision-hash": "other"}
        twin = {**first, "metadata": {**first["metadata"], "name": "d-other", "labels": labels}, "revision": 2}
        w.api.create(CONTROLLER_REVISIONS, twin)
        await w.stop()
        await w.start()
        assert [name_of(r) for r in w.api.all(CONTROLLER_REVISIONS)] == ["d-other"]
        assert {labels_of(p)["controller-revision-hash"] for p in w.pods()} == {"other"}
        for image in ("two", "three"):
            set_image(w, image)
            await w.settle()
        assert [r["revision"] for r in w.api.all(CONTROLLER_REVISIONS)] == [2, 4]  # pods still have the oldest


async def test_a_revision_carries_the_annotations_of_its_set() -> None:
    async with World(CONTROLLER) as w:
        told = {"kubernetes.io/change-cause": "why", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
        w.create(DAEMON_SETS, "d", spec_of(), annotations=told)
        await w.settle()
        assert w.api.all(CONTROLLER_REVISIONS)[0]["metadata"]["annotations"] == told


async def test_a_namespace_that_goes_away_is_no_failure() -> None:
    async with World(CONTROLLER) as w:
        refused: list[str] = []

        def refuse(request: httpx.Request) -> StatusError | None:
            if request.method != "POST" or not request.url.path.endswith("/pods"):
                return None
            refused.append(request.url.path)
            return failure(403, "Forbidden", "no", {"causes": [{"reason": "NamespaceTerminating"}]})

        w.api.fail = refuse
        await run_up(w, count=1)
        seen = len(refused)
        await w.settle(1000)
        assert seen == len(refused) and not w.events()
