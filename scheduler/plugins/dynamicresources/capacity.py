"""What devices draw on together: the counters that partitions share, and the capacity of devices that several requests use.

Source: k8s.io/dynamic-resource-allocation/structured (partitionable devices, consumable capacity).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from typing import Any

from kubeling.api.meta import Object
from kubeling.api.quantity import Quantity, parse
from scheduler.plugins.dynamicresources.devices import Device, DeviceId

CounterKey = tuple[str, str, str, str]
"""Driver, pool, counter set, counter."""
Amounts = Mapping[str, Quantity]
"""By a capacity's name as the device spells it."""


def counters_drawn(driver: str, pool: str, entry: Mapping[str, Any]) -> dict[CounterKey, Decimal]:
    """What a device, given as its slice's entry, takes of shared counters when it is in use."""
    return {
        (driver, pool, drawn["counterSet"], name): parse(counter["value"]).value
        for drawn in entry.get("consumesCounters") or ()
        for name, counter in (drawn.get("counters") or {}).items()
    }


@dataclass
class Shared:
    """What is left of shared counters, what devices that several may use have given away, and how many use each device.

    A device draws on counters once, however many use it.
    """

    counters: dict[CounterKey, Decimal] = field(default_factory=dict)
    given: dict[tuple[DeviceId, str], Decimal] = field(default_factory=dict)
    users: dict[DeviceId, int] = field(default_factory=dict)

    def has_counters(self, device: Device, others: Iterable[Device]) -> bool:
        """Whether the device can be used beside the others, which are about to be taken, too."""
        wanted = counters_drawn(device.id[0], device.id[1], device.spec)
        beside = {o.id: o for o in others if not self.users.get(o.id)}
        if not wanted or self.users.get(device.id) or device.id in beside:
            return True
        drawn = [counters_drawn(o.id[0], o.id[1], o.spec) for o in beside.values()]
        return all(
            amount + sum((d.get(key, Decimal(0)) for d in drawn), Decimal(0)) <= self.counters.get(key, Decimal(-1))
            for key, amount in wanted.items()
        )

    def has_capacity(self, device: Device, amounts: Amounts, others: Iterable[Amounts]) -> bool:
        """Whether the device can give the amounts beside those it is about to give others."""
        known = list(others)
        return all(
            self.given.get((device.id, name), Decimal(0))
            + amount.value
            + sum((o[name].value for o in known if name in o), Decimal(0))
            <= parse(device.spec["capacity"][name]["value"]).value
            for name, amount in amounts.items()
        )

    def take(self, device: Device, amounts: Amounts, sign: int = 1) -> None:
        """Takes what the device draws and gives; with ``sign`` -1 gives it back."""
        before = self.users.get(device.id, 0)
        self.users[device.id] = before + sign
        if 0 in (before, before + sign):
            for key, drawn in counters_drawn(device.id[0], device.id[1], device.spec).items():
                self.counters[key] = self.counters.get(key, Decimal(0)) - sign * drawn
        for name, amount in amounts.items():
            self.given[device.id, name] = self.given.get((device.id, name), Decimal(0)) + sign * amount.value


def shared_of(slices: Iterable[Object], allocations: Iterable[Object]) -> Shared:
    """What is left beside the allocations. ``slices``: the latest of each pool."""
    left = Shared()
    drawn: dict[DeviceId, dict[CounterKey, Decimal]] = {}
    for slice_ in slices:
        spec = slice_["spec"]
        driver, pool = spec["driver"], spec["pool"]["name"]
        for counter_set in spec.get("sharedCounters") or ():
            for name, counter in (counter_set.get("counters") or {}).items():
                left.counters[driver, pool, counter_set["name"], name] = parse(counter["value"]).value
        for entry in spec.get("devices") or ():
            if entry.get("consumesCounters"):
                drawn[driver, pool, entry["name"]] = counters_drawn(driver, pool, entry)
    for result in results_of(allocations):
        device = result["driver"], result["pool"], result["device"]
        left.users[device] = left.users.get(device, 0) + 1
        for name, amount in (result.get("consumedCapacity") or {}).items():
            left.given[device, name] = left.given.get((device, name), Decimal(0)) + parse(amount).value
    for key, amount in (item for device in left.users for item in drawn.get(device, {}).items()):
        left.counters[key] = left.counters.get(key, Decimal(0)) - amount
    return left


def results_of(allocations: Iterable[Object]) -> Iterable[Object]:
    """The devices that allocations have for themselves: those for administration take nothing."""
    for allocation in allocations:
        for result in (allocation.get("devices") or {}).get("results") or ():
            if not result.get("adminAccess"):
                yield result


def consumption(device: Device, requests: Mapping[str, Any]) -> dict[str, Quantity] | None:
    """What a request takes of each capacity of a device that several may use; None where the device does not allow it."""
    capacity = device.spec.get("capacity") or {}
    wanted = resolved(device, requests)
    if wanted is None:
        return None
    amounts = {name: _amount(entry, wanted.get(name)) for name, entry in capacity.items()}
    allowed = all(_is_valid(amounts[name], entry.get("requestPolicy") or {}) for name, entry in capacity.items())
    return amounts if allowed else None


def resolved(device: Device, requests: Mapping[str, Any]) -> dict[str, Quantity] | None:
    """The requests by the names that the device gives its capacities; None when it lacks one."""
    capacity, driver = device.spec.get("capacity") or {}, device.id[0]
    found: dict[str, Quantity] = {}
    for name, amount in requests.items():
        spellings = (name, name.removeprefix(f"{driver}/"), f"{driver}/{name}")
        own = next((spelling for spelling in spellings if spelling in capacity), None)
        if own is None:
            return None
        found[own] = parse(amount)
    return found


def _amount(entry: Mapping[str, Any], wanted: Quantity | None) -> Quantity:
    """The wanted amount, rounded up to what the policy knows; without one the policy's default, else all there is."""
    policy = entry.get("requestPolicy") or {}
    if wanted is None:
        return parse(policy.get("default") or entry["value"])
    limits = policy.get("validRange") or {}
    if limits.get("min") is not None:
        return _stepped(wanted, parse(limits["min"]), limits.get("step"))
    values = [parse(value) for value in policy.get("validValues") or ()]
    return next((value for value in values if value.value >= wanted.value), wanted)


def _stepped(wanted: Quantity, least: Quantity, step: Any) -> Quantity:
    if wanted.value < least.value:
        return least
    if step is None:
        return wanted
    width = parse(step).value
    steps = ((wanted.value - least.value) / width).to_integral_value(rounding=ROUND_CEILING)
    return Quantity(least.value + steps * width, "BinarySI")


def _is_valid(amount: Quantity, policy: Mapping[str, Any]) -> bool:
    limits, values = policy.get("validRange") or {}, policy.get("validValues")
    if limits.get("max") is not None and amount.value > parse(limits["max"]).value:
        return False
    return not values or any(amount.value == parse(value).value for value in values)
