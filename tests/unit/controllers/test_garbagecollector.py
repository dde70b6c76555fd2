from typing import Any

import pytest

from controllers.garbagecollector import CONTROLLER
from controllers.namespace import CONTROLLER as NAMESPACE
from kubeling.api.meta import Object, condition_of, name_of, owner_reference
from kubeling.api.resources import CONFIG_MAPS, NAMESPACES, NODES, PODS, SECRETS
from tests.unit.controllers.world import World


def names(w: World) -> list[str]:
    return sorted(name_of(o) for o in w.api.all(CONFIG_MAPS))


def made(w: World, name: str, *owners: Object, block: bool = True, **metadata: Any) -> Object:
    references = [owner_reference(o, controller=False, block=block) for o in owners]
    return w.create(CONFIG_MAPS, name, {}, ownerReferences=references, **metadata)


async def test_dependents_follow_their_last_owner_down_the_tree() -> None:
    async with World(CONTROLLER) as w:
        a, b = made(w, "a"), made(w, "b")
        child = made(w, "child", a)
        made(w, "grandchild", child)
        made(w, "shared", a, b)
        await w.settle()
        w.api.delete(CONFIG_MAPS, "ns", "a")
        await w.settle()
        assert names(w) == ["b", "shared"]
        assert [o["name"] for o in w.get(CONFIG_MAPS, "shared")["metadata"]["ownerReferences"]] == ["b"]


async def test_an_owner_that_never_was_or_lives_elsewhere() -> None:
    async with World(CONTROLLER) as w:
        ghost = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ghost", "uid": "no"}}
        elsewhere = w.create(CONFIG_MAPS, "other", {}, namespace="far")
        unknown = {"apiVersion": "example.com/v1", "kind": "Gone", "metadata": {"name": "x", "uid": "u"}}
        node = w.create(NODES, "n1", {}, namespace="")
        made(w, "of-ghost", ghost)
        made(w, "of-elsewhere", elsewhere)
        made(w, "of-unknown", unknown)
        made(w, "of-node", node)
        await w.clock.advance(1)
        assert names(w) == ["of-node", "of-unknown", "other"]
        uid = elsewhere["metadata"]["uid"]
        text = f'ownerRef [v1/ConfigMap, namespace: ns, name: other, uid: {uid}] does not exist in namespace "ns"'
        assert [e for e in w.events() if e[0] == "OwnerRefInvalidNamespace"] == [("OwnerRefInvalidNamespace", text)]


async def test_a_cluster_scoped_dependent_of_a_namespaced_owner_stays_and_is_told() -> None:
    async with World(CONTROLLER) as w:
        owner = made(w, "owner")
        w.create(NODES, "n1", {}, namespace="", ownerReferences=[owner_reference(owner, controller=False)])
        w.api.delete(CONFIG_MAPS, "ns", "owner")
        await w.settle()
        assert w.get(NODES, "n1")
        again = made(w, "again")
        w.create(NODES, "n2", {}, namespace="", ownerReferences=[owner_reference(again, controller=False)])
        await w.settle()
        assert w.get(NODES, "n2") and "OwnerRefInvalidNamespace" in [reason for reason, _ in w.events()]


async def test_foreground_deletion_waits_for_blocking_dependents() -> None:
    async with World(CONTROLLER) as w:
        a = made(w, "a")
        made(w, "blocker", a, finalizers=["example.com/hold"])
        made(w, "loose", a, block=False)
        await w.settle()
        w.api.delete(CONFIG_MAPS, "ns", "a", {"propagationPolicy": "Foreground"})
        await w.settle()
        assert names(w) == ["a", "blocker"]
        w.api.update(CONFIG_MAPS, "ns", "blocker", lambda o: o["metadata"].update(finalizers=[]))
        await w.settle()
        assert names(w) == []


async def test_orphaning_lets_dependents_live() -> None:
    async with World(CONTROLLER) as w:
        a = made(w, "a")
        made(w, "child", a)
        await w.settle()
        w.api.delete(CONFIG_MAPS, "ns", "a", {"propagationPolicy": "Orphan"})
        await w.settle()
        assert names(w) == ["child"]
        assert w.get(CONFIG_MAPS, "child")["metadata"]["ownerReferences"] == []


async def test_a_dependent_created_after_its_owner_went() -> None:
    async with World(CONTROLLER) as w:
        a = made(w, "a")
        await w.settle()
        w.api.delete(CONFIG_MAPS, "ns", "a")
        made(w, "late", a)
        await w.settle()
        assert names(w) == []


async def test_a_cycle_is_deleted() -> None:
    async with World(CONTROLLER) as w:
        a = made(w, "a")
        b = made(w, "b", a)
        w.api.update(CONFIG_MAPS, "ns", "a", lambda o: o["metadata"].update(ownerReferences=[owner_reference(b)]))
        await w.settle()
        w.api.delete(CONFIG_MAPS, "ns", "a", {"propagationPolicy": "Foreground"})
        await w.settle()
        assert names(w) == []


@pytest.mark.parametrize("restarts", [0, 3])
async def test_a_namespace_is_emptied_pods_first(restarts: int) -> None:
    async with World(NAMESPACE) as w:
        w.create(NAMESPACES, "ns", {"finalizers": ["kubernetes"]}, namespace="")
        w.create(PODS, "p", {"terminationGracePeriodSeconds": 30})
        w.create(SECRETS, "held", {}, finalizers=["example.com/hold"])
        w.api.delete(NAMESPACES, "", "ns")
        for _ in range(restarts):
            await w.clock.advance(1)
            await w.stop()
            await w.start()
        await w.clock.advance(2)
        namespace = w.get(NAMESPACES, "ns")
        assert namespace["status"]["phase"] == "Terminating"
        remaining = condition_of(namespace, "NamespaceContentRemaining")
        assert remaining and remaining["message"] == "Some resources are remaining: pods. has 1 resource instances"
        assert not w.get(SECRETS, "held")["metadata"].get("deletionTimestamp")  # pods go first
        assert (condition_of(namespace, "NamespaceDeletionContentFailure") or {})["status"] == "False"
        await w.clock.advance(40)
        failed = condition_of(w.get(NAMESPACES, "ns"), "NamespaceDeletionContentFailure")
        assert failed and failed["message"] == (
            "Failed to delete all resource types, 1 remaining: unexpected items still remain in namespace: ns "
            "for gvr: /v1, Resource=pods"
        )
        w.finish_deleted()
        await w.clock.advance(20)
        held = condition_of(w.get(NAMESPACES, "ns"), "NamespaceFinalizersRemaining")
        assert held and held["message"].endswith("finalizers remaining: example.com/hold in 1 resource instances")
        w.api.update(SECRETS, "ns", "held", lambda o: o["metadata"].update(finalizers=[]))
        await w.clock.advance(20)
        assert w.api.all(NAMESPACES) == []
