"""How far and how fast a recommendation may be followed: bounds, behaviour policies, stabilization. Pure but for its history."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
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
    if behavior is None:
        stable, why = _highest_recent(wanted, history, now, downscale)
        highest: float = max(2 * current, 4)
        lowest: float = 0
    else:
        up, down = behavior.get("scaleUp") or {}, behavior.get("scaleDown") or {}
        stable, why = _stabilized(current, wanted, history, now, (up, down), downscale)
        highest = max(current, _reach(_UP, up, current, history.changes, now))
        lowest = min(current, _reach(_DOWN, down, current, history.changes, now))
    able = why if stable != wanted else ("True", "ReadyForNewScale", "recommended size matches current size")
    replicas, reason, message = _bounded(spec, stable, highest, lowest)
    return Limited(replicas, able, ("False" if replicas == stable else "True", reason, message))


_LOWER = ("True", "ScaleUpStabilized", _RECENT.format("lower", "lowest"))
_HIGHER = ("True", "ScaleDownStabilized", _RECENT.format("higher", "highest"))


def _highest_recent(wanted: int, history: History, now: datetime, window: int) -> tuple[int, tuple[str, str, str]]:
    """Without rules for the behaviour nothing is given up that was recommended lately."""
    since = now - timedelta(seconds=window)
    return max([wanted, *(size for at, size in history.recommendations if at >= since)]), _HIGHER


def _stabilized(
    current: int, wanted: int, history: History, now: datetime, rules: tuple[Object, Object], downscale: int
) -> tuple[int, tuple[str, str, str]]:
    """As few changes of the current size as bring it between the lowest and the highest recent recommendations."""
    up, down = rules
    own = down.get("stabilizationWindowSeconds")
    windows = int(up.get("stabilizationWindowSeconds") or 0), downscale if own is None else int(own)
    low, high = (
        [wanted, *(size for at, size in history.recommendations if at > now - timedelta(seconds=window))]
        for window in windows
    )
    stable = min(max(current, min(low)), max(high))
    return stable, _LOWER if wanted >= current else _HIGHER


@dataclass(frozen=True, slots=True)
class _Direction:
    """``sign``: whether pods are added or taken away; ``rounded``: how a part of a pod counts."""

    sign: int
    rounded: Callable[[float], int]
    unlimited: float


_UP, _DOWN = _Direction(1, math.ceil, math.inf), _Direction(-1, int, 0)


def _reach(
    way: _Direction, rules: Mapping[str, Any], current: int, changes: Sequence[tuple[datetime, int]], now: datetime
) -> float:
    """How far the policies let the size go now, from where it was at the beginning of each policy's period."""
    if rules.get("selectPolicy") == "Disabled":
        return current
    found: list[float] = []
    for policy in rules.get("policies") or ():
        start = current - sum(_recent(policy, changes, now))
        step = way.sign * policy["value"]
        found.append(start + step if policy["type"] == "Pods" else way.rounded(start * (1 + step / 100)))
    if not found:
        return way.unlimited
    boldest = max if (way.sign > 0) == (rules.get("selectPolicy") != "Min") else min
    return boldest(found)


def _recent(policy: Mapping[str, Any], changes: Sequence[tuple[datetime, int]], now: datetime) -> list[int]:
    since = now - timedelta(seconds=policy["periodSeconds"])
    return [change for at, change in changes if at > since]


def _bounded(spec: Object, wanted: int, highest: float, lowest: float) -> tuple[int, str, str]:
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
