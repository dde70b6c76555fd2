from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from controllers import replicaset
from controllers.deployment import CONTROLLER
from controllers.deployment.plan import plan
from kubeling.api.errors import StatusError, failure
from kubeling.api.meta import Object, annotations_of, condition_of, is_deleting, labels_of, name_of
from kubeling.api.resources import DEPLOYMENTS, PODS, REPLICA_SETS
from tests.unit.controllers.world import World

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def spec_of(replicas: int = 3, image: str = "one", **more: Any) -> Object:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
    return {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": image}]}},
        "strategy": rolling,
        "progressDeadlineSeconds": 600,
        "revisionHistoryLimit": 10,
        **more,
    }


def world() -> World:
    return World(CONTROLLER, replicaset.CONTROLLER)


def change(w: World, what: Callable[[Object], None]) -> None:
    w.api.update(DEPLOYMENTS, "ns", "web", lambda d: what(d["spec"]))


def set_image(image: str) -> Callable[[Object], None]:
    def what(spec: Object) -> None:
        spec["template"]["spec"]["containers"][0]["image"] = image

    return what


def sizes(w: World) -> dict[str, int]:
    """Wanted size by image."""
    return {
        rs["spec"]["template"]["spec"]["containers"][0]["image"]: rs["spec"]["replicas"]
        for rs in w.api.all(REPLICA_SETS)
    }


async def run_up(w: World, **spec: Any) -> None:
    w.create(DEPLOYMENTS, "web", spec_of(**spec))
    await w.settle()
    w.make_ready()
    await w.settle()


async def roll_on(w: World, rounds: int = 60) -> None:
    """Pods become ready and go away until nothing changes."""
    for _ in range(rounds):
        before = w.api.version
        w.finish_deleted()
        w.make_ready(*(p for p in w.pods() if not p.get("status")))
        await w.settle()
        if w.api.version == before:
            return


async def test_a_new_deployment_gets_its_replica_set_and_pods() -> None:
    async with world() as w:
        await run_up(w)
        (rs,) = w.api.all(REPLICA_SETS)
        hashed = labels_of(rs)["pod-template-hash"]
        assert name_of(rs) == f"web-{hashed}"
        assert annotations_of(rs) == {
            "deployment.kubernetes.io/desired-replicas": "3",
            "deployment.kubernetes.io/max-replicas": "4",
            "deployment.kubernetes.io/revision": "1",
        }
        assert rs["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": hashed}
        assert len(w.pods()) == 3
        assert all(name_of(p).startswith(f"web-{hashed}-") for p in w.pods())
        d = w.get(DEPLOYMENTS, "web")
        assert annotations_of(d)["deployment.kubernetes.io/revision"] == "1"
        assert d["status"]["readyReplicas"] == d["status"]["updatedReplicas"] == 3
        assert "unavailableReplicas" not in d["status"]
        progressing, available = condition_of(d, "Progressing"), condition_of(d, "Available")
        assert progressing and progressing["reason"] == "NewReplicaSetAvailable"
        assert progressing["message"] == f'ReplicaSet "{name_of(rs)}" has successfully progressed.'
        assert available and available["message"] == "Deployment has minimum availability."
        assert ("ScalingReplicaSet", f"Scaled up replica set {name_of(rs)} from 0 to 3") in w.events()


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable"),
    [(3, "25%", "25%"), (10, "25%", "25%"), (4, 1, 0), (4, 0, 1), (5, "100%", 0), (2, 0, "10%"), (1, "25%", "25%")],
)
async def test_a_rolling_update_never_leaves_its_bounds(replicas: int, surge: Any, unavailable: Any) -> None:
    async with world() as w:
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
        await run_up(w, replicas=replicas, strategy=strategy)
        start = len(w.api.history)
        change(w, set_image("two"))
        await roll_on(w)
        assert sizes(w) == {"one": 0, "two": replicas}
        assert len(w.pods()) == replicas
        d = w.get(DEPLOYMENTS, "web")
        assert annotations_of(d)["deployment.kubernetes.io/revision"] == "2"
        check_bounds(w, start, d)


