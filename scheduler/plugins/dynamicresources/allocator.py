"""Which devices serve the requests of a pod's claims on a node: pure, a search that tries every way there is.

Source: k8s.io/dynamic-resource-allocation/structured and the documentation "Dynamic Resource Allocation".
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubeling.api.meta import Object
from kubeling.api.placement import untolerated
from kubeling.api.quantity import parse
from scheduler.framework.status import PluginError
from scheduler.plugins.dynamicresources.capacity import Amounts, Shared, consumption, resolved
from scheduler.plugins.dynamicresources.devices import Device, DeviceId, node_selector
from scheduler.plugins.dynamicresources.selectors import SelectorError

Matches = Callable[[str, Device], bool]
"""Whether a CEL expression selects a device. Raises SelectorError when it cannot be evaluated."""


class Unallocatable(Exception):
    """No node can serve the claim; the message is for the user."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One request, or one of its alternatives. ``count`` None: all devices that match."""

    name: str
    device_class: Object
    spec: Mapping[str, Any]

    @property
    def count(self) -> int | None:
        return None if self.spec.get("allocationMode") == "All" else int(self.spec.get("count") or 1)

    def selectors(self, claim: Object) -> Iterator[tuple[str, str]]:
        """Where each stands, as errors say it, and its expression: the class's first, then the request's own."""
        metadata = claim["metadata"]
        places = (
            (f"class {self.device_class['metadata']['name']}", self.device_class.get("spec") or {}),
            (f"claim {metadata['namespace']}/{metadata['name']}", self.spec),
        )
        for place, source in places:
            for i, selector in enumerate(source.get("selectors") or ()):
                yield f"{place}: selector #{i}", selector["cel"]["expression"]

    @property
    def capacity(self) -> Mapping[str, Any]:
        """What a device has to have, or to give, of each capacity."""
        return (self.spec.get("capacity") or {}).get("requests") or {}

    @property
    def admin(self) -> bool:
        """Watches over devices that others use; takes nothing."""
        return bool(self.spec.get("adminAccess"))


@dataclass(frozen=True, slots=True)
class Chosen:
    """``amounts``: what it takes of a device that others may use, too; None for a device of one's own."""

    wanted: Wanted
    device: Device
    amounts: Amounts | None = None


def requests_of(claim: Object, classes: Mapping[str, Object]) -> list[list[Wanted]]:
    """The alternatives of each request, best first. Raises Unallocatable for a class that does not exist."""
    found = []
    for request in ((claim.get("spec") or {}).get("devices") or {}).get("requests") or ():
        name = request["name"]
        if request.get("firstAvailable"):
            alternatives = [(f"{name}/{sub['name']}", sub) for sub in request["firstAvailable"]]
        else:
            alternatives = [(name, request.get("exactly") or {})]
        found.append([_wanted(full, spec, classes) for full, spec in alternatives])
    return found


def _wanted(name: str, spec: Mapping[str, Any], classes: Mapping[str, Object]) -> Wanted:
    class_name = spec.get("deviceClassName", "")
    if class_name not in classes:
        raise Unallocatable(f"request {name}: device class {class_name} does not exist")
    return Wanted(name, classes[class_name], spec)


class Allocator:
    """Devices for the claims of one pod on one node. ``allocate`` raises PluginError where a selector cannot be evaluated.

    ``used``: the devices that somebody has for himself; ``shared``: what else is left; ``node``: its name.
    """

    def __init__(
        self, devices: Sequence[Device], used: Iterable[DeviceId], matches: Matches, shared: Shared | None = None,
        node: str = "",
    ) -> None:  # fmt: skip
        self._devices = devices
        self._used = set(used)
        self._matches = matches
        self._shared = shared or Shared()
        self._node = node

    def allocate(self, claims: Sequence[tuple[Object, list[list[Wanted]]]]) -> list[Object] | None:
        """An AllocationResult for each claim with its requests; None when the node cannot serve them all."""
        if not claims:
            return []
        claim, requests = claims[0]
        for chosen in self._served(claim, requests, []):
            taken = [c for c in chosen if not c.wanted.admin]
            self._take(taken, 1)
            rest = self.allocate(claims[1:])
            if rest is not None:
                return [allocation_of(claim, chosen, self._node), *rest]
            self._take(taken, -1)
        return None

    def _take(self, chosen: Sequence[Chosen], sign: int) -> None:
        own = {c.device.id for c in chosen if c.amounts is None}
        self._used = self._used | own if sign > 0 else self._used - own
        for one in chosen:
            self._shared.take(one.device, one.amounts or {}, sign)

    def _served(self, claim: Object, requests: list[list[Wanted]], chosen: list[Chosen]) -> Iterator[list[Chosen]]:
        """Every way to serve the requests, the better alternatives first."""
        if not requests:
            yield chosen
            return
        for wanted in requests[0]:
            for more in self._ways(claim, wanted, chosen):
                yield from self._served(claim, requests[1:], [*chosen, *more])

    def _ways(self, claim: Object, wanted: Wanted, chosen: list[Chosen]) -> Iterator[list[Chosen]]:
        fitting = [d for d in self._devices if self._fits(claim, wanted, d)]
        if wanted.count is None:
            everything: list[Chosen] = []
            for device in fitting:
                everything.append(self._chosen(wanted, device))
            free = all(self._is_free(c, [*chosen, *everything[:i]]) for i, c in enumerate(everything))
            if everything and free and constraints_hold(claim, [*chosen, *everything]):
                yield everything
            return
        yield from self._some(claim, wanted, fitting, wanted.count, chosen, [])

    def _some(
        self, claim: Object, wanted: Wanted, fitting: Sequence[Device], count: int, chosen: list[Chosen],
        picked: list[Chosen],
    ) -> Iterator[list[Chosen]]:  # fmt: skip
        if len(picked) == count:
            yield picked
            return
        for i, device in enumerate(fitting):
            one = self._chosen(wanted, device)
            more = [*picked, one]
            if self._is_free(one, [*chosen, *picked]) and constraints_hold(claim, [*chosen, *more]):
                rest = fitting[i if one.amounts is not None else i + 1 :]  # a shared device may serve again
                yield from self._some(claim, wanted, rest, count, chosen, more)

    def _fits(self, claim: Object, wanted: Wanted, device: Device) -> bool:
        tolerations = wanted.spec.get("tolerations") or ()
        if untolerated(device.spec.get("taints") or (), tolerations, ("NoSchedule", "NoExecute")):
            return False
        if not _has_capacity(wanted, device):
            return False
        for place, expression in wanted.selectors(claim):
            try:
                if not self._matches(expression, device):
                    return False
            except SelectorError as err:
                raise PluginError(f"{place}: {err}") from None
        return True

    def _chosen(self, wanted: Wanted, device: Device) -> Chosen:
        amounts = consumption(device, wanted.capacity) if device.is_shared and not wanted.admin else None
        return Chosen(wanted, device, amounts)

    def _is_free(self, one: Chosen, chosen: Iterable[Chosen]) -> bool:
        if one.wanted.admin:
            return True
        others = [c for c in chosen if not c.wanted.admin]
        same = [c for c in others if c.device.id == one.device.id]
        if one.amounts is not None:
            given = [c.amounts for c in same if c.amounts is not None]
            free = self._shared.has_capacity(one.device, one.amounts, given)
        else:
            free = one.device.id not in self._used and not same
        return free and self._shared.has_counters(one.device, (c.device for c in others))


