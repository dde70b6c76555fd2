from typing import Any

import orjson
import pytest

from controllers.lib.hashing import fnv32, safe_encode
from controllers.statefulset import CONTROLLER
from controllers.statefulset.identity import claim_owners
from kubeling.api.meta import Object, is_deleting, labels_of, name_of
from kubeling.api.resources import CONTROLLER_REVISIONS, PERSISTENT_VOLUME_CLAIMS, PODS, STATEFUL_SETS
from tests.unit.controllers.world import World


def spec_of(replicas: int = 3, **more: Any) -> Object:
    containers = [{"name": "c", "image": "one"}]
    return {
        "replicas": replicas,
        "serviceName": "db",
        "selector": {"matchLabels": {"app": "db"}},
        "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": containers}},
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        "podManagementPolicy": "OrderedReady",
        "revisionHistoryLimit": 10,
        **more,
    }


def names(w: World) -> list[str]:
    return sorted(name_of(p) for p in w.pods())


def images(w: World) -> dict[str, str]:
    return {name_of(p): p["spec"]["containers"][0]["image"] for p in w.pods()}


def set_image(w: World, image: str) -> None:
    w.api.update(
        STATEFUL_SETS, "ns", "db", lambda o: o["spec"]["template"]["spec"]["containers"][0].update(image=image)
    )


async def step(w: World) -> None:
    w.finish_deleted()
    await w.settle()
    w.make_ready(*(p for p in w.pods() if not p.get("status")))
    await w.settle()


async def run_up(w: World, rounds: int = 5, **spec: Any) -> None:
    w.create(STATEFUL_SETS, "db", spec_of(**spec))
    await w.settle()
    for _ in range(rounds):
        await step(w)


async def test_pods_come_one_by_one_and_go_in_reverse() -> None:
    async with World(CONTROLLER) as w:
        w.create(STATEFUL_SETS, "db", spec_of())
        await w.settle()
        assert names(w) == ["db-0"]
        await step(w)
        assert names(w) == ["db-0", "db-1"]
        for _ in range(3):
            await step(w)
        pod = w.get(PODS, "db-2")
        assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("db-2", "db")
        status = w.get(STATEFUL_SETS, "db")["status"]
        assert labels_of(pod)["controller-revision-hash"] == status["updateRevision"]
        assert labels_of(pod)["apps.kubernetes.io/pod-index"] == "2"
        assert status["currentRevision"] == status["updateRevision"]
        assert status["availableReplicas"] == status["currentReplicas"] == 3
        w.api.update(STATEFUL_SETS, "ns", "db", lambda o: o["spec"].update(replicas=1))
        await w.settle()
        assert [name_of(p) for p in w.pods() if is_deleting(p)] == ["db-2"]
        for _ in range(3):
            await step(w)
        assert names(w) == ["db-0"]
        assert ("SuccessfulCreate", "create Pod db-0 in StatefulSet db successful") in w.events()
        assert ("SuccessfulDelete", "delete Pod db-2 in StatefulSet db successful") in w.events()


async def test_a_revision_is_the_patch_that_upstream_writes() -> None:
    """The bytes decide its name: a controller manager of upstream's takes it for its own."""
    async with World(CONTROLLER) as w:
        w.create(STATEFUL_SETS, "db", spec_of(), annotations={"kubernetes.io/change-cause": "why"})
        await w.settle()
        (revision,) = w.api.all(CONTROLLER_REVISIONS)
        text = orjson.dumps(revision["data"])
        metadata, spec = '{"labels":{"app":"db"}}', '{"containers":[{"image":"one","name":"c"}]}'
        assert text.decode() == f'{{"spec":{{"template":{{"$patch":"replace","metadata":{metadata},"spec":{spec}}}}}}}'
        hashed = safe_encode(str(fnv32(text + b"0")))
        assert name_of(revision) == f"db-{hashed}"
        assert labels_of(revision) == {"app": "db", "controller.kubernetes.io/hash": hashed}
        assert revision["metadata"]["annotations"] == {"kubernetes.io/change-cause": "why"}


async def test_a_revision_of_an_older_release_is_still_the_same() -> None:
    """Before 1.34 Go wrote the empty creationTimestamp of the template's metadata."""
    async with World(CONTROLLER) as w:
        w.create(STATEFUL_SETS, "db", spec_of())
        await w.settle()
        name = name_of(w.api.all(CONTROLLER_REVISIONS)[0])
        await w.stop()
        metadata = {"creationTimestamp": None, "labels": {"app": "db"}}
        w.api.update(
            CONTROLLER_REVISIONS, "ns", name, lambda r: r["data"]["spec"]["template"].update(metadata=metadata)
        )
        before = w.api.version
        await w.start()
        assert w.api.version == before


async def test_parallel_and_start_ordinal() -> None:
    async with World(CONTROLLER) as w:
        w.create(STATEFUL_SETS, "db", spec_of(podManagementPolicy="Parallel", ordinals={"start": 5}))
        await w.settle()
        assert names(w) == ["db-5", "db-6", "db-7"]


