from __future__ import annotations

from apiserver.bootstrap.flow import PRIORITY_LEVELS
from apiserver.flowcontrol.shares import Share, divided, shares_of, smoothed


def test_the_default_levels_get_upstreams_nominal_limits() -> None:
    specs = [level["spec"] for level in PRIORITY_LEVELS]
    found = dict(zip((level["metadata"]["name"] for level in PRIORITY_LEVELS), shares_of(specs, 600), strict=True))
    nominal = {name: share.nominal for name, share in found.items()}
    assert nominal == {
        "exempt": 0, "catch-all": 13, "system": 74, "node-high": 98, "leader-election": 25, "workload-high": 98,
        "workload-low": 245, "global-default": 49,
    }  # fmt: skip
    assert found["workload-low"] == Share(245, 25, 600)  # round() of 220.5 is 220


def test_borrowing_can_be_limited() -> None:
    limited = {"nominalConcurrencyShares": 1, "limitResponse": {"type": "Reject"}, "borrowingLimitPercent": 50}
    assert shares_of([{"type": "Limited", "limited": limited}], 10) == [Share(10, 10, 15)]


def test_idle_seats_go_to_those_who_need_them() -> None:
    shares = [Share(50, 10, 100), Share(50, 25, 100)]
    assert divided(shares, [200, 0], 100) == [75, 25]
    assert sum(divided(shares, [200, 200], 100)) == 100
    assert divided(shares, [0, 0], 100) == [29, 71]
    assert divided([Share(0, 0, 5), Share(100, 100, 100)], [50, 100], 100)[0] == 1


def test_demand_falls_slowly() -> None:
    assert smoothed(10, 50) == 50
    assert 99 > smoothed(100, 0) > 97
