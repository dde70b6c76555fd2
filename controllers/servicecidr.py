"""ServiceCIDR: ready to give out addresses; not gone while addresses lie in it that no other range holds.

Source: pkg/controller/servicecidrs.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.collection import Collection
from kubeling.api.meta import Key, Object, condition_of, is_deleting, key_of, labels_of, name_of, parse_time, rfc3339
from kubeling.api.resources import IP_ADDRESSES, SERVICE_CIDRS
from kubeling.client.clock import Clock
from kubeling.client.controller import Result
from kubeling.client.rest import PatchKind

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

NAME = "service-cidr-controller"
FINALIZER = "networking.k8s.io/service-cidr-finalizer"
MANAGED_BY, ALLOCATOR = "ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io"
GRACE = timedelta(seconds=10)  # in which API servers hear of the deletion and stop giving out addresses
READY = ("True", "", "Kubernetes Service CIDR is ready")
BLOCKED = (
    "False",
    "Terminating",
    "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """``finalizer``: add (True) or take away (False); ``ready``: the condition; ``wait``: look again in seconds."""

    finalizer: bool | None = None
    ready: tuple[str, str, str] | None = None
    wait: float = 0


def networks_of(cidr: Object) -> list[Network]:
    return [ipaddress.ip_network(text, strict=False) for text in cidr["spec"].get("cidrs") or ()]


def is_of_a_service(address: Object) -> bool:
    """Whether the API server's allocator keeps the address; others hold no range back."""
    return labels_of(address).get(MANAGED_BY) == ALLOCATOR


def holds(outer: Network, inner: Network) -> bool:
    return outer.version == inner.version and inner.subnet_of(outer)  # type: ignore[arg-type]  # one version


def may_go(cidr: Object, others: Iterable[Object], addresses: Iterable[Address]) -> bool:
    """Whether every address in the range lies in another range too, one that stays."""
    staying = [n for other in others if not is_deleting(other) for n in networks_of(other)]
    for network in networks_of(cidr):
        if any(holds(outer, network) for outer in staying):
            continue
        inside = (a for a in addresses if a in network)
        if any(not any(a in outer for outer in staying) for a in inside):
            return False
    return True


def plan(cidr: Object, others: Iterable[Object], addresses: Iterable[Address], now: datetime) -> Plan:
    """The next step of a range."""
    finalizers = cidr["metadata"].get("finalizers") or ()
    if not is_deleting(cidr):
        ready = condition_of(cidr, "Ready")
        is_ready = ready is not None and ready["status"] == "True"
        return Plan(None if FINALIZER in finalizers else True, None if is_ready else READY)
    if FINALIZER not in finalizers:
        return Plan()
    if not may_go(cidr, others, addresses):
        ready = condition_of(cidr, "Ready")
        told = ready is not None and (ready["status"], ready.get("reason", ""), ready.get("message", "")) == BLOCKED
        return Plan(ready=None if told else BLOCKED)
    left = parse_time(cidr["metadata"]["deletionTimestamp"]) + GRACE - now
    return Plan(wait=left.total_seconds()) if left > timedelta(0) else Plan(finalizer=False)


class ServiceCidrReconciler:
    """Carries out the plan of one range."""

    def __init__(self, cidrs: Collection, addresses: Collection, clock: Clock) -> None:
        self._cidrs, self._addresses, self._clock = cidrs, addresses, clock

    async def reconcile(self, key: Key) -> Result | None:
        cidr = self._cidrs.get(key)
        if cidr is None:
            return None
        others = [c for c in self._cidrs.store.list() if name_of(c) != key.name]
        addresses = [ipaddress.ip_address(name_of(a)) for a in self._addresses.store.list() if is_of_a_service(a)]
        now = self._clock.now()
        decided = plan(cidr, others, addresses, now)
        if decided.finalizer is not None:
            cidr = await self._write_finalizer(cidr, decided.finalizer)
        if decided.ready is not None:
            await self._write_condition(cidr, decided.ready, now)
        return Result(decided.wait) if decided.wait else None

    async def _write_finalizer(self, cidr: Object, present: bool) -> Object:
        kept = [f for f in cidr["metadata"].get("finalizers") or () if f != FINALIZER]
        finalizers = [*kept, FINALIZER] if present else kept
        return await self._cidrs.update({**cidr, "metadata": {**cidr["metadata"], "finalizers": finalizers}})

    async def _write_condition(self, cidr: Object, ready: tuple[str, str, str], now: datetime) -> None:
        """Applied by hand, not by way of ``with_condition``: upstream's ready condition has an empty reason, and keeps it."""
        status, reason, message = ready
        condition = {"type": "Ready", "status": status, "reason": reason, "message": message}
        wanted = {
            "apiVersion": SERVICE_CIDRS.api_version,
            "kind": SERVICE_CIDRS.kind,
            "metadata": {"name": name_of(cidr)},
            "status": {"conditions": [{**condition, "lastTransitionTime": rfc3339(now)}]},
        }
        applied = await self._cidrs.client.patch(
            SERVICE_CIDRS,
            name_of(cidr),
            wanted,
            kind=PatchKind.APPLY,
            subresource="status",
            field_manager=NAME,
            force=True,
        )
        self._cidrs.informer.observe(applied)


def build(context: Context) -> Sequence[Runnable]:
    cidrs, addresses = context.collection(SERVICE_CIDRS), context.collection(IP_ADDRESSES)

    def overlapping(old: Object | None, new: Object | None) -> Iterable[Key]:
        """A range that comes or goes decides about those that overlap it."""
        changed = [n for cidr in (old, new) if cidr is not None for n in networks_of(cidr)]
        for cidr in cidrs.store.list():
            if any(holds(a, b) or holds(b, a) for a in changed for b in networks_of(cidr)):
                yield key_of(cidr)
        if new is not None:
            yield key_of(new)

    def around(old: Object | None, new: Object | None) -> Iterable[Key]:
        """An address that goes may have been the last to hold a range that is on its way out."""
        if new is None and old is not None:
            address = ipaddress.ip_address(name_of(old))
            yield from (
                key_of(c) for c in cidrs.store.list() if is_deleting(c) and any(address in n for n in networks_of(c))
            )

    controller = context.controller("ipaddresses", ServiceCidrReconciler(cidrs, addresses, context.clock))
    controller.watch(cidrs.informer, overlapping)
    controller.watch(addresses.informer, around)
    return [controller]


CONTROLLER = ControllerSpec(NAME, build, account="service-cidrs-controller")
