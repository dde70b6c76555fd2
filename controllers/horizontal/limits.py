"""How far and how fast a recommendation may be followed: bounds, behaviour policies, stabilization. Pure but for its history."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from kubeling.api.meta import Object

_FASTER = {"ScaleUpLimit": "increasing", "ScaleDownLimit": "decreasing"}
_RECENT = "recent recommendations were {} than current one, applying the {} recent recommendation"


@dataclass
class History:
    """What one autoscaler recommended and did: (when, replicas) and (when, change)."""

    recommendations: list[tuple[datetime, int]] = field(default_factory=list)
    changes: list[tuple[datetime, int]] = field(default_factory=list)

    def forget(self, before: datetime) -> None:
        self.recommendations = [r for r in self.recommendations if r[0] >= before]
        self.changes = [c for c in self.changes if c[0] >= before]


@dataclass(frozen=True, slots=True)
class Limited:
    """The size to go to, and the conditions AbleToScale and ScalingLimited as (status, reason, message)."""

    replicas: int
    able: tuple[str, str, str]
    limited: tuple[str, str, str]


def limit(spec: Object, current: int, wanted: int, history: History, now: datetime, downscale: int) -> Limited:
    """``downscale``: seconds of stabilization before scaling down where the object names none."""
    behavior = spec.get("behavior")
    up, down = ((behavior or {}).get(side) or {} for side in ("scaleUp", "scaleDown"))
    stable, why = _stabilized(current, wanted, history, now, _windows(behavior, up, down, downscale))
    able = why if stable != wanted else ("True", "ReadyForNewScale", "recommended size matches current size")
    if behavior is None:
        highest: float = max(2 * current, 4)
        lowest: float = 0
    else:
        highest = max(current, _highest(up, current, history.changes, now))
        lowest = min(current, _lowest(down, current, history.changes, now))
    replicas, reason, message = _bounded(spec, current, stable, highest, lowest)
    return Limited(replicas, able, ("False" if replicas == stable else "True", reason, message))


def _windows(behavior: Object | None, up: Object, down: Object, downscale: int) -> tuple[int, int]:
    own = down.get("stabilizationWindowSeconds") if behavior is not None else None
    return int(up.get("stabilizationWindowSeconds") or 0), downscale if own is None else int(own)


def _stabilized(
    current: int, wanted: int, history: History, now: datetime, windows: tuple[int, int]
) -> tuple[int, tuple[str, str, str]]:
    rising = wanted >= current
    since = now - timedelta(seconds=windows[0 if rising else 1])
    recent = [size for at, size in history.recommendations if at > since]
    if rising:
        return min([wanted, *recent]), ("True", "ScaleUpStabilized", _RECENT.format("lower", "lowest"))
    return max([wanted, *recent]), ("True", "ScaleDownStabilized", _RECENT.format("higher", "highest"))


def _highest(rules: Mapping[str, Any], current: int, changes: Sequence[tuple[datetime, int]], now: datetime) -> float:
    if rules.get("selectPolicy") == "Disabled":
        return current
    found: list[float] = []
    for policy in rules.get("policies") or ():
        start = current - sum(c for c in _recent(policy, changes, now) if c > 0)
        by_pods = policy["type"] == "Pods"
        found.append(start + policy["value"] if by_pods else math.ceil(start * (1 + policy["value"] / 100)))
    if not found:
        return math.inf
    return min(found) if rules.get("selectPolicy") == "Min" else max(found)


def _lowest(rules: Mapping[str, Any], current: int, changes: Sequence[tuple[datetime, int]], now: datetime) -> float:
    if rules.get("selectPolicy") == "Disabled":
        return current
    found: list[float] = []
    for policy in rules.get("policies") or ():
        start = current - sum(c for c in _recent(policy, changes, now) if c < 0)
        by_pods = policy["type"] == "Pods"
        found.append(start - policy["value"] if by_pods else int(start * (1 - policy["value"] / 100)))
    if not found:
        return 0
    return max(found) if rules.get("selectPolicy") == "Min" else min(found)


def _recent(policy: Mapping[str, Any], changes: Sequence[tuple[datetime, int]], now: datetime) -> list[int]:
    since = now - timedelta(seconds=policy["periodSeconds"])
    return [change for at, change in changes if at > since]


def _bounded(spec: Object, current: int, wanted: int, highest: float, lowest: float) -> tuple[int, str, str]:
    """The bounds of the spec and of the pace, whichever is tighter."""
    least, most = int(spec.get("minReplicas") or 1) if spec.get("minReplicas") != 0 else 0, int(spec["maxReplicas"])
    top, reason_up = (int(highest), "ScaleUpLimit") if most > highest else (most, "TooManyReplicas")
    bottom, reason_down = (int(lowest), "ScaleDownLimit") if least < lowest else (least, "TooFewReplicas")
    if wanted > top:
        return top, reason_up, _message(reason_up)
    if wanted < bottom:
        return bottom, reason_down, _message(reason_down)
    return wanted, "DesiredWithinRange", "the desired count is within the acceptable range"


def _message(reason: str) -> str:
    if reason in _FASTER:
        return f"the desired replica count is {_FASTER[reason]} faster than the maximum scale rate"
    more, bound = ("more", "maximum") if reason == "TooManyReplicas" else ("less", "minimum")
    return f"the desired replica count is {more} than the {bound} replica count"
