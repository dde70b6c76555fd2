"""Keeps the status of quotas: counted anew when something goes, and from time to time. Admission counts what comes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.collection import Collection
from controllers.quota.counting import used_of
from kubeling.api.devicequotas import CLAIMS, Around
from kubeling.api.meta import Key, Object, key_of, namespace_of
from kubeling.api.podresources import Resources
from kubeling.api.quotas import in_scopes, kinds_of, usage
from kubeling.api.resource import Resource
from kubeling.api.resources import DEVICE_CLASSES, PERSISTENT_VOLUME_CLAIMS, PODS, RESOURCE_QUOTAS, SERVICES
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
            informer.add_handler(partial(self._change, resource.qualified))
        return informer

    async def prepare(self, kinds: Sequence[str]) -> list[str]:
        """Makes the kinds known; answers those that the server does not serve."""
        missing = [kind for kind in kinds if kind not in self._known]
        if missing:
            served = {r.qualified: r for r in (await discover(self._context.client)).resources if r.namespaced}
            for kind in missing:
                if kind in served and {"list", "watch"} <= set(served[kind].verbs):
                    self.use(served[kind])
        if CLAIMS in kinds and CLAIMS in self._known:
            await self.use(DEVICE_CLASSES).wait_synced()
        for kind in kinds:
            if kind in self._known:
                await self._known[kind].wait_synced()
        return [kind for kind in kinds if kind not in self._known]

    def of(self, kind: str, namespace: str) -> Sequence[Object]:
        return self._known[kind].store.list(namespace) if kind in self._known else []

    def around(self) -> Around:
        """What claims are counted by."""
        return Around(
            lambda: self.of(DEVICE_CLASSES.qualified, ""),
            lambda namespace, name: self._known[PODS.qualified].store.get(Key(namespace, name)),
            partial(self.of, CLAIMS),
        )

    def _change(self, kind: str, old: Object | None, new: Object | None) -> None:
        """What comes is counted by admission; what goes, or takes something else than before, is counted anew."""
        if old is None:
            return
        for quota in self.quotas.store.list(namespace_of(old)):
            if new is None or self._taken(quota, kind, old) != self._taken(quota, kind, new):
                self.controller.queue.add(key_of(quota))

    def _taken(self, quota: Object, kind: str, obj: Object) -> Resources | None:
        if not in_scopes(quota["spec"], kind, obj):
            return None
        return usage(kind, obj, self._context.clock.now(), self.around())


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
        hard, before = quota["spec"].get("hard") or {}, (quota.get("status") or {}).get("used") or {}
        kinds = {name: about for name in hard if (about := kinds_of(name))}
        unknown = await self._objects.prepare(sorted({kind for about in kinds.values() for kind in about}))
        counted = [name for name, about in kinds.items() if not set(about) <= set(unknown)]
        now, around = self._clock.now(), self._objects.around()
        used = used_of(quota["spec"], counted, lambda kind: self._objects.of(kind, key.namespace), now, around)
        kept = {name: amount for name, amount in before.items() if name in hard and name not in used}
        status = {"hard": hard, "used": {**kept, **used}}
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
