"""ServiceCIDR: ready, and held back from going."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from typing import Any

import pytest

from controllers.servicecidr import ALLOCATOR, BLOCKED, CONTROLLER, FINALIZER, MANAGED_BY, READY, Plan, plan
from kubeling.api.meta import Object, condition_of, name_of
from kubeling.api.resources import IP_ADDRESSES, SERVICE_CIDRS
from tests.unit.controllers.world import World

NOW = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
GOING = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [FINALIZER]}
JUST = {**GOING, "deletionTimestamp": "2026-01-01T00:00:56Z"}


def cidr(*ranges: str, ready: tuple[str, str, str] | None = None, **metadata: Any) -> Object:
    made: Object = {"metadata": {"name": "c", **metadata}, "spec": {"cidrs": list(ranges)}}
    if ready:
        condition = dict(zip(("status", "reason", "message"), ready, strict=True))
        made["status"] = {"conditions": [{"type": "Ready", **condition}]}
    return made


@pytest.mark.parametrize(
    ("one", "others", "addresses", "wanted"),
    [
        (cidr("10.0.0.0/24"), [], [], Plan(finalizer=True, ready=READY)),
        (cidr("10.0.0.0/24", ready=READY, finalizers=[FINALIZER]), [], [], Plan()),
        (cidr("10.0.0.0/24", ready=("True", "", "other words")), [], [], Plan(finalizer=True)),
        (cidr("10.0.0.0/24", **GOING), [], [], Plan(finalizer=False)),
        (cidr("10.0.0.0/24", **JUST), [], [], Plan(wait=6)),
        (cidr("10.0.0.0/24", **GOING), [], ["10.0.0.9"], Plan(ready=BLOCKED)),
        (cidr("10.0.0.0/24", ready=BLOCKED, **GOING), [], ["10.0.0.9"], Plan()),
        (cidr("10.0.0.0/24", **GOING), [], ["10.0.1.9"], Plan(finalizer=False)),
        (cidr("10.0.0.0/24", **GOING), [cidr("10.0.0.0/16")], ["10.0.0.9"], Plan(finalizer=False)),
        (cidr("10.0.0.0/24", **GOING), [cidr("10.0.0.0/28")], ["10.0.0.9"], Plan(finalizer=False)),
        (cidr("10.0.0.0/24", **GOING), [cidr("10.0.0.0/28")], ["10.0.0.9", "10.0.0.99"], Plan(ready=BLOCKED)),
        (cidr("10.0.0.0/24", **GOING), [cidr("10.0.0.0/16", **GOING)], ["10.0.0.9"], Plan(ready=BLOCKED)),
        (cidr("10.0.0.0/24", "fd00::/112", **GOING), [cidr("10.0.0.0/16")], ["fd00::1"], Plan(ready=BLOCKED)),
    ],
)
def test_plan(one: Object, others: list[Object], addresses: list[str], wanted: Plan) -> None:
    assert plan(one, others, [ipaddress.ip_address(a) for a in addresses], NOW) == wanted


async def test_a_range_waits_for_its_last_address() -> None:
    async with World(CONTROLLER) as w:
        w.api.create(SERVICE_CIDRS, cidr("10.0.0.0/24"))
        w.api.create(IP_ADDRESSES, {"metadata": {"name": "10.0.0.7", "labels": {MANAGED_BY: ALLOCATOR}}, "spec": {}})
        w.api.create(IP_ADDRESSES, {"metadata": {"name": "10.0.0.8"}, "spec": {}})  # somebody's own: holds nothing back
        await w.settle()
        stored = w.api.all(SERVICE_CIDRS)[0]
        ready = condition_of(stored, "Ready")
        assert stored["metadata"]["finalizers"] == [FINALIZER] and ready is not None and ready["status"] == "True"
        w.api.delete(SERVICE_CIDRS, "", name_of(stored))
        await w.settle()
        ready = condition_of(w.api.all(SERVICE_CIDRS)[0], "Ready")
        assert ready is not None and (ready["status"], ready["reason"], ready["message"]) == BLOCKED
        w.api.delete(IP_ADDRESSES, "", "10.0.0.7")
        await w.clock.advance(15)
        await w.settle()
        assert w.api.all(SERVICE_CIDRS) == []
