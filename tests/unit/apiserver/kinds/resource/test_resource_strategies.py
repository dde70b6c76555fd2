"""What writes of the kinds of dynamic resource allocation keep, stamp and drop."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime

from apiserver.kinds.resource.kinds import RESOURCE_CLAIM, RESOURCE_SLICE
from apiserver.kinds.resource.taintrules import DEVICE_TAINT_RULE
from apiserver.registry.kind import Context
from kubeling.api.meta import Object

CTX = Context(now=datetime(2026, 1, 1, tzinfo=UTC))
NOW, BEFORE = "2026-01-01T00:00:00Z", "2025-01-01T00:00:00Z"


def test_taints_of_a_slice_are_stamped_when_they_come() -> None:
    taints = [{"key": "a", "effect": "NoExecute"}, {"key": "b", "effect": "None", "timeAdded": BEFORE}]
    made: Object = {"metadata": {}, "spec": {"devices": [{"name": "d", "taints": taints}, {"name": "e"}]}}
    RESOURCE_SLICE.strategy.prepare_for_create(CTX, made)
    assert [t["timeAdded"] for t in made["spec"]["devices"][0]["taints"]] == [NOW, BEFORE]


def _rule(effect: str, at: str = "") -> Object:
    taint: Object = {"key": "k", "effect": effect, **({"timeAdded": at} if at else {})}
    return {"metadata": {"name": "r"}, "spec": {"taint": taint}}


def test_the_time_of_a_rules_taint_follows_its_effect() -> None:
    strategy = DEVICE_TAINT_RULE.strategy
    made = {**_rule("None"), "status": {"conditions": [{}]}}
    strategy.prepare_for_create(CTX, made)
    assert made == {**_rule("None", NOW), "status": {}}
    for new, wanted in (
        (_rule("NoExecute", BEFORE), NOW),
        (_rule("NoExecute"), NOW),
        (_rule("None", BEFORE), BEFORE),
        (_rule("NoExecute", "2024-01-01T00:00:00Z"), "2024-01-01T00:00:00Z"),
    ):
        strategy.prepare_for_update(CTX, new, _rule("None", BEFORE))
        assert new["spec"]["taint"]["timeAdded"] == wanted


def test_a_claims_status_leaves_its_metadata_alone_and_drops_what_was_said_of_returned_devices() -> None:
    results = [{"driver": "d", "pool": "p", "device": name} for name in ("a", "b")]
    old: Object = {
        "metadata": {"name": "c", "labels": {"a": "b"}, "finalizers": ["x/y"]},
        "spec": {"devices": {}},
        "status": {"allocation": {"devices": {"results": results}}, "devices": results},
    }
    new = deepcopy(old)
    new["metadata"].update(labels={"c": "d"}, annotations={"e": "f"}, finalizers=[])
    del new["status"]["allocation"]
    assert RESOURCE_CLAIM.status is not None
    RESOURCE_CLAIM.status.prepare_for_update(CTX, new, old)
    assert new == {**old, "status": {}}
