"""What a pod requests in all, and what it is limited to (k8s.io/component-helpers/resource)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubelet.pods import spec as podspec
from kubeling.api import quantity
from kubeling.api.meta import Object

Amounts = dict[str, quantity.Quantity]


def _amounts(found: Mapping[str, Any] | None) -> Amounts:
    return {k: quantity.parse(v) for k, v in (found or {}).items()}


def _of(resources: Mapping[str, Any] | None, kind: str) -> Amounts:
    return _amounts((resources or {}).get(kind))


def _add(left: Amounts, right: Amounts) -> Amounts:
    return left | {k: left[k] + v if k in left else v for k, v in right.items()}


def _most(left: Amounts, right: Amounts) -> Amounts:
    return left | {k: v for k, v in right.items() if k not in left or v.value > left[k].value}


def container_sum(pod: Object, kind: str) -> Amounts:
    """Regular containers and sidecars together, or the hungriest step of initialization if that is more."""
    total: Amounts = {}
    for container in podspec.containers(pod):
        total = _add(total, _of(container.get("resources"), kind))
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in podspec.init_containers(pod):
        own = _of(container.get("resources"), kind)
        if podspec.is_sidecar(container):
            sidecars = _add(sidecars, own)
            peak = _most(peak, sidecars)
        else:
            peak = _most(peak, _add(sidecars, own))
    return _most(_add(total, sidecars), peak)


def pod_requests(pod: Object) -> Amounts:
    """What its containers request, or the pod as a whole where it says so, plus overhead."""
    spec = podspec.spec_of(pod)
    total = container_sum(pod, "requests") | _of(spec.get("resources"), "requests")
    return _add(total, _amounts(spec.get("overhead")))


def pod_limits(pod: Object) -> Amounts:
    """What its containers are limited to, or the pod as a whole where it says so; overhead widens limits that there are."""
    spec = podspec.spec_of(pod)
    total = container_sum(pod, "limits") | _of(spec.get("resources"), "limits")
    overhead = _amounts(spec.get("overhead"))
    return _add(total, {k: v for k, v in overhead.items() if k in total and total[k].value})
