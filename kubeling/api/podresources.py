"""What a pod asks for and is limited to in all: the sums that limits, quotas and autoscalers are about.

Source: k8s.io/component-helpers/resource (containers run together, init containers one after the other, restartable ones
from their turn on, overhead on top; values given for the whole pod count instead of the sum; while a resize is under way the
larger of old and new counts).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kubeling.api import quantity
from kubeling.api.meta import Object, condition_of
from kubeling.api.quantity import Quantity

Resources = dict[str, Quantity]
_POD_LEVEL = ("cpu", "memory")


def resources(values: Mapping[str, object] | None) -> Resources:
    return {name: quantity.parse(value) for name, value in (values or {}).items()}


def add(one: Resources, other: Resources) -> Resources:
    return {
        name: one[name] + other[name] if name in one and name in other else one.get(name) or other[name]
        for name in one | other
    }


def total(parts: Iterable[Resources]) -> Resources:
    found: Resources = {}
    for part in parts:
        found = add(found, part)
    return found


def largest(one: Resources, other: Resources) -> Resources:
    result = dict(one)
    for name, value in other.items():
        if name not in result or value.value > result[name].value:
            result[name] = value
    return result


def pod_requests(pod: Object, *, observed: bool = False) -> Resources:
    """``observed``: what the node has given to the containers counts, too, where it is more."""
    return _total(pod, "requests", observed)


def pod_limits(pod: Object, *, observed: bool = False) -> Resources:
    return _total(pod, "limits", observed)


def pod_level(pod: Object, field: str) -> Resources:
    """What is given for the whole pod, as far as it counts instead of the containers' sums."""
    given = resources(((pod.get("spec") or {}).get("resources") or {}).get(field))
    return {name: value for name, value in given.items() if name in _POD_LEVEL or name.startswith("hugepages-")}


def of_container(container: Object, field: str) -> Resources:
    return resources((container.get("resources") or {}).get(field))


def _total(pod: Object, field: str, observed: bool) -> Resources:
    spec = pod.get("spec") or {}
    given = _given(pod, field) if observed else {}
    infeasible = observed and _is_infeasible(pod)

    def of(container: Object) -> Resources:
        own, seen = of_container(container, field), given.get(container.get("name", ""))
        if seen is None:
            return own
        return seen if infeasible else largest(own, seen)

    running = total(of(container) for container in spec.get("containers") or ())
    restartable: Resources = {}
    starting: Resources = {}
    for container in spec.get("initContainers") or ():
        if container.get("restartPolicy") == "Always":
            restartable = add(restartable, of(container))
            own = restartable
        else:
            own = add(of_container(container, field), restartable)
        starting = largest(starting, own)
    found = largest(add(running, restartable), starting) | pod_level(pod, field)
    overhead = resources(spec.get("overhead"))
    if field == "limits":  # a limit is raised, never made, by overhead
        overhead = {name: value for name, value in overhead.items() if name in found}
    return add(found, overhead)


def _given(pod: Object, field: str) -> dict[str, Resources]:
    """By container, what its status says that it has; containers whose status says nothing are left out."""
    status = pod.get("status") or {}
    found = {}
    for one in (*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())):
        if one.get("resources") is not None:
            has = resources(one["resources"].get(field))
            allocated = resources(one.get("allocatedResources")) if field == "requests" else {}
            found[one["name"]] = largest(has, allocated)
    return found


def _is_infeasible(pod: Object) -> bool:
    """The node can never give what a resize asks for: it does not count."""
    return (condition_of(pod, "PodResizePending") or {}).get("reason") == "Infeasible"
