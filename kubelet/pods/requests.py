"""What a pod requests in all (k8s.io/component-helpers/resource)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubelet.pods import spec as podspec
from kubeling.api import quantity
from kubeling.api.meta import Object

Amounts = dict[str, quantity.Quantity]


def _requests(resources: Mapping[str, Any] | None) -> Amounts:
    return {k: quantity.parse(v) for k, v in ((resources or {}).get("requests") or {}).items()}


def _add(left: Amounts, right: Amounts) -> Amounts:
    return left | {k: left[k] + v if k in left else v for k, v in right.items()}


def _most(left: Amounts, right: Amounts) -> Amounts:
    return left | {k: v for k, v in right.items() if k not in left or v.value > left[k].value}


def pod_requests(pod: Object) -> Amounts:
    """Regular containers and sidecars together, or the hungriest step of initialization if that is more, plus overhead."""
    total: Amounts = {}
    for container in podspec.containers(pod):
        total = _add(total, _requests(container.get("resources")))
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in podspec.init_containers(pod):
        own = _requests(container.get("resources"))
        if podspec.is_sidecar(container):
            sidecars = _add(sidecars, own)
            peak = _most(peak, sidecars)
        else:
            peak = _most(peak, _add(sidecars, own))
    total = _most(_add(total, sidecars), peak)
    total |= _requests(podspec.spec_of(pod).get("resources"))
    overhead = {k: quantity.parse(v) for k, v in (podspec.spec_of(pod).get("overhead") or {}).items()}
    return _add(total, overhead)
