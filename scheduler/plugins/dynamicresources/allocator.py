"""Which devices serve the requests of a pod's claims on a node: pure, a search that tries every way there is.

Source: k8s.io/dynamic-resource-allocation/structured and the documentation "Dynamic Resource Allocation".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubeling.api.meta import Object
from scheduler.framework.status import PluginError
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
    def admin(self) -> bool:
        """Watches over devices that others use; takes nothing."""
        return bool(self.spec.get("adminAccess"))


@dataclass(frozen=True, slots=True)
class Chosen:
    wanted: Wanted
    device: Device


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


def tolerates(tolerations: Iterable[Mapping[str, Any]], taint: Mapping[str, Any]) -> bool:
    return any(
        t.get("effect") in (None, "", taint.get("effect"))
        and (not t.get("key") or t["key"] == taint.get("key"))
        and (t.get("operator") == "Exists" or (t.get("value") or "") == (taint.get("value") or ""))
        for t in tolerations
    )


class Allocator:
    """Devices for the claims of one pod on one node. ``allocate`` raises PluginError where a selector cannot be evaluated."""

    def __init__(self, devices: Sequence[Device], used: Iterable[DeviceId], matches: Matches) -> None:
        self._devices = devices
        self._used = set(used)
        self._matches = matches

    def allocate(self, claims: Sequence[tuple[Object, list[list[Wanted]]]]) -> list[Object] | None:
        """An AllocationResult for each claim with its requests; None when the node cannot serve them all."""
        if not claims:
            return []
        claim, requests = claims[0]
        for chosen in self._served(claim, requests, []):
            taken = {c.device.id for c in chosen if not c.wanted.admin}
            self._used |= taken
            rest = self.allocate(claims[1:])
            if rest is not None:
                return [allocation_of(claim, chosen), *rest]
            self._used -= taken
        return None

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
            everything = [Chosen(wanted, d) for d in fitting]
            free = all(self._is_free(wanted, d, chosen) for d in fitting)
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
            more = [*picked, Chosen(wanted, device)]
            if self._is_free(wanted, device, [*chosen, *picked]) and constraints_hold(claim, [*chosen, *more]):
                yield from self._some(claim, wanted, fitting[i + 1 :], count, chosen, more)

    def _fits(self, claim: Object, wanted: Wanted, device: Device) -> bool:
        tolerations = wanted.spec.get("tolerations") or ()
        for taint in device.spec.get("taints") or ():
            if taint.get("effect") in ("NoSchedule", "NoExecute") and not tolerates(tolerations, taint):
                return False
        for place, expression in wanted.selectors(claim):
            try:
                if not self._matches(expression, device):
                    return False
            except SelectorError as err:
                raise PluginError(f"{place}: {err}") from None
        return True

    def _is_free(self, wanted: Wanted, device: Device, chosen: Iterable[Chosen]) -> bool:
        if wanted.admin:
            return True
        return device.id not in self._used and all(c.device.id != device.id or c.wanted.admin for c in chosen)


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
    return True


def _concerns(entry: Mapping[str, Any], request: str) -> bool:
    """Whether a constraint or configuration is for the request: named, its parent named, or for all of them."""
    names = entry.get("requests") or ()
    return not names or request in names or request.partition("/")[0] in names


def allocation_of(claim: Object, chosen: Sequence[Chosen]) -> Object:
    """The AllocationResult."""
    results = []
    for one in chosen:
        driver, pool, name = one.device.id
        result: Object = {"request": one.wanted.name, "driver": driver, "pool": pool, "device": name}
        if one.wanted.admin:
            result["adminAccess"] = True
        if one.wanted.spec.get("tolerations"):
            result["tolerations"] = one.wanted.spec["tolerations"]
        results.append(result)
    devices: Object = {"results": results}
    config = _config(claim, chosen)
    if config:
        devices["config"] = config
    selector = node_selector(c.device for c in chosen)
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
