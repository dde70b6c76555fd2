"""Carries out a StatefulSet's plan."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.batches import slow_start
from controllers.lib.collection import Collection
from controllers.lib.hashing import revision_hash
from controllers.lib.owners import CONTROLLER_UID, ORPHANS, carry_out, orphans_of, plan_claim
from controllers.lib.podcontrol import is_namespace_terminating
from controllers.lib.pods import next_available_in
from controllers.lib.revisions import History, Revisions, with_template_of
from controllers.statefulset import identity
from controllers.statefulset.plan import Plan, Revision, plan
from kubeling.api import selectors
from kubeling.api.errors import StatusError
from kubeling.api.meta import (
    Key,
    Object,
    controller_of,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)
from kubeling.api.resources import CONTROLLER_REVISIONS, PERSISTENT_VOLUME_CLAIMS, PODS, STATEFUL_SETS
from kubeling.client.clock import Clock
from kubeling.client.controller import Result
from kubeling.client.events import EventRecorder
from kubeling.client.store import by_controller

COMPONENT = "statefulset-controller"
HASH_LABEL = "controller.kubernetes.io/hash"


def _name_hash(owner: Object, data: Object) -> str:
    return revision_hash(data, int((owner.get("status") or {}).get("collisionCount") or 0))


class StatefulSetReconciler:
    """One step of each set at a time."""

    def __init__(
        self, sets: Collection, pods: Collection, claims: Collection, revisions: Collection,
        recorder: EventRecorder, clock: Clock,
    ) -> None:  # fmt: skip
        self._sets = sets
        self._pods = pods
        self._claims = claims
        self._revision_objects = revisions
        self._revisions = Revisions(revisions, sets, HASH_LABEL, _name_hash)
        self._recorder = recorder
        self._clock = clock

    async def reconcile(self, key: Key) -> Result | None:
        owner = self._sets.get(key)
        if owner is None:
            return None
        owned = await self._claimed(owner, self._pods)
        history = await self._revisions.history(owner, await self._claimed(owner, self._revision_objects))
        now = self._clock.now()
        current, update = self._versions(owner, history)
        decided = plan(owner, owned, current, update, now)
        try:
            await self._act(owner, decided)
        except Exception:
            await self._report(owner, decided)
            raise
        await self._report(owner, decided)
        live = {current.name, update.name, *(identity.revision_of(pod) for pod in owned)}
        dead = [r for r in history.all if name_of(r) not in live]
        surplus = len(dead) - int(owner["spec"].get("revisionHistoryLimit") or 0)
        await self._revisions.delete(dead[: max(0, surplus)])
        min_ready = int(owner["spec"].get("minReadySeconds") or 0)
        wait = next_available_in(owned, min_ready, now) if min_ready else None
        return Result(max(wait, 0.01)) if wait is not None else None

    async def _claimed(self, owner: Object, dependents: Collection) -> list[Object]:
        selector = selectors.from_label_selector(owner["spec"].get("selector"))
        candidates = dependents.store.by_index(CONTROLLER_UID, uid_of(owner))
        orphans = dependents.store.by_index(ORPHANS, namespace_of(owner))
        if dependents is self._pods:
            orphans = [pod for pod in orphans if identity.ordinal_of(owner, pod) is not None]
        claim = plan_claim(owner, selector, candidates + orphans)
        return await carry_out(claim, owner, self._sets, dependents)

    def _versions(self, owner: Object, history: History) -> tuple[Revision, Revision]:
        update = Revision(name_of(history.update), owner)
        found = history.named((owner.get("status") or {}).get("currentRevision") or "")
        if found is None or name_of(found) == update.name:
            return update, update
        return Revision(name_of(found), with_template_of(owner, found)), update

    async def _act(self, owner: Object, decided: Plan) -> None:
        await self._keep_claims(owner, decided)
        await _all(self._ensure_claims(owner, pod) for pod in decided.pending)
        _, failure = await slow_start(decided.create, lambda pod: self._create(owner, pod))
        if failure is None:
            _, failure = await slow_start(decided.delete, lambda pod: self._delete(owner, pod))
        if failure is not None:
            raise failure
        for pod, ordinal in decided.fix:
            await self._pods.update(identity.with_identity(owner, pod, ordinal))

    async def _create(self, owner: Object, pod: Object) -> None:
        if self._has_stale_claim(owner, pod):
            return  # it goes with the earlier pod, and its end brings the next attempt
        await self._ensure_claims(owner, pod)
        text = f"create Pod {name_of(pod)} in StatefulSet {name_of(owner)}"
        try:
            await self._pods.create(pod)
        except StatusError as err:
            if not is_namespace_terminating(err):
                self._recorder.event(owner, "Warning", "FailedCreate", f"{text} failed error: {err}")
            raise
        self._recorder.event(owner, "Normal", "SuccessfulCreate", f"{text} successful")

    def _has_stale_claim(self, owner: Object, pod: Object) -> bool:
        """Whether one of the pod's claims belongs to an earlier pod of its name."""
        found = (self._claims.get(key_of(claim)) for claim in _claims_of(owner, pod))
        named = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name_of(pod)}}
        return any(identity.is_stale(claim["metadata"].get("ownerReferences") or (), named) for claim in found if claim)

    async def _ensure_claims(self, owner: Object, pod: Object) -> None:
        for claim in _claims_of(owner, pod):
            await self._ensure_claim(owner, claim, pod)

    async def _ensure_claim(self, owner: Object, claim: Object, pod: Object) -> None:
        there = self._claims.get(key_of(claim))
        if there is not None:
            if is_deleting(there):
                raise RuntimeError(f"pvc {name_of(claim)} is being deleted")
            return
        text = f"create Claim {name_of(claim)} Pod {name_of(pod)} in StatefulSet {name_of(owner)}"
        owners = identity.claim_owners(owner, claim, pod, condemned=False)
        if owners:
            claim = {**claim, "metadata": {**claim["metadata"], "ownerReferences": owners}}
        try:
            await self._claims.create(claim)
        except StatusError as err:
            if not is_namespace_terminating(err):
                self._recorder.event(owner, "Warning", "FailedCreate", f"{text} failed error: {err}")
            raise
        self._recorder.event(owner, "Normal", "SuccessfulCreate", f"{text} success")

    async def _keep_claims(self, owner: Object, decided: Plan) -> None:
        """Gives existing claims the owners that the retention policy asks for."""
        if not owner["spec"].get("volumeClaimTemplates") or is_deleting(owner):
            return
        for pod in [*decided.kept, *decided.condemned]:
            for claim in _claims_of(owner, pod):
                there = self._claims.get(key_of(claim))
                if there is None or is_deleting(there):
                    continue
                owners = identity.claim_owners(owner, there, pod, condemned=pod in decided.condemned)
                if owners != (there["metadata"].get("ownerReferences") or []):
                    await self._claims.update({**there, "metadata": {**there["metadata"], "ownerReferences": owners}})

    async def _delete(self, owner: Object, pod: Object) -> None:
        text = f"delete Pod {name_of(pod)} in StatefulSet {name_of(owner)}"
        try:
            deleted = await self._pods.delete(pod)
        except StatusError as err:
            self._recorder.event(owner, "Warning", "FailedDelete", f"{text} failed error: {err}")
            raise
        if deleted:
            self._recorder.event(owner, "Normal", "SuccessfulDelete", f"{text} successful")

    async def _report(self, owner: Object, decided: Plan) -> None:
        if decided.status != owner.get("status"):
            await self._sets.update_status({**owner, "status": decided.status})


