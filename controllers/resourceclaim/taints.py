"""Device taint eviction: pods leave devices whose NoExecute taints their claims do not tolerate.

Source: pkg/controller/devicetainteviction, for the taints in ResourceSlices; DeviceTaintRules are not served.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.collection import Collection
from controllers.lib.placement import tolerates
from controllers.lib.podcontrol import patch_condition
from controllers.lib.pods import is_finished
from controllers.lib.ranking import node_of
from kubeling.api.errors import StatusError, is_not_found
from kubeling.api.meta import Key, Object, is_deleting, key_of, namespace_of, parse_time, uid_of
from kubeling.api.resources import PODS, RESOURCE_CLAIMS, RESOURCE_SLICES
from kubeling.client.clock import Clock
from kubeling.client.controller import Result
from kubeling.client.events import EventRecorder

COMPONENT = "device-taint-eviction"
REASON = "DeviceTaintManagerEviction"
CONSUMER, POOL = "consumer", "pool"
Device = tuple[str, str, str]  # driver, pool, name


def pool_of(slice_: Object) -> tuple[str, str]:
    return slice_["spec"].get("driver", ""), slice_["spec"]["pool"]["name"]


def taints_of_devices(slices: Iterable[Object]) -> dict[Device, list[Object]]:
    """The NoExecute taints by device, from each pool's latest generation."""
    known = list(slices)
    latest: dict[tuple[str, str], int] = {}
    for slice_ in known:
        latest[pool_of(slice_)] = max(latest.get(pool_of(slice_), 0), slice_["spec"]["pool"].get("generation", 0))
    found: dict[Device, list[Object]] = {}
    for slice_ in known:
        if slice_["spec"]["pool"].get("generation", 0) < latest[pool_of(slice_)]:
            continue
        for device in slice_["spec"].get("devices") or ():
            taints = [t for t in device.get("taints") or () if t.get("effect") == "NoExecute"]
            if taints:
                found[*pool_of(slice_), device["name"]] = taints
    return found


def evict_at(claims: Iterable[Object], taints: Mapping[Device, Sequence[Object]], now: datetime) -> datetime | None:
    """When a pod with these claims must go; ``now`` when at once, None when it may stay."""
    moments: list[datetime] = []
    for claim in claims:
        allocation = (claim.get("status") or {}).get("allocation") or {}
        for result in (allocation.get("devices") or {}).get("results") or ():
            for taint in taints.get((result["driver"], result["pool"], result["device"]), ()):
                until = _tolerated_until(result.get("tolerations") or (), taint, now)
                if until is not None:
                    moments.append(until)
    return min(moments, default=None)


def _tolerated_until(tolerations: Sequence[Object], taint: Object, now: datetime) -> datetime | None:
    """None for ever; of several tolerations the shortest counts."""
    used = [t for t in tolerations if tolerates(t, taint)]
    if not used:
        return now
    limits = [int(t["tolerationSeconds"]) for t in used if t.get("tolerationSeconds") is not None]
    if not limits:
        return None
    since = parse_time(taint["timeAdded"]) if taint.get("timeAdded") else now
    return max(now, since + timedelta(seconds=max(0, min(limits))))


def consumers_of(claim: Object) -> Iterable[Key]:
    """Index values: the pods that the claim is reserved for."""
    for reference in (claim.get("status") or {}).get("reservedFor") or ():
        if reference.get("resource") == "pods" and not reference.get("apiGroup"):
            yield Key(namespace_of(claim), reference["name"])


def pools_of(claim: Object) -> Iterable[tuple[str, str]]:
    """Index values: the pools that the claim has devices of."""
    allocation = (claim.get("status") or {}).get("allocation") or {}
    return {(r["driver"], r["pool"]) for r in (allocation.get("devices") or {}).get("results") or ()}


class DeviceTaintReconciler:
    """Looks at one pod; those with time left are looked at again when it is over."""

    def __init__(
        self, pods: Collection, claims: Collection, slices: Collection, recorder: EventRecorder, clock: Clock
    ) -> None:
        self._pods, self._claims, self._slices = pods, claims, slices
        self._recorder, self._clock = recorder, clock
        self._waiting: set[str] = set()

    async def reconcile(self, key: Key) -> Result | None:
        pod = self._pods.get(key)
        if pod is None or is_deleting(pod) or is_finished(pod) or not node_of(pod):
            return None
        claims = [c for c in self._claims.store.by_index(CONSUMER, key) if self._is_reserved(c, pod)]
        now = self._clock.now()
        pools = {pool for claim in claims for pool in pools_of(claim)}
        slices = (s for pool in pools for s in self._slices.store.by_index(POOL, pool))
        due = evict_at(claims, taints_of_devices(slices), now)
        if due is None or due > now:
            return self._wait(pod, due, now)
        self._waiting.discard(uid_of(pod))
        await self._evict(pod)
        return None

    def _is_reserved(self, claim: Object, pod: Object) -> bool:
        return any(r.get("uid") == uid_of(pod) for r in (claim.get("status") or {}).get("reservedFor") or ())

    def _wait(self, pod: Object, due: datetime | None, now: datetime) -> Result | None:
        if due is not None:
            self._waiting.add(uid_of(pod))
            return Result((due - now).total_seconds())
        if uid_of(pod) in self._waiting:
            self._waiting.discard(uid_of(pod))
            self._recorder.event(pod, "Normal", REASON, "Cancelling deletion")
        return None

    async def _evict(self, pod: Object) -> None:
        self._recorder.event(pod, "Normal", REASON, "Marking for deletion")
        why, now = "Device Taint manager: deleting due to NoExecute taint", self._clock.now()
        try:
            await patch_condition(self._pods, pod, "DisruptionTarget", "True", now, "DeletionByDeviceTaintManager", why)
            await self._pods.delete(pod)
        except StatusError as err:
            if not is_not_found(err):
                raise


def build(context: Context) -> Sequence[Runnable]:
    pods = context.collection(PODS)
    claims = context.collection(RESOURCE_CLAIMS, indexers={CONSUMER: consumers_of, POOL: pools_of})
    slices = context.collection(RESOURCE_SLICES, indexers={POOL: lambda s: [pool_of(s)]})

    def of_claim(old: Object | None, new: Object | None) -> Iterable[Key]:
        for claim in (old, new):
            if claim is not None:
                yield from consumers_of(claim)

    def of_slice(old: Object | None, new: Object | None) -> Iterable[Key]:
        slice_ = new or old
        if slice_ is not None:
            for claim in claims.store.by_index(POOL, pool_of(slice_)):
                yield from consumers_of(claim)

    def bound(old: Object | None, new: Object | None) -> Iterable[Key]:
        if new is not None and new["spec"].get("resourceClaims") and node_of(new):
            yield key_of(new)

    recorder = context.recorder(COMPONENT)
    reconciler = DeviceTaintReconciler(pods, claims, slices, recorder, context.clock)
    controller = context.controller("device_taint_eviction", reconciler)
    controller.watch(pods.informer, bound)
    controller.watch(claims.informer, of_claim)
    controller.watch(slices.informer, of_slice)
    return [controller]


CONTROLLER = ControllerSpec("device-taint-eviction-controller", build, syncs="concurrent_device_taint_eviction_syncs")
