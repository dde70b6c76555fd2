"""Devices that have to be made ready for their node before a pod is bound: what a claim's status says of them. Pure.

Source: k8s.io/api/resource/v1 (bindingConditions, bindingFailureConditions), upstream's DynamicResources.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kubeling.api.meta import Object, condition_of, has_condition, name_of

_IDENTITY = ("driver", "pool", "device", "shareID")


@dataclass(frozen=True, slots=True)
class Readiness:
    """``failure``: what went wrong, empty while nothing has; ``ready``: whether all that is waited for is there."""

    ready: bool = True
    failure: str = ""


def readiness_of(claims: Iterable[Object]) -> Readiness:
    """Whether every device of the claims is ready for the pod to be bound."""
    ready = True
    for claim in claims:
        status = claim.get("status") or {}
        told = {_identity(d): d for d in status.get("devices") or ()}
        for result in ((status.get("allocation") or {}).get("devices") or {}).get("results") or ():
            wanted = result.get("bindingConditions") or ()
            device = {"status": {"conditions": told.get(_identity(result), {}).get("conditions") or ()}}
            failed = [c for c in result.get("bindingFailureConditions") or () if has_condition(device, c)]
            if wanted and failed:
                return Readiness(False, f"claim {name_of(claim)} binding failed: {_why(device, failed[0])}")
            ready = ready and all(has_condition(device, c) for c in wanted)
    return Readiness(ready)


def _why(device: Object, condition: str) -> str:
    found = condition_of(device, condition) or {}
    message = json.dumps(found.get("message") or "", ensure_ascii=False)
    return f"reason={found.get('reason') or ''}, message={message}"


def waits_for_binding(allocation: Mapping[str, Any]) -> bool:
    """Whether the allocation has devices that tell when they are ready."""
    results = (allocation.get("devices") or {}).get("results") or ()
    return any(result.get("bindingConditions") for result in results)


def _identity(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(entry.get(field) or "" for field in _IDENTITY)
