"""How fast nodes of a zone may be given up, from how many of them are ready. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from controllers.nodelifecycle.health import ready_status
from kubeling.api.meta import Object, labels_of

EXCLUDED = "node.kubernetes.io/exclude-disruption"


class ZoneState(Enum):
    """``FULL``: no node of the zone is ready; ``PARTIAL``: too many are not."""

    NORMAL = "Normal"
    PARTIAL = "PartialDisruption"
    FULL = "FullDisruption"


@dataclass(frozen=True, slots=True)
class Rates:
    """Nodes a second, and what makes a zone large or unhealthy."""

    normal: float
    secondary: float
    large: int
    threshold: float


def zone_of(node: Mapping[str, Any]) -> str:
    labels = labels_of(node)
    return f"{labels.get('topology.kubernetes.io/region', '')}:\x00:{labels.get('topology.kubernetes.io/zone', '')}"


def state_of(nodes: Iterable[Object], threshold: float) -> ZoneState:
    readiness = [ready_status(node) == "True" for node in nodes]
    ready, not_ready = sum(readiness), len(readiness) - sum(readiness)
    if ready == 0 and not_ready > 0:
        return ZoneState.FULL
    if not_ready > 2 and not_ready / len(readiness) >= threshold:
        return ZoneState.PARTIAL
    return ZoneState.NORMAL


def zones_of(nodes: Iterable[Object]) -> dict[str, list[Object]]:
    """The nodes that count, by zone: those with the exclude-disruption label say nothing about theirs."""
    by_zone: dict[str, list[Object]] = {}
    for node in nodes:
        if EXCLUDED not in labels_of(node):
            by_zone.setdefault(zone_of(node), []).append(node)
    return by_zone


def all_down(states: Mapping[str, ZoneState]) -> bool:
    """True when no zone has a ready node: then it is more likely we who are cut off, and nothing is evicted."""
    return bool(states) and all(state is ZoneState.FULL for state in states.values())


def rate_of(state: ZoneState, size: int, rates: Rates) -> float:
    """Nodes a second that may be tainted for eviction."""
    if state is ZoneState.PARTIAL:
        return rates.secondary if size > rates.large else 0.0
    return rates.normal
