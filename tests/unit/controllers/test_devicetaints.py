"""Pods leave tainted devices; rules that taint devices say how far that has come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controllers.devicetaints import CONTROLLER
from controllers.devicetaints.plan import Eviction, Tainted, eviction_of, taints_of_devices
from controllers.devicetaints.rulestatus import Seen, report
from kubeling.api.meta import Object, condition_of, rfc3339, uid_of
from kubeling.api.resources import DEVICE_TAINT_RULES, EVENTS, PODS, RESOURCE_CLAIMS, RESOURCE_SLICES
from tests.unit.controllers.world import World

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TAINT: Object = {"key": "broken", "effect": "NoExecute", "timeAdded": rfc3339(NOW - timedelta(seconds=10))}
SOFT: Object = {"key": "old", "effect": "NoSchedule"}
EXISTS: Object = {"operator": "Exists", "effect": "NoExecute"}


def slice_(name: str, *taints: Object, generation: int = 1) -> Object:
    device = {"name": "d", "taints": list(taints)}
    pool = {"name": "pool", "generation": generation, "resourceSliceCount": 1}
    return {"metadata": {"name": name}, "spec": {"driver": "drv", "pool": pool, "devices": [device]}}


def using(*tolerations: Object) -> Object:
    result = {"request": "r", "driver": "drv", "pool": "pool", "device": "d", "tolerations": list(tolerations)}
    return {"status": {"allocation": {"devices": {"results": [result]}}}}


def rule(effect: str = "NoExecute", selector: Object | None = None, name: str = "rule", **taint: Any) -> Object:
    spec: Object = {"taint": {"key": "k", "effect": effect, "timeAdded": TAINT["timeAdded"], **taint}}
    spec["deviceSelector"] = {} if selector is None else selector
    return {"metadata": {"name": name, "uid": f"uid-{name}", "generation": 1}, "spec": spec}


@pytest.mark.parametrize(
    ("slices", "claims", "seconds"),
    [
        ([slice_("s", TAINT)], [using()], 0),
        ([slice_("s", SOFT)], [using()], None),
        ([slice_("s", TAINT)], [], None),
        ([slice_("s", TAINT)], [using(EXISTS)], None),
        ([slice_("s", TAINT)], [using({"operator": "Exists"})], 0),  # a toleration for every effect keeps nobody
        ([slice_("s", TAINT)], [using({**EXISTS, "tolerationSeconds": 30})], 20),
        ([slice_("s", TAINT)], [using({**EXISTS, "tolerationSeconds": 3})], 0),
        ([slice_("s", TAINT)], [using({**EXISTS, "tolerationSeconds": 30}, EXISTS)], None),
        ([slice_("s", TAINT)], [using({**EXISTS, "tolerationSeconds": 30}, {**EXISTS, "tolerationSeconds": 15})], 5),
        ([slice_("s", {**TAINT, "timeAdded": rfc3339(NOW + timedelta(seconds=7))})], [using()], 7),
        ([slice_("s", TAINT), slice_("t", generation=2)], [using()], None),
    ],
)
def test_when_a_pod_must_leave_its_devices(slices: list[Object], claims: list[Object], seconds: int | None) -> None:
    due = eviction_of(claims, Tainted(taints_of_devices(slices)), NOW)
    assert due == (None if seconds is None else Eviction(NOW + timedelta(seconds=seconds)))


@pytest.mark.parametrize(
    ("one", "evicts"),
    [
        (rule(), True),
        (rule(selector={"driver": "drv", "pool": "pool", "device": "d"}), True),
        (rule(selector={"driver": "other"}), False),
        (rule(selector={"pool": "other"}), False),
        (rule(selector={"device": "other"}), False),
        (rule("NoSchedule"), False),
        (rule("None"), False),
    ],
)
def test_rules_taint_what_they_select(one: Object, evicts: bool) -> None:
    due = eviction_of([using()], Tainted({}, [one]), NOW)
    assert due == (Eviction(NOW, frozenset({"uid-rule"})) if evicts else None)


def test_a_rule_without_a_selector_taints_nothing() -> None:
    one = rule()
    del one["spec"]["deviceSelector"]
    assert eviction_of([using()], Tainted({}, [one]), NOW) is None


def pod(name: str, namespace: str = "ns") -> Object:
    return {"metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}"}, "spec": {"nodeName": "n"}}


def claim_for(*names: str, namespace: str = "ns") -> Object:
    reserved = [{"resource": "pods", "name": n, "uid": f"uid-{n}"} for n in names]
    return {
        "metadata": {"name": "c", "namespace": namespace},
        "status": {**using()["status"], "reservedFor": reserved},
    }


NO_EFFECT = (
    "if the effect was NoExecute. This information will not be updated again. Recreate the DeviceTaintRule to trigger an "
    "update."
)


@pytest.mark.parametrize(
    ("one", "pods", "evicted", "wanted"),
    [
        (rule(), ["p"], 0, ("True", "PodsPendingEviction", "1 pod needs to be evicted in 1 namespace.")),
        (
            rule(),
            ["p", "q"],
            1,
            (
                "True",
                "PodsPendingEviction",
                "2 pods need to be evicted in 2 different namespaces. 1 pod evicted since starting the controller.",
            ),
        ),
        (rule(), [], 0, ("False", "NotStarted", "")),
        (rule(), [], 2, ("False", "Completed", "2 pods evicted since starting the controller.")),
        (
            rule("NoSchedule"),
            ["p"],
            0,
            ("False", "OtherEffect", "Eviction only happens for the NoExecute effect."),
        ),
        (
            rule("None"),
            ["p", "q"],
            0,
            (
                "False",
                "NoEffect",
                "1 published device selected. 2 allocated devices selected. 2 pods would be evicted in 2 different "
                f"namespaces {NO_EFFECT}",
            ),
        ),
        (
            rule("None", {"driver": "other"}),
            ["p"],
            0,
            (
                "False",
                "NoEffect",
                "0 published devices selected. 0 allocated devices selected. 0 pods would be evicted in 0 different "
                f"namespaces {NO_EFFECT}",
            ),
        ),
    ],
)
def test_what_a_rule_says(one: Object, pods: list[str], evicted: int, wanted: tuple[str, str, str]) -> None:
    there = [pod(p, f"ns-{p}") for p in pods]
    claims = [claim_for(p, namespace=f"ns-{p}") for p in pods]
    condition = report(one, Seen(there, claims, [slice_("s")]), evicted, NOW)
    assert condition is not None
    assert (condition["status"], condition["reason"], condition["message"]) == wanted
    assert (condition["type"], condition["observedGeneration"]) == ("EvictionInProgress", 1)
    told = {**one, "status": {"conditions": [condition]}}
    assert report(told, Seen(there, claims, [slice_("s")]), evicted, NOW + timedelta(hours=1)) is None


def holding(w: World, *tolerations: Object) -> None:
    """The pod p has the device."""
    made = w.create(PODS, "p", {"nodeName": "n", "resourceClaims": [{"name": "gpu", "resourceClaimName": "c"}]})
    reserved = {"resource": "pods", "name": "p", "uid": uid_of(made)}
    w.create(RESOURCE_CLAIMS, "c", {})
    status = {**using(*tolerations)["status"], "reservedFor": [reserved]}
    w.api.update(RESOURCE_CLAIMS, "ns", "c", lambda o: o.update(status=status))


async def test_a_pod_leaves_a_device_that_is_tainted() -> None:
    async with World(CONTROLLER) as w:
        w.api.create(RESOURCE_SLICES, slice_("s"))
        holding(w)
        await w.settle()
        assert "deletionTimestamp" not in w.get(PODS, "p")["metadata"]
        w.api.update(RESOURCE_SLICES, "", "s", lambda o: o["spec"]["devices"][0].update(taints=[TAINT]))
        await w.settle()
        gone = w.get(PODS, "p")
        condition = condition_of(gone, "DisruptionTarget")
        assert condition is not None and condition["reason"] == "DeletionByDeviceTaintManager"
        assert "deletionTimestamp" in gone["metadata"]
        assert [e["reason"] for e in w.api.all(EVENTS)] == ["DeviceTaintManagerEviction"]


def said(w: World) -> tuple[str, str, str]:
    condition = condition_of(w.get(DEVICE_TAINT_RULES, "rule"), "EvictionInProgress")
    assert condition is not None
    return condition["status"], condition["reason"], condition["message"]


async def test_a_pod_leaves_a_device_because_of_a_rule_which_says_so_later() -> None:
    async with World(CONTROLLER, feature_gates=["DRADeviceTaintRules=true"]) as w:
        w.api.create(RESOURCE_SLICES, slice_("s"))
        holding(w)
        w.api.create(DEVICE_TAINT_RULES, rule("None"))
        await w.settle()
        assert said(w)[:2] == ("False", "NoEffect") and "1 pod would be evicted in 1 namespace" in said(w)[2]

        def evict(obj: Object) -> None:
            obj["spec"]["taint"]["effect"] = "NoExecute"
            obj["metadata"]["generation"] = 2

        w.api.update(DEVICE_TAINT_RULES, "", "rule", evict)
        await w.settle(11)
        assert "deletionTimestamp" in w.get(PODS, "p")["metadata"]
        assert said(w) == ("False", "Completed", "1 pod evicted since starting the controller.")


async def test_an_eviction_ends_with_its_rule() -> None:
    async with World(CONTROLLER, feature_gates=["DRADeviceTaintRules=true"]) as w:
        holding(w, {**EXISTS, "tolerationSeconds": 600})
        w.api.create(DEVICE_TAINT_RULES, rule(timeAdded=rfc3339(w.clock.now())))
        await w.settle()
        assert said(w) == ("True", "PodsPendingEviction", "1 pod needs to be evicted in 1 namespace.")
        w.api.delete(DEVICE_TAINT_RULES, "", "rule")
        await w.settle()
        assert [e["message"] for e in w.api.all(EVENTS)] == ["Cancelling deletion"]
        await w.clock.advance(700)
        await w.settle()
        assert "deletionTimestamp" not in w.get(PODS, "p")["metadata"]


async def test_without_the_feature_rules_count_for_nothing() -> None:
    async with World(CONTROLLER) as w:
        holding(w)
        w.api.create(DEVICE_TAINT_RULES, rule())
        await w.settle()
        assert "deletionTimestamp" not in w.get(PODS, "p")["metadata"]
        assert "status" not in w.get(DEVICE_TAINT_RULES, "rule")
