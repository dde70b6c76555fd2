"""Carries out what the garbage collector decides."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Sequence

from controllers.context import Context, ControllerSpec, Runnable
from controllers.garbagecollector.graph import ORPHAN, Graph, Item
from controllers.garbagecollector.monitors import Monitors
from controllers.garbagecollector.plan import (
    Delete,
    DropFinalizer,
    DropOwners,
    LookAt,
    OrphanDependents,
    Owner,
    plan,
    plan_deleting,
)
from kubeling.api.errors import StatusError, is_conflict, is_not_found
from kubeling.api.meta import Object, name_of, resource_version_of, uid_of
from kubeling.api.resource import Resource
from kubeling.client.controller import Controller, Result
from kubeling.client.events import EventRecorder
from kubeling.client.rest import Client

log = logging.getLogger(__name__)

COMPONENT = "garbage-collector-controller"
ABSENT_SIZE = 2000
UNKNOWN_KIND_SECONDS = 10.0


class Unresolved(Exception):
    """An owner whose kind the server does not serve, or not now: nothing may be deleted for it."""


class Impossible(Exception):
    """A cluster-scoped item cannot have a namespaced owner; no later look will change that."""


class Collector:
    """Looks at one item (by uid) at a time."""

    def __init__(self, client: Client, graph: Graph, recorder: EventRecorder) -> None:
        self._client = client
        self._graph = graph
        self._recorder = recorder
        self.controller: Controller[str]
        self.monitors: Monitors
        self._absent: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def reconcile(self, uid: str) -> Result | None:
        item = self._graph.items.get(uid)
        if item is None:
            return None
        try:
            await self._handle(item)
        except Unresolved as err:
            log.debug("%s: %s", item, err)
            return Result(UNKNOWN_KIND_SECONDS)
        except Impossible as err:
            log.debug("%s: %s", item, err)
        except StatusError as err:
            if not is_not_found(err):
                raise
        return None

    async def _handle(self, item: Item) -> None:
        if item.deleting:
            action = plan_deleting(item, self._graph.blocking(item.uid))
        else:
            owners = {ref["uid"]: await self._state(item, ref) for ref in item.owners}
            action = plan(item, owners, self._graph.dependents(item.uid))
        match action:
            case Delete():
                await self._delete(item, action)
            case DropOwners(uids):
                await self._drop_owners(item, uids)
            case DropFinalizer(finalizer):
                await self._drop_finalizer(item, finalizer)
            case LookAt(uids):
                for uid in uids:
                    self.controller.queue.add(uid)
            case OrphanDependents():
                await asyncio.gather(*(self._release(dep, item.uid) for dep in self._graph.dependents(item.uid)))
                await self._drop_finalizer(item, ORPHAN)

    async def _state(self, item: Item, reference: Object) -> Owner:
        """What became of the owner: from the graph while that is sure, else from the server."""
        known = self._graph.items.get(reference["uid"])
        if known is not None and known.deleting:
            return Owner.WAITING if known.waits_for_dependents else Owner.SOLID
        if (item.namespace, reference["uid"]) in self._absent:
            return Owner.ABSENT
        resource = self.monitors.discovered.of_kind(reference["apiVersion"], reference["kind"])
        if resource is None:
            raise Unresolved(f"owner kind {reference['apiVersion']} {reference['kind']} is not served")
        if resource.namespaced and not item.namespace:
            self._tell_elsewhere(item, reference)
            raise Impossible(f"a cluster-scoped object cannot have the namespaced owner {reference['name']}")
        try:
            owner = await self._client.get(resource, reference["name"], item.namespace if resource.namespaced else "")
        except StatusError as err:
            if not is_not_found(err):
                raise
            owner = None
        if owner is None or uid_of(owner) != reference["uid"]:
            return self._is_absent(item, reference)
        return Owner.WAITING if Item(resource, owner).waits_for_dependents else Owner.SOLID

    def _is_absent(self, item: Item, reference: Object) -> Owner:
        self._absent[(item.namespace, reference["uid"])] = None
        if len(self._absent) > ABSENT_SIZE:
            self._absent.popitem(last=False)
        self._tell_elsewhere(item, reference)
        return Owner.ABSENT

    def _tell_elsewhere(self, item: Item, reference: Object) -> None:
        """The owner exists, but not where its dependent could have it."""
        known = self._graph.items.get(reference["uid"])
        if known is not None and known.namespace and known.namespace != item.namespace:
            what = f"{reference['apiVersion']}/{reference['kind']}, namespace: {item.namespace}"
            owner = f"[{what}, name: {reference['name']}, uid: {reference['uid']}]"
            why = f'ownerRef {owner} does not exist in namespace "{item.namespace}"'
            self._recorder.event(item.obj, "Warning", "OwnerRefInvalidNamespace", why)

    async def _delete(self, item: Item, action: Delete) -> None:
        """Deletes the item as the graph knows it: a newer one answers Conflict and is looked at again."""
        if action.unblock:
            await self._unblock(item)
        try:
            await self._client.delete(
                item.resource,
                name_of(item.obj),
                item.namespace,
                propagation_policy=action.policy,
                uid=item.uid,
                resource_version="" if action.unblock else resource_version_of(item.obj),
            )
        except StatusError as err:
            if not is_conflict(err):
                raise
            fresh = await self._client.get(item.resource, name_of(item.obj), item.namespace)
            if uid_of(fresh) == item.uid and fresh["metadata"].get("ownerReferences") == item.owners:
                await self._client.delete(
                    item.resource,
                    name_of(item.obj),
                    item.namespace,
                    propagation_policy=action.policy,
                    uid=item.uid,
                    resource_version=resource_version_of(fresh),
                )
            elif uid_of(fresh) == item.uid:
                raise

    async def _drop_owners(self, item: Item, uids: Sequence[str]) -> None:
        kept = [o for o in item.owners if o.get("uid") not in uids]
        await self._patch(item, {"ownerReferences": kept})

    async def _unblock(self, item: Item) -> None:
        await self._patch(item, {"ownerReferences": [{**o, "blockOwnerDeletion": False} for o in item.owners]})

    async def _release(self, dependent: Item, owner_uid: str) -> None:
        """Takes one owner out of a dependent that may have been changed meanwhile."""
        try:
            fresh = await self._client.get(dependent.resource, name_of(dependent.obj), dependent.namespace)
            if uid_of(fresh) == dependent.uid:
                await self._drop_owners(Item(dependent.resource, fresh), [owner_uid])
        except StatusError as err:
            if not is_not_found(err):
                raise

    async def _drop_finalizer(self, item: Item, finalizer: str) -> None:
        await self._patch(item, {"finalizers": [f for f in item.finalizers if f != finalizer]})

    async def _patch(self, item: Item, metadata: Object) -> None:
        """Replaces parts of the metadata of exactly this version of the item."""
        version = {"uid": item.uid, "resourceVersion": resource_version_of(item.obj)}
        await self._client.patch(
            item.resource, name_of(item.obj), {"metadata": {**version, **metadata}}, item.namespace
        )


class GarbageCollector:
    """The monitors and the workers; the workers begin once the graph is complete."""

    def __init__(self, monitors: Monitors, controller: Controller[str]) -> None:
        self._monitors = monitors
        self._controller = controller

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._monitors.run(), name="garbage collector monitors")
            await self._monitors.synced.wait()
            group.create_task(self._controller.run(), name="garbage collector")


def build(context: Context) -> Sequence[Runnable]:
    graph = Graph()
    collector = Collector(context.client, graph, context.recorder(COMPONENT))
    controller: Controller[str] = context.controller("garbage_collector_attempt_to_delete", collector)
    collector.controller = controller

    def changed(resource: Resource, old: Object | None, new: Object | None) -> None:
        for uid in graph.change(resource, old, new):
            controller.queue.add(uid)

    collector.monitors = Monitors(context.client, context.informers, context.clock, changed)
    return [GarbageCollector(collector.monitors, controller)]


CONTROLLER = ControllerSpec(
    COMPONENT, build, alias="garbagecollector", account="generic-garbage-collector", syncs="concurrent_gc_syncs"
)