def _has_capacity(wanted: Wanted, device: Device) -> bool:
    """Whether the device has, or may give, as much of each capacity as is asked for."""
    if device.is_shared and not wanted.admin:
        return consumption(device, wanted.capacity) is not None
    asked = resolved(device, wanted.capacity)
    capacity = device.spec.get("capacity") or {}
    return asked is not None and all(parse(capacity[n]["value"]).value >= a.value for n, a in asked.items())


def constraints_hold(claim: Object, chosen: Iterable[Chosen]) -> bool:
    """Whether what was chosen so far has in common what the claim asks for."""
    picked = list(chosen)
    for constraint in ((claim.get("spec") or {}).get("devices") or {}).get("constraints") or ():
        attribute = constraint.get("matchAttribute")
        if attribute:
            devices = [c.device for c in picked if _concerns(constraint, c.wanted.name)]
            values = [d.attribute(attribute) for d in devices]
            if any(v is None or v != values[0] for v in values):
                return False
        distinct = constraint.get("distinctAttribute")
        if distinct:
            values = [c.device.attribute(distinct) for c in picked if _concerns(constraint, c.wanted.name)]
            if any(v is None or v in values[:i] for i, v in enumerate(values)):
                return False
    return True


def _concerns(entry: Mapping[str, Any], request: str) -> bool:
    """Whether a constraint or configuration is for the request: named, its parent named, or for all of them."""
    names = entry.get("requests") or ()
    return not names or request in names or request.partition("/")[0] in names


def allocation_of(claim: Object, chosen: Sequence[Chosen], node: str = "") -> Object:
    """The AllocationResult, made for the node of that name."""
    results = []
    for one in chosen:
        driver, pool, name = one.device.id
        result: Object = {"request": one.wanted.name, "driver": driver, "pool": pool, "device": name}
        if one.wanted.admin:
            result["adminAccess"] = True
        if one.wanted.spec.get("tolerations"):
            result["tolerations"] = one.wanted.spec["tolerations"]
        if one.amounts is not None:
            result["consumedCapacity"] = {name: str(amount) for name, amount in one.amounts.items()}
            result["shareID"] = str(uuid.uuid4())
        for conditions in ("bindingConditions", "bindingFailureConditions"):
            if one.device.spec.get(conditions):
                result[conditions] = list(one.device.spec[conditions])
        results.append(result)
    devices: Object = {"results": results}
    config = _config(claim, chosen)
    if config:
        devices["config"] = config
    selector = node_selector((c.device for c in chosen), node)
    return {"devices": devices, **({"nodeSelector": selector} if selector else {})}


def _config(claim: Object, chosen: Sequence[Chosen]) -> list[Object]:
    """What drivers are told: the classes' configuration first, the claim's after it, for it wins."""
    found: list[Object] = []
    names = list(dict.fromkeys(c.wanted.name for c in chosen))
    by_name = {c.wanted.name: c.wanted for c in chosen}
    for name in names:
        for entry in (by_name[name].device_class.get("spec") or {}).get("config") or ():
            found.append({"source": "FromClass", "requests": [name], **entry})
    for entry in ((claim.get("spec") or {}).get("devices") or {}).get("config") or ():
        if any(_concerns(entry, name) for name in names):
            found.append({"source": "FromClaim", **entry})
    return found
