"""Quality of service class of a pod (k8s.io/kubernetes/pkg/apis/core/v1/helper/qos)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubelet.pods import spec as podspec
from kubeling.api import quantity
from kubeling.api.meta import Object

GUARANTEED, BURSTABLE, BEST_EFFORT = "Guaranteed", "Burstable", "BestEffort"
_COUNTED = ("cpu", "memory")


def qos_class(pod: Object) -> str:
    """From the pod's own resources where it has some, else from all its containers'."""
    own = podspec.spec_of(pod).get("resources") or {}
    sources = (
        [own]
        if own.get("requests") or own.get("limits")
        else [c.get("resources") or {} for c in [*podspec.containers(pod), *podspec.init_containers(pod)]]
    )
    if not any(_positive(s.get(f)) for s in sources for f in ("requests", "limits")):
        return BEST_EFFORT
    return GUARANTEED if all(_guaranteed(s) for s in sources) else BURSTABLE


def _positive(resources: Mapping[str, Any] | None) -> dict[str, quantity.Quantity]:
    parsed = {k: quantity.parse(v) for k, v in (resources or {}).items() if k in _COUNTED}
    return {k: v for k, v in parsed.items() if v.value > 0}


def _guaranteed(resources: Mapping[str, Any]) -> bool:
    limits = _positive(resources.get("limits"))
    requests = limits | _positive(resources.get("requests"))
    return len(limits) == len(_COUNTED) and all(requests[k].value == limits[k].value for k in _COUNTED)
