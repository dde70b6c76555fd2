"""Sums of what a pod's containers ask for, and the defaults of pod-level resources that follow from them.

Source: k8s.io/component-helpers/resource and the pod-level defaults of pkg/apis/core/v1/defaults.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kubeling.api import quantity
from kubeling.api.meta import Object
from kubeling.api.quantity import Quantity

Amounts = dict[str, Quantity]
HUGE_PAGES = "hugepages-"


def is_supported_pod_level(name: str) -> bool:
    """The resources that ``spec.resources`` may name."""
    return name in ("cpu", "memory") or name.startswith(HUGE_PAGES)


def amounts(resources: Mapping[str, Any] | None, field: str) -> Amounts:
    """``limits`` or ``requests`` of resource requirements, parsed."""
    return {name: quantity.parse(text) for name, text in ((resources or {}).get(field) or {}).items()}


def add(left: Amounts, right: Amounts) -> Amounts:
    return left | {name: left[name] + amount if name in left else amount for name, amount in right.items()}


def largest(left: Amounts, right: Amounts) -> Amounts:
    return left | {n: a for n, a in right.items() if n not in left or a.value > left[n].value}


def is_sidecar(container: Mapping[str, Any]) -> bool:
    """An init container that goes on running."""
    return container.get("restartPolicy") == "Always"


def aggregate(spec: Mapping[str, Any], field: str) -> Amounts:
    """The effective ``requests`` or ``limits``: regular containers and sidecars together, or the largest init step."""
    total: Amounts = {}
    for container in spec.get("containers") or ():
        total = add(total, amounts(container.get("resources"), field))
    sidecars: Amounts = {}
    largest_init: Amounts = {}
    for container in spec.get("initContainers") or ():
        own = amounts(container.get("resources"), field)
        if is_sidecar(container):
            total, sidecars = add(total, own), add(sidecars, own)
            own = sidecars
        else:
            own = add(own, sidecars)
        largest_init = largest(largest_init, own)
    return largest(total, largest_init)


def default_pod_level_resources(spec: Object) -> None:
    """Completes ``spec.resources`` where it is partly given; leaves it alone otherwise."""
    resources = spec.get("resources")
    if not resources or not (resources.get("limits") or resources.get("requests")):
        return
    requests = resources.get("requests") or {}
    _complete(resources, "limits", aggregate(spec, "limits"), lambda n: n.startswith(HUGE_PAGES) and n not in requests)
    if resources.get("limits"):
        _complete(resources, "requests", aggregate(spec, "requests"), lambda n: n in ("cpu", "memory"))
        limits = amounts(resources, "limits")
        _complete(resources, "requests", limits, is_supported_pod_level)
    elif _has_supported(resources.get("requests")):
        _complete(
            resources,
            "limits",
            aggregate(spec, "limits"),
            lambda n: n in ("cpu", "memory") and _all_containers_limit(spec, n),
        )


def _has_supported(found: Mapping[str, Any] | None) -> bool:
    return any(is_supported_pod_level(name) for name in found or ())


def _complete(resources: Object, field: str, source: Amounts, wanted: Callable[[str], bool]) -> None:
    missing = {n: str(a) for n, a in source.items() if wanted(n) and n not in (resources.get(field) or {})}
    if missing:
        resources[field] = (resources.get(field) or {}) | missing


def _all_containers_limit(spec: Mapping[str, Any], name: str) -> bool:
    containers = [*(spec.get("containers") or ()), *(c for c in spec.get("initContainers") or () if is_sidecar(c))]
    return all(name in ((c.get("resources") or {}).get("limits") or {}) for c in containers)
