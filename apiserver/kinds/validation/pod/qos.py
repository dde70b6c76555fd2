"""The quality of service class of a pod (pkg/apis/core/helper/qos)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.kinds.validation.pod.pod_resources import amounts

_COUNTED = ("cpu", "memory")


def qos_class(spec: Mapping[str, Any]) -> str:
    """``Guaranteed``, ``Burstable`` or ``BestEffort``, from pod-level resources where there are any, else from containers."""
    own = spec.get("resources") or {}
    if own.get("limits") or own.get("requests"):
        holders = [own]
    else:
        containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
        holders = [c.get("resources") or {} for c in containers]
    requests, limits = _totals(holders, "requests"), _totals(holders, "limits")
    if not requests and not limits:
        return "BestEffort"
    limited = all(set(_COUNTED) <= set(_positive(holder, "limits")) for holder in holders)
    if limited and requests == limits:
        return "Guaranteed"
    return "Burstable"


def _positive(holder: Mapping[str, Any], field: str) -> dict[str, Any]:
    found = amounts(holder, field)
    return {name: found[name].value for name in _COUNTED if name in found and found[name].value > 0}


def _totals(holders: list[Mapping[str, Any]], field: str) -> dict[str, Any]:
    totals: dict[str, Any] = {}
    for holder in holders:
        for name, value in _positive(holder, field).items():
            totals[name] = totals.get(name, 0) + value
    return totals
