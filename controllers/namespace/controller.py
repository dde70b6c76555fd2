"""Empties and finalizes namespaces that are being deleted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.collection import Collection
from controllers.namespace.conditions import Remains, conditions_of
from controllers.namespace.content import delete_content
from kubeling.api.errors import StatusError, is_not_found
from kubeling.api.meta import Key, Object, is_deleting, name_of, parse_time
from kubeling.api.resources import NAMESPACES
from kubeling.client.clock import Clock
from kubeling.client.controller import Result

FINALIZER = "kubernetes"
LOOK_AGAIN_SECONDS = 1.0  # upstream waits for half the estimate; looking again early ends most deletions sooner
MAX_LOOK_AGAIN_SECONDS = 8.0


class NamespaceReconciler:
    """One round of deletion at a time until nothing is left."""

    def __init__(self, namespaces: Collection, clock: Clock) -> None:
        self._namespaces = namespaces
        self._clock = clock
        self._rounds: dict[str, int] = {}

    async def reconcile(self, key: str) -> Result | None:
        namespace = self._namespaces.get(Key("", key))
        if namespace is None or not is_deleting(namespace):
            self._rounds.pop(key, None)
            return None
        finalizers = (namespace.get("spec") or {}).get("finalizers") or []
        if FINALIZER not in finalizers:
            return None
        namespace = await self._terminating(namespace)
        deleted = parse_time(namespace["metadata"]["deletionTimestamp"])
        remains = await delete_content(self._namespaces.client, key, (self._clock.now() - deleted).total_seconds())
        namespace = await self._report(namespace, remains)
        if not remains.clean:
            rounds = self._rounds[key] = self._rounds.get(key, 0) + 1
            return Result(min(LOOK_AGAIN_SECONDS * 1.5 ** min(rounds - 1, 9), MAX_LOOK_AGAIN_SECONDS))
        self._rounds.pop(key, None)
        await self._finalize(namespace)
        return None

    async def _terminating(self, namespace: Object) -> Object:
        status = namespace.get("status") or {}
        if status.get("phase") == "Terminating":
            return namespace
        return await self._namespaces.update_status({**namespace, "status": {**status, "phase": "Terminating"}})

    async def _report(self, namespace: Object, remains: Remains) -> Object:
        status = namespace.get("status") or {}
        before = status.get("conditions") or []
        after = conditions_of(remains, before, self._clock.now())
        if after == before:
            return namespace
        return await self._namespaces.update_status({**namespace, "status": {**status, "conditions": after}})

    async def _finalize(self, namespace: Object) -> None:
        try:
            kept = [f for f in namespace["spec"]["finalizers"] if f != FINALIZER]
            wanted = {**namespace, "spec": {**namespace["spec"], "finalizers": kept}}
            await self._namespaces.update(wanted, subresource="finalize")
        except StatusError as err:
            if not is_not_found(err):
                raise


def _deleting(old: Object | None, new: Object | None) -> Iterable[str]:
    if new is not None and is_deleting(new):
        yield name_of(new)


def build(context: Context) -> Sequence[Runnable]:
    namespaces = context.collection(NAMESPACES)
    controller = context.controller("namespace", NamespaceReconciler(namespaces, context.clock))
    controller.watch(namespaces.informer, _deleting)
    return [controller]


CONTROLLER = ControllerSpec("namespace-controller", build, alias="namespace", syncs="concurrent_namespace_syncs")
