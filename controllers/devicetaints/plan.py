"""Which taints devices have, and when pods must leave them: pure. Source: pkg/controller/devicetainteviction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kubeling.api.meta import Key, Object, namespace_of, parse_time, uid_of
from kubeling.api.placement import tolerates

NO_EXECUTE = "NoExecute"
Device = tuple[str, str, str]  # driver, pool, name


@dataclass(frozen=True, slots=True)
class Eviction:
    """``rules``: uids of the DeviceTaintRules among its reasons."""

    at: datetime
    rules: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Tainted:
    """What taints devices: the NoExecute taints in their slices, and rules, which count when their effect is that one, too."""

    devices: Mapping[Device, Sequence[Object]]
    rules: Sequence[Object] = ()

    def of(self, device: Device) -> Iterator[tuple[Object, str]]:
        """The taints of a device, each with the uid of the rule that it comes from."""
        for taint in self.devices.get(device, ()):
            yield taint, ""
        for rule in self.rules:
            if effect_of(rule) == NO_EXECUTE and selects(rule, device):
                yield rule["spec"]["taint"], uid_of(rule)


def effect_of(rule: Object) -> str:
    return str((rule["spec"].get("taint") or {}).get("effect", ""))


def selects(rule: Object, device: Device) -> bool:
    """Without a selector none, with an empty one all."""
    selector = rule["spec"].get("deviceSelector")
    if selector is None:
        return False
    wanted = (selector.get(field) for field in ("driver", "pool", "device"))
    return all(w is None or w == have for w, have in zip(wanted, device, strict=True))


def pool_of(slice_: Object) -> tuple[str, str]:
    return slice_["spec"].get("driver", ""), slice_["spec"]["pool"]["name"]


def devices_of(slices: Iterable[Object]) -> Iterator[tuple[Device, Object]]:
    """The devices of each pool's latest generation."""
    known = list(slices)
    latest: dict[tuple[str, str], int] = {}
    for slice_ in known:
        latest[pool_of(slice_)] = max(latest.get(pool_of(slice_), 0), slice_["spec"]["pool"].get("generation", 0))
    for slice_ in known:
        if slice_["spec"]["pool"].get("generation", 0) == latest[pool_of(slice_)]:
            for device in slice_["spec"].get("devices") or ():
                yield (*pool_of(slice_), device["name"]), device


def taints_of_devices(slices: Iterable[Object]) -> dict[Device, list[Object]]:
    """The NoExecute taints by device."""
    found: dict[Device, list[Object]] = {}
    for name, device in devices_of(slices):
        taints = [t for t in device.get("taints") or () if t.get("effect") == NO_EXECUTE]
        if taints:
            found[name] = taints
    return found


def allocated(claim: Object) -> Iterator[tuple[Device, Object]]:
    """The devices that the claim has, each with its result of the allocation."""
    allocation = (claim.get("status") or {}).get("allocation") or {}
    for result in (allocation.get("devices") or {}).get("results") or ():
        yield (result["driver"], result["pool"], result["device"]), result


def eviction_of(claims: Iterable[Object], tainted: Tainted, now: datetime) -> Eviction | None:
    """When a pod with these claims must go: not before ``now``; None when it may stay."""
    moments: list[datetime] = []
    rules: set[str] = set()
    for claim in claims:
        for device, result in allocated(claim):
            for taint, rule in tainted.of(device):
                until = _tolerated_until(result.get("tolerations") or (), taint, now)
                if until is not None:
                    moments.append(until)
                    rules |= {rule} - {""}
    return Eviction(min(moments), frozenset(rules)) if moments else None


def _tolerated_until(tolerations: Sequence[Object], taint: Object, now: datetime) -> datetime | None:
    """None for ever; of several tolerations the shortest counts. Only those for NoExecute keep a pod where it is."""
    used = [t for t in tolerations if t.get("effect") == NO_EXECUTE and tolerates(t, taint)]
    if any(t.get("tolerationSeconds") is None for t in used):
        return None
    seconds = min((max(0, int(t["tolerationSeconds"])) for t in used), default=0)
    since = parse_time(taint["timeAdded"]) if taint.get("timeAdded") else now
    return max(now, since + timedelta(seconds=seconds))


def claims_of(pod: Object, claims: Iterable[Object]) -> list[Object]:
    """Those of the claims that are reserved for this very pod, and not for one that had its name before."""
    return [c for c in claims if any(r.get("uid") == uid_of(pod) for r in _reservations(c))]


def consumers_of(claim: Object) -> Iterable[Key]:
    """Index values: the pods that the claim is reserved for."""
    for reference in _reservations(claim):
        if reference.get("resource") == "pods" and not reference.get("apiGroup"):
            yield Key(namespace_of(claim), reference["name"])


def _reservations(claim: Object) -> Sequence[Object]:
    reserved: Sequence[Object] = (claim.get("status") or {}).get("reservedFor") or ()
    return reserved


def pools_of(claim: Object) -> Iterable[tuple[str, str]]:
    """Index values: the pools that the claim has devices of."""
    return {device[:2] for device, _ in allocated(claim)}
