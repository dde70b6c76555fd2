"""How the server's concurrency is divided among priority levels, and lent by those that do not need theirs.

Source: KEP-1040 and documentation "API Priority and Fairness" (nominal limits, lending and borrowing).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kubeling.api.meta import Object

_ROUNDS = 60
_SMOOTHING = 0.977
"""What is kept of the last period's demand when it falls (upstream's seatDemandSmoothingCoefficient)."""


@dataclass(frozen=True, slots=True)
class Share:
    """Seats that a level nominally has, that it keeps at least, and that it may have at most."""

    nominal: int
    least: int
    most: int


def shares_of(specs: Sequence[Object], total: int) -> list[Share]:
    """The shares of levels by their specs, in their order; ``total`` seats are there to divide."""
    limits = [spec.get("limited" if spec.get("type") == "Limited" else "exempt") or {} for spec in specs]
    weights = [_number(limit, "nominalConcurrencyShares", 30 if "limitResponse" in limit else 0) for limit in limits]
    everything = sum(weights) or 1
    found = []
    for limit, weight in zip(limits, weights, strict=True):
        nominal = math.ceil(total * weight / everything)
        lendable = round(nominal * _number(limit, "lendablePercent", 0) / 100)
        borrowing = limit.get("borrowingLimitPercent")
        most = total if borrowing is None else nominal + round(nominal * borrowing / 100)
        found.append(Share(nominal, nominal - lendable, most))
    return found


def _number(limit: Object, field: str, default: int) -> int:
    value = limit.get(field)
    return default if value is None else int(value)


def smoothed(before: float, seen: float) -> float:
    """Demand that grows at once and falls slowly."""
    return max(seen, _SMOOTHING * before + (1 - _SMOOTHING) * seen)


def divided(shares: Sequence[Share], demands: Sequence[float], total: int) -> list[int]:
    """The seats each level gets: as fair a fraction of its demand as the total allows, within its bounds.

    Nobody's demand counts for less than what the level keeps in any case. Every level gets one seat at least.
    """
    targets = [max(share.least, demand, 1) for share, demand in zip(shares, demands, strict=True)]

    def at(fraction: float) -> list[float]:
        pairs = zip(shares, targets, strict=True)
        return [min(max(share.least, fraction * target), max(share.most, share.least)) for share, target in pairs]

    low, high = 0.0, float(max(total, 1))
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        if sum(at(middle)) > total:
            high = middle
        else:
            low = middle
    return [max(1, round(seats)) for seats in at(low)]