def check_bounds(w: World, start: int, deployment: Object) -> None:
    """Replays the recorded history of pods and counts at every version."""
    from controllers.deployment.sizes import max_surge, max_unavailable
    from controllers.lib.pods import is_ready

    total = deployment["spec"]["replicas"]
    most, least = total + max_surge(deployment), total - max_unavailable(deployment)
    pods: dict[str, Object] = {}
    for i, (_, type_, ident, obj) in enumerate(w.api.history):
        if ident[1] != "pods":
            continue
        pods[ident[3]] = obj
        if type_ == "DELETED":
            del pods[ident[3]]
        if i < start:
            continue
        living = [p for p in pods.values() if not is_deleting(p)]
        assert len(living) <= most
        assert sum(is_ready(p) for p in living) >= least


async def test_an_update_back_takes_the_old_replica_set_again() -> None:
    async with world() as w:
        await run_up(w)
        change(w, set_image("two"))
        await roll_on(w)
        change(w, set_image("one"))
        await roll_on(w)
        assert sizes(w) == {"one": 3, "two": 0}
        rs = next(r for r in w.api.all(REPLICA_SETS) if r["spec"]["replicas"])
        assert annotations_of(rs)["deployment.kubernetes.io/revision"] == "3"
        assert annotations_of(rs)["deployment.kubernetes.io/revision-history"] == "1"


async def test_recreate_starts_only_when_all_old_pods_are_gone() -> None:
    async with world() as w:
        await run_up(w, strategy={"type": "Recreate"})
        change(w, set_image("two"))
        await w.settle()
        assert sizes(w) == {"one": 0}
        assert all(is_deleting(p) for p in w.pods())
        w.finish_deleted()
        await w.settle()
        assert sizes(w) == {"one": 0, "two": 3}


async def test_a_paused_deployment_scales_but_does_not_roll() -> None:
    async with world() as w:
        await run_up(w)

        def pause(spec: Object) -> None:
            spec.update(paused=True, replicas=5)
            set_image("two")(spec)

        change(w, pause)
        await w.settle()
        assert sizes(w) == {"one": 5}
        progressing = condition_of(w.get(DEPLOYMENTS, "web"), "Progressing")
        assert progressing and (progressing["status"], progressing["reason"]) == ("Unknown", "DeploymentPaused")
        change(w, lambda spec: spec.update(paused=False))
        await roll_on(w)
        assert sizes(w) == {"one": 0, "two": 5}


async def test_scaling_in_the_middle_of_a_rollout_is_proportional() -> None:
    async with world() as w:
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}
        await run_up(w, replicas=10, strategy=strategy)
        change(w, set_image("bad"))
        await w.settle()
        assert sizes(w) == {"one": 8, "bad": 5}
        change(w, lambda spec: spec.update(replicas=15))
        await w.settle()
        assert sizes(w) == {"one": 11, "bad": 7}  # the example of the Deployment documentation


async def test_a_rollout_that_does_not_move_runs_out_of_time() -> None:
    async with world() as w:
        await run_up(w, progressDeadlineSeconds=10)
        change(w, set_image("bad"))
        await w.settle()
        for _ in range(12):
            await w.clock.advance(1)
        await w.settle()
        progressing = condition_of(w.get(DEPLOYMENTS, "web"), "Progressing")
        assert progressing and progressing["reason"] == "ProgressDeadlineExceeded"
        assert progressing["status"] == "False"
        assert progressing["message"].endswith("has timed out progressing.")


async def test_history_is_kept_up_to_its_limit() -> None:
    async with world() as w:
        await run_up(w, revisionHistoryLimit=2)
        for image in ("two", "three", "four", "five"):
            change(w, set_image(image))
            await roll_on(w)
        assert sorted(sizes(w)) == ["five", "four", "three"]


async def test_a_taken_name_brings_another_hash() -> None:
    async with world() as w:
        await run_up(w)
        taken = name_of(w.api.all(REPLICA_SETS)[0])
        w.api.delete(DEPLOYMENTS, "ns", "web")
        other = {"metadata": {"name": "x"}, "spec": {}}
        w.api.update(REPLICA_SETS, "ns", taken, lambda rs: rs["metadata"].update(ownerReferences=[], labels={}))
        w.api.update(REPLICA_SETS, "ns", taken, lambda rs: rs["spec"].update(template=other))
        await w.settle()
        w.create(DEPLOYMENTS, "web", spec_of())
        await w.settle()
        d = w.get(DEPLOYMENTS, "web")
        assert d["status"]["collisionCount"] == 1
        mine = [rs for rs in w.api.all(REPLICA_SETS) if rs["metadata"].get("ownerReferences")]
        assert len(mine) == 1 and name_of(mine[0]) != taken


