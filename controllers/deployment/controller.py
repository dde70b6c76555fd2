"""Carries out a deployment's plan."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from copy import deepcopy

from controllers.context import Context, ControllerSpec, Runnable
from controllers.deployment import conditions, sizes
from controllers.deployment.plan import Plan, Pods, plan
from controllers.deployment.revisions import same_template
from controllers.deployment.rollback import roll_back
from controllers.lib.collection import Collection
from controllers.lib.owners import CONTROLLER_UID, ORPHANS, carry_out, orphans_of, plan_claim
from controllers.lib.podcontrol import is_namespace_terminating
from kubeling.api import selectors
from kubeling.api.errors import StatusError, is_already_exists
from kubeling.api.meta import (
    Key,
    Object,
    controller_of,
    is_controlled_by,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)
from kubeling.api.resources import DEPLOYMENTS, PODS, REPLICA_SETS
from kubeling.client.clock import Clock
from kubeling.client.controller import Result
from kubeling.client.events import EventRecorder
from kubeling.client.store import by_controller

log = logging.getLogger(__name__)

COMPONENT = "deployment-controller"


class DeploymentReconciler:
    """One step of each rollout at a time; every step's effects bring the next."""

    def __init__(
        self,
        deployments: Collection,
        replica_sets: Collection,
        pods: Collection,
        recorder: EventRecorder,
        clock: Clock,
    ) -> None:
        self._deployments = deployments
        self._replica_sets = replica_sets
        self._pods = pods
        self._recorder = recorder
        self._clock = clock

    async def reconcile(self, key: Key) -> Result | None:
        deployment = self._deployments.get(key)
        if deployment is None:
            return None
        selector = selectors.from_label_selector(deployment["spec"].get("selector"))
        if selector.empty:
            text = "This deployment is selecting all pods. A non-empty selector is required."
            self._recorder.event(deployment, "Warning", "SelectingAll", text)
            await self._observe(deployment)
            return None
        candidates = self._replica_sets.store.by_index(CONTROLLER_UID, uid_of(deployment))
        candidates += self._replica_sets.store.by_index(ORPHANS, key.namespace)
        claim = plan_claim(deployment, selector, candidates)
        owned = await carry_out(claim, deployment, self._deployments, self._replica_sets)
        if await self._rolled_back(deployment, owned):
            return None
        pods = {} if sizes.is_rolling(deployment) else self._pods_of(owned)
        decided = plan(deployment, owned, pods, self._clock.now())
        if not await self._act(deployment, decided):
            return None
        if decided.deployment != deployment:
            await self._deployments.update_status(decided.deployment)
        return Result(decided.requeue_after) if decided.requeue_after is not None else None

    async def _observe(self, deployment: Object) -> None:
        status, generation = deployment.get("status") or {}, deployment["metadata"].get("generation")
        if int(status.get("observedGeneration") or 0) < int(generation or 0):
            await self._deployments.update_status(
                {**deployment, "status": {**status, "observedGeneration": generation}}
            )

    async def _rolled_back(self, deployment: Object, owned: Sequence[Object]) -> bool:
        """Whether the deployment asked for an old revision; what is written then brings the next reconcile."""
        if is_deleting(deployment) or deployment["spec"].get("paused"):
            return False
        found = roll_back(deployment, owned)
        if found is None:
            return False
        await self._deployments.update(found.deployment)
        self._recorder.event(deployment, found.event_type, found.reason, found.message)
        return True

    def _pods_of(self, replica_sets: Iterable[Object]) -> Pods:
        return {uid_of(rs): self._pods.store.by_index(CONTROLLER_UID, uid_of(rs)) for rs in replica_sets}

    async def _act(self, deployment: Object, decided: Plan) -> bool:
        """False where nothing can come of it, since the namespace goes away."""
        if decided.create is not None and not await self._create(deployment, decided.create):
            return False
        for before, after in decided.updates:
            await self._replica_sets.update(after)
            self._tell_scaling(deployment, before, after)
        for rs in decided.deletes:
            await self._replica_sets.delete(rs)
        return True

    def _tell_scaling(self, deployment: Object, before: Object, after: Object) -> None:
        old, new = sizes.size(before), sizes.size(after)
        if old != new:
            direction = "up" if new > old else "down"
            text = f"Scaled {direction} replica set {name_of(after)} from {old} to {new}"
            self._recorder.event(deployment, "Normal", "ScalingReplicaSet", text)

    async def _create(self, deployment: Object, wanted: Object) -> bool:
        """Creates the new ReplicaSet; one of its name that is not ours makes the next attempt choose another hash.

        False when the namespace goes away.
        """
        try:
            made = await self._replica_sets.create(wanted)
        except StatusError as err:
            if is_already_exists(err):
                await self._name_taken(deployment, wanted, err)
                return True
            if is_namespace_terminating(err):
                return False
            await self._report_failure(deployment, wanted, err)
            raise
        if sizes.size(made) > 0:
            text = f"Scaled up replica set {name_of(made)} from 0 to {sizes.size(made)}"
            self._recorder.event(deployment, "Normal", "ScalingReplicaSet", text)
        return True

    async def _name_taken(self, deployment: Object, wanted: Object, err: StatusError) -> None:
        there = await self._replica_sets.fetch(key_of(wanted))
        ours = is_controlled_by(there, deployment)
        if ours and same_template(there["spec"]["template"], deployment["spec"]["template"]):
            return  # an earlier attempt of ours that we had not seen yet
        status = dict(deployment.get("status") or {})
        status["collisionCount"] = int(status.get("collisionCount") or 0) + 1
        await self._deployments.update_status({**deployment, "status": status})
        log.info("found a hash collision for deployment %s, bumping collisionCount", name_of(deployment))
        raise err

    async def _report_failure(self, deployment: Object, wanted: Object, err: StatusError) -> None:
        text = f'Failed to create new replica set "{name_of(wanted)}": {err}'
        if conditions.deadline_of(deployment) is not None:
            status = deepcopy(deployment.get("status") or {})
            conditions.put(status, "Progressing", "False", "ReplicaSetCreateError", text, self._clock.now())
            if status != deployment.get("status"):
                await self._deployments.update_status({**deployment, "status": status})
        self._recorder.event(deployment, "Warning", "ReplicaSetCreateError", text)