async def test_rolling_update_from_the_top_one_at_a_time() -> None:
    async with World(CONTROLLER) as w:
        await run_up(w)
        start = len(w.api.history)
        set_image(w, "two")
        await w.settle()
        assert [name_of(p) for p in w.pods() if is_deleting(p)] == ["db-2"]
        for _ in range(8):
            await step(w)
        assert set(images(w).values()) == {"two"}
        status = w.get(STATEFUL_SETS, "db")["status"]
        assert status["currentRevision"] == status["updateRevision"]
        gone = [ident[3] for _, type_, ident, _ in w.api.history[start:] if type_ == "DELETED"]
        assert gone == ["db-2", "db-1", "db-0"]
        revisions = sorted(r["revision"] for r in w.api.all(CONTROLLER_REVISIONS))
        assert revisions == [1, 2]


async def test_partition_and_rollback_to_the_same_revision() -> None:
    async with World(CONTROLLER) as w:
        await run_up(w, updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 2}})
        set_image(w, "two")
        for _ in range(4):
            await step(w)
        assert images(w) == {"db-0": "one", "db-1": "one", "db-2": "two"}
        w.api.delete(PODS, "ns", "db-0")
        for _ in range(3):
            await step(w)
        assert images(w)["db-0"] == "one"
        set_image(w, "one")
        for _ in range(4):
            await step(w)
        assert set(images(w).values()) == {"one"}
        assert sorted(r["revision"] for r in w.api.all(CONTROLLER_REVISIONS)) == [2, 3]


async def test_on_delete() -> None:
    async with World(CONTROLLER) as w:
        await run_up(w, updateStrategy={"type": "OnDelete"})
        set_image(w, "two")
        await step(w)
        assert set(images(w).values()) == {"one"}
        w.api.delete(PODS, "ns", "db-1")
        for _ in range(3):
            await step(w)
        assert images(w)["db-1"] == "two"


async def test_max_unavailable_of_a_parallel_set() -> None:
    async with World(CONTROLLER) as w:
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": 2}}
        await run_up(w, replicas=5, podManagementPolicy="Parallel", updateStrategy=strategy)
        set_image(w, "two")
        await w.settle()
        assert sorted(name_of(p) for p in w.pods() if is_deleting(p)) == ["db-3", "db-4"]


async def test_claims_stay_unless_the_policy_says_otherwise() -> None:
    template = {"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": "1Gi"}}}}
    async with World(CONTROLLER) as w:
        policy = {"whenDeleted": "Retain", "whenScaled": "Delete"}
        more = {"volumeClaimTemplates": [template], "persistentVolumeClaimRetentionPolicy": policy}
        await run_up(w, replicas=2, **more)
        assert sorted(name_of(c) for c in w.api.all(PERSISTENT_VOLUME_CLAIMS)) == ["data-db-0", "data-db-1"]
        volume = w.get(PODS, "db-1")["spec"]["volumes"][0]
        assert volume == {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-1"}}
        w.api.update(STATEFUL_SETS, "ns", "db", lambda o: o["spec"].update(replicas=1))
        await w.settle()
        owners = w.get(PERSISTENT_VOLUME_CLAIMS, "data-db-1")["metadata"]["ownerReferences"]
        assert [o["kind"] for o in owners] == ["Pod"]
        assert not w.get(PERSISTENT_VOLUME_CLAIMS, "data-db-0")["metadata"].get("ownerReferences")


async def test_failed_pods_are_recreated_under_the_same_name() -> None:
    async with World(CONTROLLER) as w:
        await run_up(w, replicas=1)
        w.set_status(w.pods()[0], phase="Failed")
        await w.settle()
        assert is_deleting(w.pods()[0])
        assert w.events()[-1] == ("SuccessfulDelete", "delete Pod db-0 in StatefulSet db successful")
        await step(w)
        assert not is_deleting(w.pods()[0])


async def test_restarts_never_make_two_of_an_ordinal_and_nothing_is_written_when_idle() -> None:
    w = World(CONTROLLER)
    async with w:
        w.create(STATEFUL_SETS, "db", spec_of())
        for _ in range(10):
            await w.clock.advance(0.001)
            await w.stop()
            w.make_ready(*(p for p in w.pods() if not p.get("status")))
            await w.start()
        await step(w)
        assert names(w) == ["db-0", "db-1", "db-2"]
        writes = len(w.api.writes)
        await w.clock.advance(1000)
        assert len(w.api.writes) == writes


async def test_a_waiting_pod_gets_a_deleted_claim_again() -> None:
    template = {"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": "1Gi"}}}}
    async with World(CONTROLLER) as w:
        w.create(STATEFUL_SETS, "db", spec_of(replicas=1, volumeClaimTemplates=[template]))
        await w.settle()
        w.api.delete(PERSISTENT_VOLUME_CLAIMS, "ns", "data-db-0")
        w.set_status(w.get(PODS, "db-0"), phase="Pending")
        await w.settle()
        assert name_of(w.get(PERSISTENT_VOLUME_CLAIMS, "data-db-0")) == "data-db-0"


