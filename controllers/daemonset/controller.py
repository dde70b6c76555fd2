"""Carries out a DaemonSet's plan."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from controllers.context import Context, ControllerSpec, Runnable
from controllers.daemonset.nodes import HASH_LABEL, node_of, placement, pod_for
from controllers.daemonset.plan import Plan, View, manage, roll, status_of
from controllers.lib.collection import Collection
from controllers.lib.hashing import pod_template_hash
from controllers.lib.owners import CONTROLLER_UID, ORPHANS, carry_out, orphans_of, plan_claim
from controllers.lib.podcontrol import PodControl
from controllers.lib.pods import is_finished, next_available_in, phase_of
from controllers.lib.revisions import History, Revisions
from kubeling.api import selectors
from kubeling.api.meta import Key, Object, controller_of, is_deleting, key_of, labels_of, name_of, namespace_of, uid_of
from kubeling.api.resources import CONTROLLER_REVISIONS, DAEMON_SETS, NODES, PODS
from kubeling.client.clock import Clock
from kubeling.client.controller import Result
from kubeling.client.events import EventRecorder
from kubeling.client.store import by_controller

COMPONENT = "daemonset-controller"
BURST = 250
FAILED_BASE_SECONDS, FAILED_MAX_SECONDS = 1.0, 900.0


class Failures:
    """How long the next failed pod of a place (set and node) is left alone: twice as long each time, until all is well."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[float, float]] = {}  # the last delay and when it began, oldest first

    def wait(self, place: Hashable, now: float) -> float:
        """Seconds that are left of the delay; 0 when there are none, and then the next, longer one begins."""
        self._forget(now)
        delay, since = self._known.get(place, (0.0, now))
        if since + delay > now:
            return since + delay - now
        self._known.pop(place, None)
        self._known[place] = (min(delay * 2, FAILED_MAX_SECONDS) or FAILED_BASE_SECONDS, now)
        return 0.0

    def _forget(self, now: float) -> None:
        while (
            self._known and (first := next(iter(self._known))) and self._known[first][1] < now - 2 * FAILED_MAX_SECONDS
        ):
            del self._known[first]


class DaemonSetReconciler:
    """Keeps one pod a fitting node."""

    def __init__(
        self, sets: Collection, pods: Collection, nodes: Collection, revisions: Collection,
        control: PodControl, recorder: EventRecorder, clock: Clock,
    ) -> None:  # fmt: skip
        self._sets = sets
        self._pods = pods
        self._nodes = nodes
        self._revision_objects = revisions
        self._revisions = Revisions(revisions, sets, HASH_LABEL, _name_hash)
        self._control = control
        self._recorder = recorder
        self._clock = clock
        self._failed = Failures()

    async def reconcile(self, key: Key) -> Result | None:
        owner = self._sets.get(key)
        if owner is None:
            return None
        if selectors.from_label_selector(owner["spec"].get("selector")).empty:
            text = "This daemon set is selecting all pods. A non-empty selector is required."
            self._recorder.event(owner, "Warning", "SelectingAll", text)
            return None
        if is_deleting(owner):
            return None
        history = await self._revisions.history(owner, await self._claimed(owner, self._revision_objects))
        hashed = self._revisions.hash_of(history.update)
        pods = await self._unify(await self._claimed(owner, self._pods), history, hashed)
        view = self._view(owner, pods, hashed)
        decided = manage(view)
        wait = self._hold_back_failed(owner, decided)
        failure = await self._act(owner, roll(view) if decided.empty else decided, hashed)
        await self._report(view)
        if failure is not None:
            raise failure
        await self._forget_old(owner, history, pods)
        waits = [w for w in (wait, next_available_in(pods, view.min_ready, view.now)) if w is not None]
        return Result(max(min(waits), 0.01)) if waits else None

    async def _unify(self, pods: list[Object], history: History, hashed: str) -> list[Object]:
        """Of several revisions of the wanted template the newest stays, and takes over the pods of the others."""
        others = {self._revisions.hash_of(r) for r in history.same}
        unified = []
        for pod in pods:
            patch = {"metadata": {"uid": uid_of(pod), "labels": {HASH_LABEL: hashed}}}
            unified.append(await self._pods.patch(pod, patch) if _hash(pod) in others else pod)
        await self._revisions.delete(history.same)
        return unified

    async def _forget_old(self, owner: Object, history: History, pods: Iterable[Object]) -> None:
        """Deletes revisions beyond the limit, oldest first, without those that pods still have."""
        live = {_hash(pod) for pod in pods}
        old = [r for r in history.all if r is not history.update and r not in history.same]
        surplus = len(old) - int(owner["spec"].get("revisionHistoryLimit") or 0)
        dead = [r for r in old if self._revisions.hash_of(r) not in live]
        await self._revisions.delete(dead[: max(0, surplus)])

    def _view(self, owner: Object, pods: Iterable[Object], hashed: str) -> View:
        by_node: dict[str, list[Object]] = {}
        for pod in pods:
            if (node := node_of(pod)) and not (is_finished(pod) and is_deleting(pod)):
                by_node.setdefault(node, []).append(pod)
        placements = {name_of(n): placement(owner, n) for n in sorted(self._nodes.store.list(), key=name_of)}
        return View(owner, placements, by_node, hashed, self._clock.now())

    async def _claimed(self, owner: Object, dependents: Collection) -> list[Object]:
        selector = selectors.from_label_selector(owner["spec"].get("selector"))
        candidates = dependents.store.by_index(CONTROLLER_UID, uid_of(owner))
        candidates += dependents.store.by_index(ORPHANS, namespace_of(owner))
        return await carry_out(plan_claim(owner, selector, candidates), owner, self._sets, dependents)

    def _hold_back_failed(self, owner: Object, decided: Plan) -> float | None:
        """Pods that have ended are deleted, failed ones with growing delays a node; answers when to look again."""
        waits: list[float] = []
        ended, decided.ended = decided.ended, []
        for node, pod in ended:
            where = f"daemon pod {namespace_of(pod)}/{name_of(pod)} on node {node}, will try to"
            if phase_of(pod) == "Succeeded":
                self._recorder.event(owner, "Normal", "SucceededDaemonPod", f"Found succeeded {where} delete it")
            elif (wait := self._failed.wait((uid_of(owner), node), self._clock.monotonic())) > 0:
                waits.append(wait)
                continue
            else:
                self._recorder.event(owner, "Warning", "FailedDaemonPod", f"Found failed {where} kill it")
            decided.delete.append(pod)
        return min(waits, default=None)

    async def _act(self, owner: Object, decided: Plan, hashed: str) -> Exception | None:
        pods = [pod_for(owner, node, hashed) for node in decided.create[:BURST]]
        failure = await self._control.create_all(owner, pods)
        return await self._control.delete_all(owner, decided.delete[:BURST]) or failure

    async def _report(self, view: View) -> None:
        status = status_of(view)
        if status != view.owner.get("status"):
            await self._sets.update_status({**view.owner, "status": status})