class _Events:
    """From changes of ReplicaSets and pods to deployments."""

    def __init__(self, deployments: Collection, replica_sets: Collection) -> None:
        self._deployments = deployments
        self._replica_sets = replica_sets

    def of_replica_set(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        for rs in (old, new):
            if rs is not None and (key := self._owner(rs)) is not None:
                yield key
        if new is not None and controller_of(new) is None and not is_deleting(new) and labels_of(new):
            for deployment in self._deployments.store.list(namespace_of(new)):
                selector = selectors.from_label_selector(deployment["spec"].get("selector"))
                if selector.matches(labels_of(new)):
                    yield key_of(deployment)

    def of_pod(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """Recreate waits for the last old pod to go."""
        if old is None or new is not None:
            return
        reference = controller_of(old)
        if reference is None or reference.get("kind") != "ReplicaSet":
            return
        rs = self._replica_sets.get(Key(namespace_of(old), reference["name"]))
        key = self._owner(rs) if rs is not None else None
        deployment = self._deployments.get(key) if key else None
        if key is not None and deployment is not None and not sizes.is_rolling(deployment):
            yield key

    def _owner(self, rs: Object) -> Key | None:
        reference = controller_of(rs)
        if reference is None or reference.get("kind") != "Deployment":
            return None
        key = Key(namespace_of(rs), reference["name"])
        deployment = self._deployments.get(key)
        return key if deployment is not None and uid_of(deployment) == reference.get("uid") else None


def build(context: Context) -> Sequence[Runnable]:
    by_owner = {CONTROLLER_UID: by_controller}
    deployments = context.collection(DEPLOYMENTS)
    replica_sets = context.collection(REPLICA_SETS, indexers={**by_owner, ORPHANS: orphans_of})
    pods = context.collection(PODS, indexers=by_owner)
    recorder = context.recorder(COMPONENT)
    reconciler = DeploymentReconciler(deployments, replica_sets, pods, recorder, context.clock)
    events = _Events(deployments, replica_sets)
    controller = context.controller("deployment", reconciler)
    controller.watch(deployments.informer)
    controller.watch(replica_sets.informer, events.of_replica_set)
    controller.watch(pods.informer, events.of_pod)
    return [controller]


CONTROLLER = ControllerSpec(COMPONENT, build, alias="deployment", syncs="concurrent_deployment_syncs")
