"""Image collection, resize."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kubelet.containers.resources import ResourcePolicy
from kubelet.images.gc import Disk, GcPolicy, images_to_remove, images_too_old
from kubelet.pods.resize import memory_refusal, resizes
from kubelet.runtime.records import ContainerRecord, ImageRecord, PodRecord, State
from kubelet.runtime.specs import PodRef, Resources

GIB = 1 << 30


def pod(name: str = "p", priority: int = 0, **container: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "uid": name},
        "spec": {"priority": priority, "containers": [{"name": "c", **container}]},
    }


def test_image_collection() -> None:
    images = [ImageRecord(i, (f"{i}:1",), (), 10 * GIB) for i in ("a", "b", "c", "new", "theirs")]
    seen = {"a": 0.0, "b": 0.0, "c": 0.0, "new": 990.0, "theirs": 0.0}
    ours = {"a", "b", "c", "new"}  # what the user has on the same engine never goes

    def chosen(available: int, in_use: set[str]) -> list[str]:
        disk = Disk(100 * GIB, available * GIB)
        found = images_to_remove(images, ours, in_use, {"b": 5.0, "c": 1.0}, seen, disk, GcPolicy(), 1000.0)
        return [i.id for i in found]

    assert chosen(16, set()) == []
    assert chosen(15, set()) == ["a"]
    assert chosen(5, {"a"}) == ["c", "b"]
    assert chosen(0, set()) == ["a", "c"]


def test_images_that_nobody_has_used_for_too_long() -> None:
    images = [ImageRecord(i, (f"{i}:1",), (), GIB) for i in ("old", "used", "running", "theirs")]
    policy = GcPolicy(maximum_age=timedelta(hours=1))

    def chosen(policy: GcPolicy, began: float) -> list[str]:
        used = {"used": 9000.0, "old": 5000.0}
        return [
            i.id for i in images_too_old(images, {"old", "used", "running"}, {"running"}, used, began, policy, 10000.0)
        ]

    assert chosen(policy, 0.0) == ["old"]
    assert chosen(policy, 9000.0) == []  # nobody knows yet what was used before
    assert chosen(GcPolicy(), 0.0) == []


def running(**resources: int) -> PodRecord:
    ref, now = PodRef("ns", "p", "p"), datetime.now(UTC)
    run = ContainerRecord("id", ref, "c", 0, State.RUNNING, now, now, resources=Resources(**resources))
    return PodRecord(ref, (), (run,))


@pytest.mark.parametrize(
    ("limits", "before", "policy", "expected"),
    [
        ({"cpu": "1", "memory": "64Mi"}, {"cpu_shares": 1024, "cpu_quota": 100000, "memory": 64 << 20}, None, []),
        ({"cpu": "2", "memory": "64Mi"}, {"cpu_shares": 1024, "cpu_quota": 100000, "memory": 64 << 20}, None, [False]),
        ({"memory": "128Mi"}, {"cpu_shares": 2, "memory": 64 << 20}, "RestartContainer", [True]),
        ({}, {"cpu_shares": 2, "memory": 64 << 20}, None, [True]),
        ({}, {"cpu_shares": 2}, None, []),
    ],
)
def test_resize(limits: dict[str, str], before: dict[str, int], policy: str | None, expected: list[bool]) -> None:
    policies = [{"resourceName": "memory", "restartPolicy": policy}] if policy else []
    given = pod(resources={"limits": limits}, resizePolicy=policies)
    assert [r.restart for r in resizes(given, running(**before), ResourcePolicy(GIB))] == expected


def test_memory_does_not_go_below_what_is_used() -> None:
    assert memory_refusal(None, []) == memory_refusal((100, 99), [("a", 50, 49)]) == ""
    pod_text = "attempting to set pod memory limit (100) below current usage (100)"
    own_text = 'attempting to set container "a" memory limit (50) below current usage (60)'
    assert memory_refusal((100, 100), []) == f"cannot decrease memory limits: {pod_text}"
    assert memory_refusal((100, 100), [("a", 50, 60), ("b", 9, 1)]) == (
        f"cannot decrease memory limits: [{pod_text}, {own_text}]"
    )


def test_a_container_that_restarts_may_have_less_memory_at_once() -> None:
    policies = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
    lowered = {"resources": {"limits": {"memory": "64Mi"}}}
    (in_place,) = resizes(pod(**lowered), running(cpu_shares=2, memory=128 << 20), ResourcePolicy(GIB))
    (anew,) = resizes(
        pod(**lowered, resizePolicy=policies), running(cpu_shares=2, memory=128 << 20), ResourcePolicy(GIB)
    )
    assert (in_place.lowers_memory, anew.lowers_memory) == (True, False)