def _name_hash(owner: Object, _: Object) -> str:
    return pod_template_hash(owner["spec"]["template"], (owner.get("status") or {}).get("collisionCount"))


def _hash(pod: Object) -> str:
    return labels_of(pod).get(HASH_LABEL, "")


class _Events:
    """From nodes and pods to the sets that they concern."""

    def __init__(self, sets: Collection) -> None:
        self._sets = sets

    def of_node(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """A node that came or went concerns all; one that changed those for which that makes a difference."""
        if old is not None and new is not None and _shape(old) == _shape(new):
            return
        for owner in self._sets.store.list():
            if old is None or new is None or placement(owner, old) != placement(owner, new):
                yield key_of(owner)

    def of_pod(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        found: list[Key] = []
        for pod in (old, new):
            reference = controller_of(pod) if pod is not None else None
            if pod is not None and reference is not None and reference.get("kind") == "DaemonSet":
                found.append(Key(namespace_of(pod), reference["name"]))
        yield from dict.fromkeys(found)
        if new is not None and controller_of(new) is None and labels_of(new):
            for owner in self._sets.store.list(namespace_of(new)):
                if selectors.from_label_selector(owner["spec"].get("selector")).matches(labels_of(new)):
                    yield key_of(owner)


def _shape(node: Object) -> object:
    return labels_of(node), (node.get("spec") or {}).get("taints")


def build(context: Context) -> Sequence[Runnable]:
    index = {CONTROLLER_UID: by_controller, ORPHANS: orphans_of}
    sets, nodes = context.collection(DAEMON_SETS), context.collection(NODES)
    pods = context.collection(PODS, indexers=index)
    revisions = context.collection(CONTROLLER_REVISIONS, indexers=index)
    recorder = context.recorder(COMPONENT)
    control = PodControl(pods, recorder)
    reconciler = DaemonSetReconciler(sets, pods, nodes, revisions, control, recorder, context.clock)
    events = _Events(sets)
    controller = context.controller("daemonset", reconciler)
    controller.watch(sets.informer)
    controller.watch(pods.informer, events.of_pod)
    controller.watch(nodes.informer, events.of_node)
    controller.watch(revisions.informer, lambda old, new: ())
    return [controller]


CONTROLLER = ControllerSpec(
    COMPONENT, build, alias="daemonset", account="daemon-set-controller", syncs="concurrent_daemonset_syncs"
)
