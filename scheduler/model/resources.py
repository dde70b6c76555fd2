"""How much of what a pod asks for and a node offers: ``cpu`` in milli-units, everything else in whole units.

Rules: init containers count with their maximum, restartable ones (sidecars) stay and add up; pod-level requests replace the sum;
overhead comes on top (https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#resource-sharing-within-containers).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeling.api.quantity import parse

Amounts = dict[str, int]

# what a container that asks for nothing is assumed to use when nodes are compared
DEFAULT_CPU = 100
DEFAULT_MEMORY = 200 << 20


def amounts(listed: Mapping[str, Any] | None) -> Amounts:
    """A ResourceList as numbers."""
    return {name: parse(q).milli() if name == "cpu" else parse(q).integer() for name, q in (listed or {}).items()}


def _requests(container: Mapping[str, Any], assumed: Mapping[str, int]) -> Amounts:
    return {**assumed, **amounts((container.get("resources") or {}).get("requests"))}


def _add(into: Amounts, more: Mapping[str, int]) -> None:
    for name, amount in more.items():
        into[name] = into.get(name, 0) + amount


def _raise(into: Amounts, other: Mapping[str, int]) -> None:
    for name, amount in other.items():
        if amount > into.get(name, 0):
            into[name] = amount


def pod_requests(spec: Mapping[str, Any], assumed: Mapping[str, int] | None = None) -> Amounts:
    """What a pod asks for; ``assumed`` are the amounts of a container that names none itself."""
    assumed = assumed or {}
    total: Amounts = {}
    for container in spec.get("containers") or ():
        _add(total, _requests(container, assumed))
    sidecars: Amounts = {}
    highest: Amounts = {}
    for container in spec.get("initContainers") or ():
        asked = _requests(container, assumed)
        if container.get("restartPolicy") == "Always":
            _add(total, asked)
            _add(sidecars, asked)
            asked = dict(sidecars)
        else:
            _add(asked, sidecars)
        _raise(highest, asked)
    _raise(total, highest)
    total.update(amounts((spec.get("resources") or {}).get("requests")))
    _add(total, amounts(spec.get("overhead")))
    return total


def assumed_requests(spec: Mapping[str, Any]) -> tuple[int, int]:
    """CPU and memory of a pod, with the default assumption for containers without requests."""
    asked = pod_requests(spec, {"cpu": DEFAULT_CPU, "memory": DEFAULT_MEMORY})
    return asked.get("cpu", 0), asked.get("memory", 0)
