"""Carries out a DaemonSet's plan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from controllers.context import Context, ControllerSpec, Runnable
from controllers.daemonset.nodes import HASH_LABEL, node_of, placement, pod_for
from controllers.daemonset.plan import Plan, View, plan, status_of
from controllers.lib.batches import slow_start
from controllers.lib.collection import Collection
from controllers.lib.owners import CONTROLLER_UID, ORPHANS, carry_out, orphans_of, plan_claim
from controllers.lib.podcontrol import PodControl
from controllers.lib.pods import next_available_in
from controllers.lib.revisions import Revisions
from kubeling.api import selectors
from kubeling.api.meta import Key, Object, controller_of, is_deleting, key_of, labels_of, name_of, namespace_of, uid_of
from kubeling.api.resources import CONTROLLER_REVISIONS, DAEMON_SETS, NODES, PODS
from kubeling.client.backoff import KeyedBackoff
from kubeling.client.clock import Clock
from kubeling.client.controller import Result
from kubeling.client.events import EventRecorder
from kubeling.client.store import by_controller

COMPONENT = "daemonset-controller"
BURST = 250
FAILED_BASE_SECONDS, FAILED_MAX_SECONDS = 1.0, 900.0


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
        self._revisions = Revisions(revisions, sets, HASH_LABEL)
        self._control = control
        self._recorder = recorder
        self._clock = clock
        self._failed = KeyedBackoff(FAILED_BASE_SECONDS, FAILED_MAX_SECONDS)
        self._not_before: dict[tuple[str, str], float] = {}

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
        pods = await self._claimed(owner, self._pods)
        view = self._view(owner, pods, self._revisions.hash_of(history.update))
        decided = plan(view)
        wait = self._hold_back_failed(owner, decided)
        failure = await self._act(owner, decided, view.hashed)
        await self._report(view)
        live = {name_of(history.update)}
        live |= {name_of(r) for r in history.all if self._revisions.hash_of(r) in {_hash(p) for p in pods}}
        await self._revisions.truncate(history, live, int(owner["spec"].get("revisionHistoryLimit") or 0))
        if failure is not None:
            raise failure
        waits = [w for w in (wait, next_available_in(pods, view.min_ready, view.now)) if w is not None]
        return Result(max(min(waits), 0.01)) if waits else None

    def _view(self, owner: Object, pods: Iterable[Object], hashed: str) -> View:
        by_node: dict[str, list[Object]] = {}
        for pod in pods:
            by_node.setdefault(node_of(pod), []).append(pod)
        placements = {name_of(n): placement(owner, n) for n in sorted(self._nodes.store.list(), key=name_of)}
        return View(owner, placements, by_node, hashed, self._clock.now())

    async def _claimed(self, owner: Object, dependents: Collection) -> list[Object]:
        selector = selectors.from_label_selector(owner["spec"].get("selector"))
        candidates = dependents.store.by_index(CONTROLLER_UID, uid_of(owner))
        candidates += dependents.store.by_index(ORPHANS, namespace_of(owner))
        return await carry_out(plan_claim(owner, selector, candidates), owner, self._sets, dependents)

    def _hold_back_failed(self, owner: Object, decided: Plan) -> float | None:
        """Failed pods are replaced with growing delays a node; answers when to look again."""
        wait: float | None = None
        now = self._clock.monotonic()
        for node, pod in decided.failed:
            place = (uid_of(owner), node)
            due = self._not_before.get(place, 0.0)
            if now < due:
                decided.delete.remove(pod)
                wait = min(due - now, wait if wait is not None else due - now)
                continue
            self._not_before[place] = now + self._failed.next(place)
            succeeded = (pod.get("status") or {}).get("phase") == "Succeeded"
            what, reason = ("succeeded", "Succeeded") if succeeded else ("failed", "Failed")
            text = f"Found {what} daemon pod {namespace_of(pod)}/{name_of(pod)} on node {node}, will try to "
            text += "delete it" if succeeded else "kill it"
            self._recorder.event(owner, "Normal" if succeeded else "Warning", f"{reason}DaemonPod", text)
        return wait

    async def _act(self, owner: Object, decided: Plan, hashed: str) -> Exception | None:
        pods = [pod_for(owner, node, hashed) for node in decided.create[:BURST]]
        _, failure = await slow_start(pods, lambda pod: self._control.create(owner, pod))
        return await self._control.delete_all(owner, decided.delete[:BURST]) or failure

    async def _report(self, view: View) -> None:
        status = status_of(view)
        if status != view.owner.get("status"):
            await self._sets.update_status({**view.owner, "status": status})


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