async def _all(actions: Iterable[object]) -> None:
    """Waits for all; raises the first failure once all have ended."""
    results = await asyncio.gather(*actions, return_exceptions=True)  # type: ignore[call-overload]  # coroutines
    for result in results:
        if isinstance(result, BaseException):
            raise result


def _claims_of(owner: Object, pod: Object) -> list[Object]:
    return identity.claims_of(owner, identity.ordinal_of(owner, pod) or 0)


class _Events:
    """From pods to the sets that own them, or could adopt them; from claims that are gone to those that want them."""

    def __init__(self, sets: Collection) -> None:
        self._sets = sets

    def of_claim(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        if old is None or new is not None:
            return
        for owner in self._sets.store.list(namespace_of(old)):
            templates = owner["spec"].get("volumeClaimTemplates") or ()
            prefixes = tuple(f"{t['metadata']['name']}-{name_of(owner)}-" for t in templates)
            if prefixes and name_of(old).startswith(prefixes):
                yield key_of(owner)

    def of_pod(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        found: list[Key] = []
        for pod in (old, new):
            reference = controller_of(pod) if pod is not None else None
            if pod is not None and reference is not None and reference.get("kind") == "StatefulSet":
                found.append(Key(namespace_of(pod), reference["name"]))
        yield from dict.fromkeys(found)
        if new is not None and controller_of(new) is None and labels_of(new):
            for owner in self._sets.store.list(namespace_of(new)):
                selector = selectors.from_label_selector(owner["spec"].get("selector"))
                if selector.matches(labels_of(new)):
                    yield key_of(owner)


def build(context: Context) -> Sequence[Runnable]:
    index = {CONTROLLER_UID: by_controller, ORPHANS: orphans_of}
    sets = context.collection(STATEFUL_SETS)
    pods = context.collection(PODS, indexers=index)
    revisions = context.collection(CONTROLLER_REVISIONS, indexers=index)
    claims = context.collection(PERSISTENT_VOLUME_CLAIMS)
    recorder = context.recorder(COMPONENT)
    reconciler = StatefulSetReconciler(sets, pods, claims, revisions, recorder, context.clock)
    events = _Events(sets)
    controller = context.controller("statefulset", reconciler)
    controller.watch(sets.informer)
    controller.watch(pods.informer, events.of_pod)
    controller.watch(revisions.informer, lambda old, new: ())
    controller.watch(claims.informer, events.of_claim)
    return [controller]


CONTROLLER = ControllerSpec(COMPONENT, build, alias="statefulset", syncs="concurrent_statefulset_syncs")