SET = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "uid": "s"}, "spec": {}}
POD = {"metadata": {"name": "db-1", "uid": "p"}}
THE_SET = {
    "apiVersion": "apps/v1",
    "kind": "StatefulSet",
    "name": "db",
    "uid": "s",
    "controller": True,
    "blockOwnerDeletion": True,
}
THE_POD = {**THE_SET, "apiVersion": "v1", "kind": "Pod", "name": "db-1", "uid": "p"}
OTHER = {**THE_SET, "kind": "Other", "name": "o", "uid": "o"}
LOOSE = {**OTHER, "controller": False}


@pytest.mark.parametrize(
    ("deleted", "scaled", "condemned", "before", "after"),
    [
        ("Retain", "Retain", True, [], []),
        ("Retain", "Retain", True, [THE_SET, LOOSE, THE_POD], [LOOSE]),
        ("Retain", "Retain", False, [OTHER], [OTHER]),
        ("Delete", "Retain", False, [LOOSE], [LOOSE, THE_SET]),
        ("Delete", "Retain", True, [], [THE_SET]),
        ("Delete", "Retain", False, [{**THE_SET, "controller": False}], [THE_SET]),
        ("Delete", "Retain", False, [THE_SET, LOOSE], [THE_SET, LOOSE]),
        ("Retain", "Delete", False, [], []),
        ("Retain", "Delete", True, [THE_SET], [THE_POD]),
        ("Delete", "Delete", False, [THE_POD], [THE_SET]),
        ("Delete", "Delete", True, [THE_SET], [THE_POD]),
        ("Delete", "Delete", True, [OTHER], [OTHER]),
        ("Delete", "Delete", True, [OTHER, THE_SET], [OTHER]),
        ("Delete", "Delete", True, [{**THE_POD, "uid": "earlier"}], [{**THE_POD, "uid": "earlier"}]),
        ("Delete", "Retain", False, [{**THE_SET, "uid": "earlier"}], [{**THE_SET, "uid": "earlier"}]),
    ],
)
def test_who_owns_a_claim(
    deleted: str, scaled: str, condemned: bool, before: list[Object], after: list[Object]
) -> None:
    policy = {"whenDeleted": deleted, "whenScaled": scaled}
    owner = {**SET, "spec": {"persistentVolumeClaimRetentionPolicy": policy}}
    assert claim_owners(owner, {"metadata": {"ownerReferences": before}}, POD, condemned=condemned) == after


async def test_a_claim_of_the_earlier_pod_goes_before_its_name_comes_again() -> None:
    template = {"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": "1Gi"}}}}
    async with World(CONTROLLER) as w:
        policy = {"whenDeleted": "Retain", "whenScaled": "Delete"}
        await run_up(w, replicas=2, volumeClaimTemplates=[template], persistentVolumeClaimRetentionPolicy=policy)
        w.api.update(STATEFUL_SETS, "ns", "db", lambda o: o["spec"].update(replicas=1))
        await w.settle()
        w.finish_deleted()
        w.api.update(STATEFUL_SETS, "ns", "db", lambda o: o["spec"].update(replicas=2))
        await w.settle()
        assert names(w) == ["db-0"]
        w.api.delete(PERSISTENT_VOLUME_CLAIMS, "ns", "data-db-1")  # the garbage collector's part
        await w.settle()
        assert names(w) == ["db-0", "db-1"]
        assert name_of(w.get(PERSISTENT_VOLUME_CLAIMS, "data-db-1")) == "data-db-1"


async def test_a_failed_pod_of_a_parallel_set_holds_nothing_up() -> None:
    async with World(CONTROLLER) as w:
        await run_up(w, podManagementPolicy="Parallel")
        w.set_status(w.get(PODS, "db-0"), phase="Failed")
        w.api.update(STATEFUL_SETS, "ns", "db", lambda o: o["spec"].update(replicas=2))
        await w.settle(0.01)
        assert [name_of(p) for p in w.pods() if is_deleting(p)] == ["db-0", "db-2"]


async def test_an_update_waits_for_the_highest_pod_that_is_not_available() -> None:
    async with World(CONTROLLER) as w:
        await run_up(w, podManagementPolicy="Parallel")
        w.set_status(w.get(PODS, "db-0"), phase="Running")
        set_image(w, "two")
        await w.settle()
        assert [name_of(p) for p in w.pods() if is_deleting(p)] == ["db-2"]
        w.finish_deleted()
        await w.settle()
        assert images(w) == {"db-0": "one", "db-1": "one", "db-2": "two"}
        assert not [p for p in w.pods() if is_deleting(p)]
        w.make_ready(w.get(PODS, "db-2"))
        await w.settle()
        assert [name_of(p) for p in w.pods() if is_deleting(p)] == ["db-1"]
