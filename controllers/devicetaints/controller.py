"""The loops of device taint eviction: over pods, which leave tainted devices, and over the rules that taint them.

Source: pkg/controller/devicetainteviction. DeviceTaintRules count with the feature gate DRADeviceTaintRules, as upstream's.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from controllers.context import Context, ControllerSpec, Runnable
from controllers.devicetaints.plan import (
    Device,
    Eviction,
    Tainted,
    claims_of,
    consumers_of,
    eviction_of,
    pool_of,
    pools_of,
    taints_of_devices,
)
from controllers.devicetaints.rulestatus import PERIOD, Seen, report, wait_for_report
from controllers.lib.collection import Collection
from controllers.lib.podcontrol import patch_condition
from controllers.lib.pods import is_finished
from controllers.lib.ranking import node_of
from kubeling.api.errors import StatusError, is_not_found
from kubeling.api.meta import Key, Object, is_deleting, key_of, name_of, uid_of
from kubeling.api.resources import DEVICE_TAINT_RULES, PODS, RESOURCE_CLAIMS, RESOURCE_SLICES
from kubeling.client.clock import Clock
from kubeling.client.controller import Result
from kubeling.client.events import EventRecorder
from kubeling.client.rest import PatchKind

NAME = "device-taint-eviction-controller"
FEATURE = "DRADeviceTaintRules"
REASON = "DeviceTaintManagerEviction"
CONSUMER, POOL = "consumer", "pool"


Taints = dict[Device, Sequence[Object]]


class Devices:
    """Claims, slices and rules as the informers know them; ``rules`` None: they count for nothing."""

    def __init__(self, claims: Collection, slices: Collection, rules: Collection | None) -> None:
        self.claims, self.slices, self._rules = claims, slices, rules
        self._taints: dict[tuple[str, str], Taints] = {}  # of pools, until their slices change
        slices.informer.add_handler(self._slice_changed)

    def _slice_changed(self, old: Object | None, new: Object | None) -> None:
        for slice_ in (old, new):
            if slice_ is not None:
                self._taints.pop(pool_of(slice_), None)

    def _taints_in(self, pool: tuple[str, str]) -> Taints:
        if pool not in self._taints:
            self._taints[pool] = {**taints_of_devices(self.slices.store.by_index(POOL, pool))}
        return self._taints[pool]

    @property
    def rules(self) -> list[Object]:
        return self._rules.store.list() if self._rules is not None else []

    def eviction(self, pod: Object, now: datetime) -> Eviction | None:
        """When the pod must leave its devices, None when it may stay."""
        claims = claims_of(pod, self.claims.store.by_index(CONSUMER, key_of(pod)))
        pools = {pool for claim in claims for pool in pools_of(claim)}
        return eviction_of(claims, Tainted(ChainMap(*map(self._taints_in, pools)), self.rules), now)


class DeviceTaintReconciler:
    """Looks at one pod; those with time left are looked at again when it is over. ``concerns``: told of each rule that
    makes a pod leave (uid), and of how many it has made leave just now."""

    def __init__(
        self, pods: Collection, devices: Devices, recorder: EventRecorder, clock: Clock,
        concerns: Callable[[str, int], None],
    ) -> None:  # fmt: skip
        self._pods, self._devices = pods, devices
        self._recorder, self._clock, self._concerns = recorder, clock, concerns
        self._waiting: set[str] = set()

    async def reconcile(self, key: Key) -> Result | None:
        pod = self._pods.get(key)
        if pod is None or is_deleting(pod) or is_finished(pod) or not node_of(pod):
            return None
        now = self._clock.now()
        eviction = self._devices.eviction(pod, now)
        for rule in eviction.rules if eviction is not None else ():
            self._concerns(rule, 0)
        if eviction is None or eviction.at > now:
            return self._wait(pod, eviction, now)
        self._waiting.discard(uid_of(pod))
        if await self._evict(pod):
            for rule in eviction.rules:
                self._concerns(rule, 1)
        return None

    def _wait(self, pod: Object, eviction: Eviction | None, now: datetime) -> Result | None:
        if eviction is not None:
            self._waiting.add(uid_of(pod))
            return Result((eviction.at - now).total_seconds())
        if uid_of(pod) in self._waiting:
            self._waiting.discard(uid_of(pod))
            self._recorder.event(pod, "Normal", REASON, "Cancelling deletion")
        return None

    async def _evict(self, pod: Object) -> bool:
        self._recorder.event(pod, "Normal", REASON, "Marking for deletion")
        why, now = "Device Taint manager: deleting due to NoExecute taint", self._clock.now()
        try:
            await patch_condition(self._pods, pod, "DisruptionTarget", "True", now, "DeletionByDeviceTaintManager", why)
            return await self._pods.delete(pod)
        except StatusError as err:
            if not is_not_found(err):
                raise
            return False


class RuleReconciler:
    """Keeps the status of rules up to date, each at most once in a while, while pods leave because of it."""

    def __init__(self, rules: Collection, pods: Collection, devices: Devices, clock: Clock) -> None:
        self._rules, self._pods, self._devices, self._clock = rules, pods, devices, clock
        self._evicted: dict[str, int] = {}

    def count(self, rule: str, evicted: int) -> None:
        self._evicted[rule] = self._evicted.get(rule, 0) + evicted

    async def reconcile(self, key: Key) -> Result | None:
        rule = self._rules.get(key)
        if rule is None:
            alive = {uid_of(r) for r in self._rules.store.list()}
            self._evicted = {uid: number for uid, number in self._evicted.items() if uid in alive}
            return None
        now = self._clock.now()
        wait = wait_for_report(rule, now)
        if wait > 0:
            return Result(wait)
        seen = Seen(self._pods.store.list(), self._devices.claims.store.list(), self._devices.slices.store.list())
        condition = report(rule, seen, self._evicted.get(uid_of(rule), 0), now)
        if condition is not None:
            await self._write(rule, condition)
        return None

    async def _write(self, rule: Object, condition: Object) -> None:
        wanted = {
            "apiVersion": DEVICE_TAINT_RULES.api_version,
            "kind": DEVICE_TAINT_RULES.kind,
            "metadata": {"name": name_of(rule), "uid": uid_of(rule)},
            "status": {"conditions": [condition]},
        }
        applied = await self._rules.client.patch(
            DEVICE_TAINT_RULES, name_of(rule), wanted, kind=PatchKind.APPLY, subresource="status", field_manager=NAME,
            force=True,
        )  # fmt: skip
        self._rules.informer.observe(applied)


def build(context: Context) -> Sequence[Runnable]:
    pods = context.collection(PODS)
    claims = context.collection(RESOURCE_CLAIMS, indexers={CONSUMER: consumers_of, POOL: pools_of})
    slices = context.collection(RESOURCE_SLICES, indexers={POOL: lambda s: [pool_of(s)]})
    rules = context.collection(DEVICE_TAINT_RULES) if FEATURE in context.options.features else None
    devices = Devices(claims, slices, rules)

    def of_claim(old: Object | None, new: Object | None) -> Iterable[Key]:
        for claim in (old, new):
            if claim is not None:
                yield from consumers_of(claim)

    def of_slice(old: Object | None, new: Object | None) -> Iterable[Key]:
        slice_ = new or old
        if slice_ is not None:
            for claim in claims.store.by_index(POOL, pool_of(slice_)):
                yield from consumers_of(claim)

    def of_rule(old: Object | None, new: Object | None) -> Iterable[Key]:
        """Rules change seldom: everybody who has devices is looked at."""
        if any(_with_new_spec(old, new)):
            for claim in claims.store.list():
                yield from consumers_of(claim)

    def bound(old: Object | None, new: Object | None) -> Iterable[Key]:
        if new is not None and new["spec"].get("resourceClaims") and node_of(new):
            yield key_of(new)

    reporting = _Reporting(context, rules, pods, devices) if rules is not None else None
    told = reporting.told if reporting is not None else _nobody
    reconciler = DeviceTaintReconciler(pods, devices, context.recorder(NAME), context.clock, told)
    controller = context.controller("device_taint_eviction", reconciler)
    controller.watch(pods.informer, bound)
    controller.watch(claims.informer, of_claim)
    controller.watch(slices.informer, of_slice)
    if rules is None or reporting is None:
        return [controller]
    controller.watch(rules.informer, of_rule)
    return [reporting.controller, controller]


def _nobody(rule: str, evicted: int) -> None:
    """Nothing counts what rules do."""


class _Reporting:
    """The controller of rules, which is told about the pods that leave because of them."""

    def __init__(self, context: Context, rules: Collection, pods: Collection, devices: Devices) -> None:
        self._rules = rules
        self._reconciler = RuleReconciler(rules, pods, devices, context.clock)
        self.controller = context.controller("device_taint_rules", self._reconciler)
        self.controller.watch(rules.informer, _with_new_spec)
        for other in (pods, devices.claims, devices.slices):
            self.controller.watch(other.informer, lambda old, new: ())

    def told(self, uid: str, evicted: int) -> None:
        """The report comes later: more pods may follow, and the copy has to see what has become of them."""
        self._reconciler.count(uid, evicted)
        for rule in self._rules.store.list():
            if uid_of(rule) == uid:
                self.controller.queue.add_after(key_of(rule), PERIOD)


def _with_new_spec(old: Object | None, new: Object | None) -> Iterable[Key]:
    rule = new or old
    if rule is not None and (old is None or new is None or old["spec"] != new["spec"]):
        yield key_of(rule)


CONTROLLER = ControllerSpec(NAME, build, syncs="concurrent_device_taint_eviction_syncs")
