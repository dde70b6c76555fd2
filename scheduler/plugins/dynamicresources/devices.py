"""The devices that a node can use, from the ResourceSlices of all pools: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubeling.api.meta import Object
from kubeling.api.placement import node_terms
from scheduler.model.node import NodeInfo

DeviceId = tuple[str, str, str]
"""Driver, pool, device."""


@dataclass(frozen=True, slots=True)
class Device:
    """``spec`` is the slice's entry; ``where`` what of slice or device says on which nodes it is."""

    id: DeviceId
    spec: Mapping[str, Any]
    where: Mapping[str, Any]

    @property
    def is_shared(self) -> bool:
        """Whether several requests may use the device at once, each a part of its capacity."""
        return bool(self.spec.get("allowMultipleAllocations"))

    def attribute(self, name: str) -> Any:
        """The value of a qualified attribute; a name without a domain is the driver's own. None when it has none."""
        attributes = self.spec.get("attributes") or {}
        if name in attributes:
            return attributes[name]
        domain, _, own = name.rpartition("/")
        return attributes.get(own) if domain == self.id[0] else None


def devices_on(node: NodeInfo, slices: Iterable[Object]) -> list[Device]:
    """The devices of complete pools in their latest generation that the node can use, in the order of the slices."""
    found = []
    for slice_ in latest(slices):
        spec = slice_["spec"]
        per_device = spec.get("perDeviceNodeSelection")
        for entry in spec.get("devices") or ():
            where = entry if per_device else spec
            if _is_there(where, node):
                found.append(Device((spec["driver"], spec["pool"]["name"], entry["name"]), entry, where))
    return found


def latest(slices: Iterable[Object]) -> list[Object]:
    """The slices of each pool's latest generation, where all of them are there.

    Pools with devices that have to be made ready first come last: others serve a pod at once.
    """
    pools: dict[tuple[str, str], list[Object]] = {}
    for slice_ in slices:
        pools.setdefault((slice_["spec"]["driver"], slice_["spec"]["pool"]["name"]), []).append(slice_)
    found: list[Object] = []
    waiting: list[Object] = []
    for pool in pools.values():
        newest = max(_generation(s) for s in pool)
        current = [s for s in pool if _generation(s) == newest]
        if len(current) == int(current[0]["spec"]["pool"].get("resourceSliceCount", 0)):
            ordered = sorted(current, key=lambda s: str(s["metadata"]["name"]))
            (waiting if any(_has_to_wait(s) for s in current) else found).extend(ordered)
    return found + waiting


def _has_to_wait(slice_: Object) -> bool:
    return any(device.get("bindingConditions") for device in slice_["spec"].get("devices") or ())


def tainted(slices: Iterable[Object], rules: Sequence[Object]) -> list[Object]:
    """The slices with the taints that DeviceTaintRules give their devices."""
    return [_with_taints(slice_, rules) for slice_ in slices] if rules else list(slices)


def _with_taints(slice_: Object, rules: Sequence[Object]) -> Object:
    spec = slice_["spec"]
    place = {"driver": spec["driver"], "pool": spec["pool"]["name"]}
    devices = []
    for entry in spec.get("devices") or ():
        device = {**place, "device": entry["name"]}
        more = [r["spec"]["taint"] for r in rules if _rule_selects(r, device)]
        devices.append({**entry, "taints": [*(entry.get("taints") or ()), *more]} if more else entry)
    return {**slice_, "spec": {**spec, "devices": devices}}


def _rule_selects(rule: Object, device: Mapping[str, str]) -> bool:
    """Without a selector none, with an empty one all."""
    selector = rule["spec"].get("deviceSelector")
    return selector is not None and all(selector.get(field) in (None, value) for field, value in device.items())


def _generation(slice_: Object) -> int:
    return int(slice_["spec"]["pool"].get("generation", 0))


def _is_there(where: Mapping[str, Any], node: NodeInfo) -> bool:
    if where.get("nodeName"):
        return bool(where["nodeName"] == node.name)
    if where.get("allNodes"):
        return True
    return selects(where.get("nodeSelector"), node)


def selects(selector: Mapping[str, Any] | None, node: NodeInfo) -> bool:
    """Whether a NodeSelector matches; a missing one matches nothing."""
    terms = node_terms(selector) if selector else None
    return terms is not None and any(t.matches(node.name, node.labels) for t in terms)


def node_selector(devices: Iterable[Device], chosen: str = "") -> Object | None:
    """Where an allocation of these devices can be used; None: everywhere. ``chosen``: the node it was made for."""
    devices = list(devices)
    if chosen and any(device.spec.get("bindsToNode") for device in devices):
        return _only(chosen)
    requirements: dict[str, list[Object]] = {"matchFields": [], "matchExpressions": []}
    for device in devices:
        name = device.where.get("nodeName")
        if name:
            return _only(name)
        for term in (device.where.get("nodeSelector") or {}).get("nodeSelectorTerms") or ():
            for section, known in requirements.items():
                known += [r for r in term.get(section) or () if r not in known]
    term = {section: known for section, known in requirements.items() if known}
    return {"nodeSelectorTerms": [term]} if term else None


def _only(name: str) -> Object:
    """A NodeSelector for one node."""
    field = {"key": "metadata.name", "operator": "In", "values": [name]}
    return {"nodeSelectorTerms": [{"matchFields": [field]}]}
