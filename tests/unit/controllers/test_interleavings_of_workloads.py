"""ReplicaSet, Deployment, StatefulSet and DaemonSet come to what they are asked for, however things are interleaved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from controllers import replicaset
from controllers.daemonset import CONTROLLER as DAEMON_SET
from controllers.daemonset.nodes import node_of
from controllers.deployment import CONTROLLER as DEPLOYMENT
from controllers.deployment.sizes import max_surge, max_unavailable
from controllers.lib.pods import is_finished, is_ready
from controllers.statefulset import CONTROLLER as STATEFUL_SET
from kubeling.api.meta import (
    Object,
    annotations_of,
    condition_of,
    controller_of,
    is_controlled_by,
    is_deleting,
    labels_of,
    name_of,
)
from kubeling.api.resource import Resource
from kubeling.api.resources import DAEMON_SETS, DEPLOYMENTS, NODES, PODS, REPLICA_SETS, STATEFUL_SETS
from tests.unit.controllers.interleaving import RULES, Step, Story, harm, living, pick, play, steps
from tests.unit.controllers.world import World

SIZE = 6
IMAGES = ("one", "two", "three")
REVISION = "deployment.kubernetes.io/revision"


def template(**spec: object) -> Object:
    return {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "one"}], **spec}}


def change(w: World, resource: Resource, **spec: object) -> None:
    w.api.update(resource, "ns", "x", lambda obj: obj["spec"].update(spec))


def set_image(w: World, resource: Resource, choice: int) -> None:
    image = IMAGES[choice % len(IMAGES)]
    w.api.update(resource, "ns", "x", lambda o: o["spec"]["template"]["spec"]["containers"][0].update(image=image))


def image_of(obj: Object) -> str:
    return str((obj["spec"].get("template") or obj)["spec"]["containers"][0]["image"])


class ReplicaSetStory(Story):
    controllers = (replicaset.CONTROLLER,)
    actions = ("scale", "fail", "delete", "ready", "release", "orphan")
    writes_a_step = 4 * SIZE

    def begin(self, w: World) -> None:
        selector = {"matchLabels": {"app": "x"}}
        w.create(REPLICA_SETS, "x", {"replicas": 3, "selector": selector, "template": template()})

    async def act(self, w: World, action: str, choice: int) -> None:
        if harm(w, action, choice):
            return
        if action == "scale":
            change(w, REPLICA_SETS, replicas=choice % SIZE)
        elif action == "orphan":
            w.create(PODS, f"free-{w.api.version}", template()["spec"], labels={"app": "x"})
        elif (pod := pick(living(w), choice)) is not None:
            w.api.update(PODS, "ns", name_of(pod), lambda p: p["metadata"].update(labels={"app": "other"}))

    def check(self, w: World) -> None:
        owner = w.get(REPLICA_SETS, "x")
        owned = [p for p in living(w) if is_controlled_by(p, owner)]
        assert len(owned) == owner["spec"]["replicas"]
        assert all(labels_of(p) == {"app": "x"} for p in owned)
        assert not [p for p in living(w) if labels_of(p) == {"app": "x"} and controller_of(p) is None]
        assert not [p for p in w.pods() if labels_of(p) != {"app": "x"} and is_controlled_by(p, owner)]
        status = owner["status"]
        counts = [status.get(f, 0) for f in ("replicas", "readyReplicas", "availableReplicas", "fullyLabeledReplicas")]
        assert counts == [len(owned)] * 4 and status["terminatingReplicas"] == 0


class DeploymentStory(Story):
    controllers = (DEPLOYMENT, replicaset.CONTROLLER)
    actions = ("scale", "image", "pause", "resume", "fail", "delete", "ready", "steal")
    writes_a_step = 12 * SIZE

    def begin(self, w: World) -> None:
        spec = {
            "replicas": 4,
            "selector": {"matchLabels": {"app": "x"}},
            "template": template(),
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            "progressDeadlineSeconds": 600,
            "revisionHistoryLimit": 1,
        }
        w.create(DEPLOYMENTS, "x", spec)

    async def act(self, w: World, action: str, choice: int) -> None:
        if harm(w, action, choice):
            return
        if action == "scale":
            change(w, DEPLOYMENTS, replicas=choice % SIZE)
        elif action == "image":
            set_image(w, DEPLOYMENTS, choice)
        elif action in ("pause", "resume"):
            change(w, DEPLOYMENTS, paused=action == "pause")
        elif (rs := pick(w.api.all(REPLICA_SETS, "ns"), choice)) is not None and not is_deleting(rs):
            w.api.delete(REPLICA_SETS, "ns", name_of(rs))

    def kubelets(self, w: World) -> None:
        """And the garbage collector's part."""
        sets = w.api.all(REPLICA_SETS, "ns")
        for pod in [p for p in living(w) if not any(is_controlled_by(p, rs) for rs in sets)]:
            w.api.delete(PODS, "ns", name_of(pod))
        super().kubelets(w)

    def end(self, w: World) -> None:
        change(w, DEPLOYMENTS, paused=False)

    def check(self, w: World) -> None:
        owner = w.get(DEPLOYMENTS, "x")
        wanted, sets = owner["spec"]["replicas"], w.api.all(REPLICA_SETS, "ns")
        current = [rs for rs in sets if image_of(rs) == image_of(owner)]
        assert len(current) == 1 and current[0]["spec"]["replicas"] == wanted
        old = [rs for rs in sets if rs is not current[0]]
        assert [rs["spec"]["replicas"] for rs in old] == [0] * len(old) and len(old) <= 1
        assert [image_of(p) for p in living(w)] == [image_of(owner)] * wanted
        revisions = [int(annotations_of(rs)[REVISION]) for rs in sets]
        assert len(set(revisions)) == len(revisions)
        assert annotations_of(owner)[REVISION] == annotations_of(current[0])[REVISION] == str(max(revisions))
        status = owner["status"]
        for field in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"):
            assert status.get(field, 0) == wanted, field
        assert "unavailableReplicas" not in status
        assert condition_of(owner, "Available")["status"] == "True"  # type: ignore[index]  # it is there
        progressing = condition_of(owner, "Progressing")
        assert progressing is not None and progressing["reason"] == "NewReplicaSetAvailable"