async def test_annotations_follow_into_the_replica_set() -> None:
    async with world() as w:
        w.create(DEPLOYMENTS, "web", spec_of(), annotations={"kubernetes.io/change-cause": "first"})
        await w.settle()
        (rs,) = w.api.all(REPLICA_SETS)
        assert annotations_of(rs)["kubernetes.io/change-cause"] == "first"


async def test_nothing_is_written_when_nothing_changes() -> None:
    async with world() as w:
        await run_up(w)
        writes = len(w.api.writes)
        await w.clock.advance(3600)
        assert len(w.api.writes) == writes


async def test_a_restart_in_the_middle_of_everything_converges() -> None:
    w = world()
    async with w:
        await run_up(w, replicas=6)
        change(w, set_image("two"))
        for _ in range(12):
            await w.clock.advance(0.001)
            await w.stop()
            w.finish_deleted()
            w.make_ready(*(p for p in w.pods() if not p.get("status")))
            await w.start()
        await roll_on(w)
        assert sizes(w) == {"one": 0, "two": 6}
        assert len([p for p in w.api.all(PODS)]) == 6


def rs_of(image: str, uid: str, wanted: int, available: int) -> Object:
    template = spec_of(image=image)["template"]
    metadata = {"name": uid, "uid": uid, "generation": 1, "annotations": {"deployment.kubernetes.io/revision": "1"}}
    metadata["annotations"]["deployment.kubernetes.io/desired-replicas"] = "20"  # type: ignore[index]
    status = {"replicas": available, "availableReplicas": available, "observedGeneration": 1}
    return {"metadata": metadata, "spec": {"replicas": wanted, "template": template}, "status": status}


def test_a_status_that_still_counts_pods_about_to_go_frees_no_others() -> None:
    deployment = {"metadata": {"name": "web", "namespace": "ns", "generation": 1}, "spec": spec_of(20, "two")}
    old, new = rs_of("one", "old", 15, 20), rs_of("two", "new", 10, 1)
    decided = plan(deployment, [old, new], {}, NOW)
    sizes = {name_of(after): after["spec"]["replicas"] for _, after in decided.updates}
    assert sizes.get("old") == 14  # 14 old ones and the new one make 15


def test_pods_that_are_yet_to_be_deleted_still_take_their_place() -> None:
    deployment = {"metadata": {"name": "web", "namespace": "ns", "generation": 1}, "spec": spec_of(20, "two")}
    decided = plan(deployment, [rs_of("one", "old", 15, 20), rs_of("two", "new", 5, 0)], {}, NOW)
    assert [after["spec"]["replicas"] for _, after in decided.updates if name_of(after) == "new"] == [5]


def test_a_replica_set_that_has_yet_to_learn_its_size_leaves_no_room() -> None:
    old, new = rs_of("one", "old", 15, 0), rs_of("two", "new", 5, 0)
    old["metadata"]["generation"] = 2  # it may be making 20 pods at this very moment
    deployment = {**deployment_with({}, image="two"), "apiVersion": "apps/v1", "kind": "Deployment"}
    updates = plan(deployment, [old, new], {}, NOW).updates
    assert [after["spec"]["replicas"] for _, after in updates if name_of(after) == "new"] == [5]
    created = plan(deployment, [old], {}, NOW).create
    assert created is not None and created["spec"]["replicas"] == 0


def test_recreate_waits_for_a_replica_set_that_has_yet_to_learn_its_size() -> None:
    old = rs_of("one", "old", 0, 0)
    deployment = {**deployment_with({}, image="two"), "apiVersion": "apps/v1", "kind": "Deployment"}
    deployment["spec"]["strategy"] = {"type": "Recreate"}
    assert plan(deployment, [old], {}, NOW).create is not None
    old["metadata"]["generation"] = 2
    assert plan(deployment, [old], {}, NOW).create is None


async def test_a_long_name_is_kept_whole_in_the_replica_set() -> None:
    async with world() as w:
        name = "a" * 70
        w.create(DEPLOYMENTS, name, spec_of())
        await w.settle()
        (rs,) = w.api.all(REPLICA_SETS)
        assert name_of(rs) == f"{name}-{labels_of(rs)['pod-template-hash']}"


