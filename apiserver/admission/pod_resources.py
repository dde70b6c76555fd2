"""What a pod asks for and is limited to in all: the sums that limits and quotas are about.

Source: k8s.io/component-helpers/resource (containers run together, init containers one after the other, restartable ones
from their turn on, overhead on top; values given for the whole pod count instead of the sum).
"""

from __future__ import annotations

from collections.abc import Mapping

from kubeling.api import quantity
from kubeling.api.meta import Object
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


def largest(one: Resources, other: Resources) -> Resources:
    result = dict(one)
    for name, value in other.items():
        if name not in result or value.value > result[name].value:
            result[name] = value
    return result


def pod_requests(pod: Object) -> Resources:
    return _total(pod, "requests")


def pod_limits(pod: Object) -> Resources:
    return _total(pod, "limits")


def of_container(container: Object, field: str) -> Resources:
    return resources((container.get("resources") or {}).get(field))


def _total(pod: Object, field: str) -> Resources:
    spec = pod.get("spec") or {}
    running: Resources = {}
    for container in spec.get("containers") or ():
        running = add(running, of_container(container, field))
    restartable: Resources = {}
    starting: Resources = {}
    for container in spec.get("initContainers") or ():
        own = of_container(container, field)
        if container.get("restartPolicy") == "Always":
            restartable = add(restartable, own)
            own = restartable
        else:
            own = add(own, restartable)
        starting = largest(starting, own)
    total = largest(add(running, restartable), starting)
    given = resources((spec.get("resources") or {}).get(field))
    total |= {name: value for name, value in given.items() if name in _POD_LEVEL or name.startswith("hugepages-")}
    overhead = resources(spec.get("overhead"))
    if field == "limits":  # a limit is raised, never made, by overhead
        overhead = {name: value for name, value in overhead.items() if name in total}
    return add(total, overhead)