STRATEGIES: tuple[tuple[int | str, int | str], ...] = (("25%", "25%"), (1, 0), (0, 1), (0, 2), (3, "50%"), ("100%", 0))


class BoundedDeploymentStory(DeploymentStory):
    """Nothing happens but what a rollout does: it must never leave its bounds."""

    actions = ("image", "undo", "restart", "pause", "resume", "ready", "ready", "ready")

    def __init__(self, strategy: tuple[int | str, int | str]) -> None:
        self.strategy = strategy

    def begin(self, w: World) -> None:
        super().begin(w)
        surge, unavailable = self.strategy
        change(w, DEPLOYMENTS, strategy={"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}})

    async def act(self, w: World, action: str, choice: int) -> None:
        if action == "undo":
            if (rs := pick(w.api.all(REPLICA_SETS, "ns"), choice)) is not None:
                change(w, DEPLOYMENTS, template=without_hash(rs["spec"]["template"]))
        elif action == "restart":
            stamp = {"labels": {"app": "x"}, "annotations": {"restartedAt": str(choice)}}
            w.api.update(DEPLOYMENTS, "ns", "x", lambda d: d["spec"]["template"].update(metadata=stamp))
        else:
            await super().act(w, action, choice)

    def check(self, w: World) -> None:
        super().check(w)
        owner = w.get(DEPLOYMENTS, "x")
        wanted = owner["spec"]["replicas"]
        least, most = wanted - max_unavailable(owner), wanted + max_surge(owner)
        complete = False
        for pods in moments(w):
            active = [p for p in pods if not is_deleting(p)]
            available = sum(is_ready(p) for p in active)
            complete = complete or available == wanted
            assert len(active) <= most
            assert available >= least or not complete


class RecreateStory(BoundedDeploymentStory):
    """Pods of two templates never stand side by side, not even those on their way out."""

    actions = ("image", "undo", "restart", "pause", "resume", "ready", "fail", "delete")

    def __init__(self) -> None:
        super().__init__((0, 0))

    def begin(self, w: World) -> None:
        DeploymentStory.begin(self, w)
        change(w, DEPLOYMENTS, strategy={"type": "Recreate"})

    def check(self, w: World) -> None:
        DeploymentStory.check(self, w)
        for pods in moments(w):
            assert len({labels_of(p)["pod-template-hash"] for p in pods if not is_finished(p)}) <= 1


def without_hash(template: Object) -> Object:
    labels = {k: v for k, v in template["metadata"]["labels"].items() if k != "pod-template-hash"}
    return {**template, "metadata": {**template["metadata"], "labels": labels}}


def moments(w: World) -> Iterator[list[Object]]:
    """The pods after every change of one."""
    pods: dict[str, Object] = {}
    for _, type_, ident, obj in w.api.history:
        if ident[1] == "pods":
            pods[ident[3]] = obj
            if type_ == "DELETED":
                del pods[ident[3]]
            yield list(pods.values())


class StatefulSetStory(Story):
    controllers = (STATEFUL_SET,)
    actions = ("scale", "image", "fail", "delete", "ready", "start")
    writes_a_step = 6 * SIZE

    def begin(self, w: World) -> None:
        spec = {
            "replicas": 3,
            "serviceName": "x",
            "selector": {"matchLabels": {"app": "x"}},
            "template": template(),
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "podManagementPolicy": "OrderedReady",
            "revisionHistoryLimit": 2,
        }
        w.create(STATEFUL_SETS, "x", spec)

    async def act(self, w: World, action: str, choice: int) -> None:
        if harm(w, action, choice):
            return
        if action == "scale":
            change(w, STATEFUL_SETS, replicas=choice % SIZE)
        elif action == "start":
            change(w, STATEFUL_SETS, ordinals={"start": choice % 3})
        else:
            set_image(w, STATEFUL_SETS, choice)

    def check(self, w: World) -> None:
        owner = w.get(STATEFUL_SETS, "x")
        first, wanted = (owner["spec"].get("ordinals") or {}).get("start", 0), owner["spec"]["replicas"]
        found = {name_of(p): image_of(p) for p in w.pods()}
        assert found == {f"x-{ordinal}": image_of(owner) for ordinal in range(first, first + wanted)}
        status = owner["status"]
        assert status["currentRevision"] == status["updateRevision"]
        for field in ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"):
            assert status.get(field, 0) == wanted, field


class OrderlyStatefulSetStory(StatefulSetStory):
    """Nobody but the controller makes and deletes pods: it does so one by one, in order."""

    actions = ("scale", "image", "ready", "ready")

    def check(self, w: World) -> None:
        super().check(w)
        before: dict[str, Object] = {}
        for pods in moments(w):
            assert sum(is_deleting(p) for p in pods) <= 1
            now = {name_of(p): p for p in pods}
            for name in now.keys() - before.keys():
                lower = [before.get(f"x-{ordinal}") for ordinal in range(int(name.removeprefix("x-")))]
                assert all(p is not None and is_ready(p) and not is_deleting(p) for p in lower)
            before = now


class ParallelStatefulSetStory(StatefulSetStory):
    def begin(self, w: World) -> None:
        super().begin(w)
        change(w, STATEFUL_SETS, podManagementPolicy="Parallel")


class DaemonSetStory(Story):
    controllers = (DAEMON_SET,)
    actions = ("add", "remove", "taint", "untaint", "image", "fail", "delete", "ready")
    writes_a_step = 4 * SIZE
    update: Object = {"maxUnavailable": 1, "maxSurge": 0}  # constant

    def begin(self, w: World) -> None:
        for number in range(3):
            w.create(NODES, f"n{number}", {"taints": []}, namespace="")
        spec = {
            "selector": {"matchLabels": {"app": "x"}},
            "template": template(),
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": self.update},
            "revisionHistoryLimit": 2,
        }
        w.create(DAEMON_SETS, "x", spec)

    async def act(self, w: World, action: str, choice: int) -> None:
        if harm(w, action, choice):
            return
        name = f"n{choice % SIZE}"
        there = name in [name_of(n) for n in w.api.all(NODES)]
        taint = {"key": "k", "effect": "NoExecute" if choice % 2 else "NoSchedule"}
        if action == "image":
            set_image(w, DAEMON_SETS, choice)
        elif action == "add" and not there:
            w.create(NODES, name, {"taints": []}, namespace="")
        elif action == "remove" and there:
            w.api.delete(NODES, "", name)
        elif action in ("taint", "untaint") and there:
            w.api.update(NODES, "", name, lambda n: n["spec"].update(taints=[taint] if action == "taint" else []))

    def end(self, w: World) -> None:
        for node in w.api.all(NODES):
            w.api.update(NODES, "", name_of(node), lambda n: n["spec"].update(taints=[]))

    def check(self, w: World) -> None:
        owner, names = w.get(DAEMON_SETS, "x"), sorted(name_of(n) for n in w.api.all(NODES))
        assert sorted(node_of(p) for p in w.pods()) == names
        assert {image_of(p) for p in w.pods()} <= {image_of(owner)}
        status = owner["status"]
        fields = (
            "desiredNumberScheduled",
            "currentNumberScheduled",
            "numberReady",
            "updatedNumberScheduled",
            "numberAvailable",
        )
        assert [status.get(f, 0) for f in fields] == [len(names)] * 5
        assert status["numberMisscheduled"] == status.get("numberUnavailable", 0) == 0
        for pods in moments(w):
            assert max(Counter(node_of(p) for p in pods if self.counts(p)).values(), default=0) <= self.most

    most = 1

    def counts(self, pod: Object) -> bool:
        """Whether the pod takes the only place of its node: until it has ended."""
        return not is_finished(pod)


class SurgingDaemonSetStory(DaemonSetStory):
    update: Object = {"maxUnavailable": 0, "maxSurge": 1}  # constant
    most = 2

    def counts(self, pod: Object) -> bool:
        return not is_finished(pod) and not is_deleting(pod)


@RULES
@given(steps(ReplicaSetStory()))
def test_replica_set(drawn: list[Step]) -> None:
    play(ReplicaSetStory(), drawn)


@RULES
@given(steps(DeploymentStory()))
def test_deployment(drawn: list[Step]) -> None:
    play(DeploymentStory(), drawn)


@RULES
@given(st.sampled_from(STRATEGIES), steps(BoundedDeploymentStory(STRATEGIES[0])))
def test_deployment_within_its_bounds(strategy: tuple[int | str, int | str], drawn: list[Step]) -> None:
    play(BoundedDeploymentStory(strategy), drawn)


@RULES
@given(steps(RecreateStory()))
def test_deployment_that_recreates(drawn: list[Step]) -> None:
    play(RecreateStory(), drawn)


@RULES
@given(steps(OrderlyStatefulSetStory()))
def test_stateful_set_in_order(drawn: list[Step]) -> None:
    play(OrderlyStatefulSetStory(), drawn)


@RULES
@given(steps(StatefulSetStory()))
def test_stateful_set(drawn: list[Step]) -> None:
    play(StatefulSetStory(), drawn)


@RULES
@given(steps(ParallelStatefulSetStory()))
def test_parallel_stateful_set(drawn: list[Step]) -> None:
    play(ParallelStatefulSetStory(), drawn)


@RULES
@given(steps(DaemonSetStory()))
def test_daemon_set(drawn: list[Step]) -> None:
    play(DaemonSetStory(), drawn)


@RULES
@given(steps(SurgingDaemonSetStory()))
def test_surging_daemon_set(drawn: list[Step]) -> None:
    play(SurgingDaemonSetStory(), drawn)