def refusing(reason: str = "") -> Callable[[httpx.Request], StatusError | None]:
    """Creation of ReplicaSets fails."""
    causes = [{"reason": reason}] if reason else []

    def fail(request: httpx.Request) -> StatusError | None:
        if request.method != "POST" or not request.url.path.endswith("/replicasets"):
            return None
        return failure(403, "Forbidden", "no more replicasets", {"causes": causes})

    return fail


async def test_a_replica_set_that_cannot_be_created_is_told_and_claims_no_revision() -> None:
    async with world() as w:
        w.api.fail = refusing()
        w.create(DEPLOYMENTS, "web", spec_of())
        await w.settle()
        d = w.get(DEPLOYMENTS, "web")
        assert not annotations_of(d)
        progressing = condition_of(d, "Progressing")
        assert progressing and (progressing["status"], progressing["reason"]) == ("False", "ReplicaSetCreateError")
        assert progressing["message"].startswith('Failed to create new replica set "web-')
        assert ("ReplicaSetCreateError", progressing["message"]) in w.events()


async def test_nothing_is_claimed_in_a_namespace_that_goes_away() -> None:
    async with world() as w:
        w.api.fail = refusing("NamespaceTerminating")
        w.create(DEPLOYMENTS, "web", spec_of())
        await w.settle()
        d = w.get(DEPLOYMENTS, "web")
        assert not annotations_of(d) and not d.get("status") and not w.events()


def deployment_with(status: Object, **spec: Any) -> Object:
    metadata = {"name": "web", "namespace": "ns", "generation": 1}
    return {"metadata": metadata, "spec": spec_of(20, **spec), "status": status}


def progressing_since_long(reason: str) -> Object:
    times = dict.fromkeys(("lastUpdateTime", "lastTransitionTime"), "2025-01-01T00:00:00Z")
    return {"type": "Progressing", "status": "True", "reason": reason, "message": "", **times}


@pytest.mark.parametrize("paused", [True, False])
def test_what_cannot_run_out_of_time_is_not_looked_at_again(paused: bool) -> None:
    deployment = deployment_with({"conditions": [progressing_since_long("NewReplicaSetAvailable")]}, paused=paused)
    assert plan(deployment, [rs_of("one", "new", 20, 19)], {}, NOW).requeue_after is None


def test_terminating_pods_are_counted_where_every_replica_set_tells_them() -> None:
    new, old = rs_of("one", "new", 20, 20), rs_of("two", "old", 0, 0)
    new["status"]["terminatingReplicas"], old["status"]["terminatingReplicas"] = 2, 1
    counted = plan(deployment_with({}), [new, old], {}, NOW).deployment["status"]
    assert counted["terminatingReplicas"] == 3
    del old["status"]["terminatingReplicas"]
    unknown = plan(deployment_with({}), [new, old], {}, NOW).deployment["status"]
    assert "terminatingReplicas" not in unknown
    del old["status"]["observedGeneration"]  # nobody has looked at it yet
    assert plan(deployment_with({}), [new, old], {}, NOW).deployment["status"]["terminatingReplicas"] == 2


def test_a_failure_with_another_reason_keeps_the_time_since_when_there_is_one() -> None:
    new = rs_of("one", "new", 20, 20)
    failing = {"type": "ReplicaFailure", "status": "True", "reason": "FailedDelete", "message": "m"}
    new["status"]["conditions"] = [{**failing, "lastTransitionTime": "2026-01-01T00:00:05Z"}]
    before = {**failing, "reason": "FailedCreate", "lastTransitionTime": "2026-01-01T00:00:01Z"}
    told = condition_of(plan(deployment_with({"conditions": [before]}), [new], {}, NOW).deployment, "ReplicaFailure")
    assert told is not None and told["reason"] == "FailedDelete"
    assert (told["lastTransitionTime"], told["lastUpdateTime"]) == ("2026-01-01T00:00:01Z", "2026-01-01T00:00:05Z")


def test_scaling_tells_nothing_of_progress_or_failures() -> None:
    new = rs_of("one", "new", 10, 10)
    new["metadata"]["annotations"]["deployment.kubernetes.io/desired-replicas"] = "10"
    failing = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "m"}
    new["status"]["conditions"] = [{**failing, "lastTransitionTime": "2026-01-01T00:00:05Z"}]
    decided = plan(deployment_with({}), [new], {}, NOW)
    assert [after["spec"]["replicas"] for _, after in decided.updates] == [20]
    assert condition_of(decided.deployment, "ReplicaFailure") is None
