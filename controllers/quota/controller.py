"""Keeps the status of quotas: counted anew when something goes, and from time to time. Admission counts what comes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.collection import Collection
from controllers.lib.pods import is_finished
from controllers.quota.usage import kinds_of, used_of
from kubeling.api.meta import Key, Object, is_deleting, key_of, namespace_of
from kubeling.api.resource import Resource
from kubeling.api.resources import PERSISTENT_VOLUME_CLAIMS, PODS, RESOURCE_QUOTAS, SERVICES
from kubeling.client.clock import Clock
from kubeling.client.controller import Controller, Result
from kubeling.client.discovery import discover
from kubeling.client.informer import Informer

UNKNOWN_KIND_SECONDS = 10.0


class Objects:
    """Copies of the collections that quotas limit, begun when a quota first asks for one."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: dict[str, Informer] = {}
        self.controller: Controller[Key]
        self.quotas: Collection

    def use(self, resource: Resource) -> Informer:
        """Follows a resource; what leaves it makes its namespace's quotas be counted again."""
        informer = self._context.informers.informer(resource)
        if resource.qualified not in self._known:
            self._known[resource.qualified] = informer
            informer.add_handler(self._freed)
        return informer

    async def prepare(self, kinds: Iterable[str]) -> list[str]:
        """Makes the kinds known; answers those that the server does not serve."""
        missing = [kind for kind in kinds if kind not in self._known]
        if missing:
            served = {r.qualified: r for r in (await discover(self._context.client)).resources if r.namespaced}
            for kind in missing:
                if kind in served and {"list", "watch"} <= set(served[kind].verbs):
                    self.use(served[kind])
        for kind in kinds:
            if kind in self._known:
                await self._known[kind].wait_synced()
        return [kind for kind in kinds if kind not in self._known]

    def of(self, kind: str, namespace: str) -> Sequence[Object]:
        return self._known[kind].store.list(namespace) if kind in self._known else []

    def _freed(self, old: Object | None, new: Object | None) -> None:
        if old is None:
            return
        ended = new is None or (is_finished(new) and not is_finished(old)) or is_deleting(new) != is_deleting(old)
        if ended or (new is not None and _sizes(old) != _sizes(new)):
            for quota in self.quotas.store.list(namespace_of(old)):
                self.controller.queue.add(key_of(quota))


def _sizes(obj: Object) -> object:
    """What an update may change that quotas count: a service's type and ports, a claim's size."""
    spec = obj.get("spec") or {}
    return spec.get("type"), len(spec.get("ports") or ()), spec.get("resources")


class QuotaReconciler:
    """Counts one quota."""

    def __init__(self, quotas: Collection, objects: Objects, clock: Clock, period: float) -> None:
        self._quotas = quotas
        self._objects = objects
        self._clock = clock
        self._period = period

    async def reconcile(self, key: Key) -> Result | None:
        quota = self._quotas.get(key)
        if quota is None:
            return None
        hard = quota["spec"].get("hard") or {}
        unknown = await self._objects.prepare(sorted(kinds_of(hard)))
        used = used_of(quota, lambda kind: self._objects.of(kind, key.namespace), self._clock.now())
        status = {"hard": hard, "used": used}
        if status != (quota.get("status") or {}):
            await self._quotas.update_status({**quota, "status": status})
        return Result(UNKNOWN_KIND_SECONDS if unknown else self._period)


def _limits_changed(old: Object | None, new: Object | None) -> Iterable[Key]:
    if new is not None and (old is None or old.get("spec") != new.get("spec")):
        yield key_of(new)


def build(context: Context) -> Sequence[Runnable]:
    quotas = context.collection(RESOURCE_QUOTAS)
    objects = Objects(context)
    period = context.options.resource_quota_sync_period
    controller = context.controller("resourcequota_primary", QuotaReconciler(quotas, objects, context.clock, period))
    objects.controller, objects.quotas = controller, quotas
    for resource in (PODS, SERVICES, PERSISTENT_VOLUME_CLAIMS, RESOURCE_QUOTAS):
        controller.watch(objects.use(resource), lambda old, new: ())
    controller.watch(quotas.informer, _limits_changed)
    return [controller]


CONTROLLER = ControllerSpec(
    "resourcequota-controller", build, alias="resourcequota", syncs="concurrent_resource_quota_syncs"
)
