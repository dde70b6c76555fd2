"""Who has to go so that a critical pod finds room."""

from __future__ import annotations

from typing import Any

import pytest

from kubelet.node.preemption import preemptable, victims
from kubelet.pods.room import NoVictims, Preemption

NODE = {"cpu": "4", "memory": "4Gi", "ephemeral-storage": "100Gi", "pods": "10", "example.com/gpu": "2"}
CRITICAL = 2_000_000_000


def pod(name: str, priority: int | None = None, *, limits: bool = False, **requests: str) -> dict[str, Any]:
    """``limits``: as much as is requested."""
    asked = {k.replace("_", "-").replace("gpu", "example.com/gpu"): v for k, v in requests.items()}
    resources = {"requests": asked} | ({"limits": asked} if limits else {})
    spec: dict[str, Any] = {"containers": [{"name": "c", "image": "i", "resources": resources}]}
    if priority is not None:
        spec["priority"] = priority
    return {"metadata": {"name": name, "uid": name}, "spec": spec}


def static(name: str, **requests: str) -> dict[str, Any]:
    given = pod(name, **requests)
    given["metadata"]["annotations"] = {"kubernetes.io/config.source": "file"}
    return given


def chosen(wanted: dict[str, Any], *others: dict[str, Any]) -> list[str]:
    return [p["metadata"]["name"] for p in victims(wanted, others, NODE).victims]


BURSTABLE = [pod("a", cpu="1"), pod("b", cpu="500m"), pod("c", cpu="2")]
GUARANTEED = pod("g", limits=True, cpu="500m", memory="1Gi")


@pytest.mark.parametrize(
    ("wanted", "others", "names"),
    [
        (pod("x", cpu="5"), BURSTABLE, []),  # not critical: it is refused, nobody goes
        (pod("x", CRITICAL, cpu="500m"), BURSTABLE, []),  # there is room
        (pod("x", CRITICAL, cpu="800m"), BURSTABLE, ["b"]),  # the smallest that will do
        (pod("x", CRITICAL, cpu="2200m"), BURSTABLE, ["c"]),  # one rather than two
        (pod("x", CRITICAL, cpu="3"), BURSTABLE, ["c", "b"]),
        (pod("x", CRITICAL, cpu="1"), [GUARANTEED, *BURSTABLE], ["a"]),  # a lesser class goes first
        (pod("x", CRITICAL, cpu="4"), [GUARANTEED, *BURSTABLE], ["c", "a", "b", "g"]),
        (static("x", cpu="800m"), BURSTABLE, ["b"]),
        (pod("x", CRITICAL, gpu="1"), [pod("a", gpu="2"), pod("b", cpu="4")], ["a"]),
        (pod("x", CRITICAL, memory="1Gi", cpu="1"), [pod("a", memory="4Gi", cpu="1"), pod("b", cpu="3")], ["a"]),
        (pod("x", CRITICAL), [*(pod(f"p{i}", cpu="100m") for i in range(9)), pod("best-effort")], ["best-effort"]),
        # what has ended takes no room
        (pod("x", CRITICAL, cpu="4"), [{**pod("a", cpu="4"), "status": {"phase": "Failed"}}], []),
        # of best-effort pods those go that bring storage enough
        (pod("x", CRITICAL, ephemeral_storage="60Gi"), [pod("a", ephemeral_storage="60Gi"), pod("b")], ["a"]),
        (pod("x", CRITICAL + 1000, cpu="4"), [pod("a", CRITICAL, cpu="1")], ["a"]),
    ],
)
def test_victims(wanted: dict[str, Any], others: list[dict[str, Any]], names: list[str]) -> None:
    assert chosen(wanted, *others) == names


def test_the_first_resource_that_is_short_is_told() -> None:
    assert victims(pod("x", CRITICAL, memory="1Gi", cpu="1"), [BURSTABLE[2]], NODE) == Preemption()
    wanted, full = pod("x", CRITICAL, memory="1Gi", cpu="1"), pod("a", memory="4Gi", cpu="4")
    assert victims(wanted, [full], NODE) == Preemption((full,), "cpu")


@pytest.mark.parametrize("other", [pod("a", CRITICAL, cpu="3"), static("a", cpu="3")])
def test_equals_stay(other: dict[str, Any]) -> None:
    with pytest.raises(NoVictims) as caught:
        victims(pod("x", CRITICAL, cpu="3", memory="1Gi"), [other, pod("b", cpu="1")], NODE)
    reason, message = caught.value.refusal
    assert reason == "UnexpectedAdmissionError"
    assert message == (
        "Unexpected error while attempting to recover from admission failure: preemption: error finding a set of pods to "
        "preempt: no set of running pods found to reclaim resources: [(res: cpu, q: 2000), ]"
    )


def test_who_may_take_whose_place() -> None:
    assert preemptable(static("x"), pod("a", 5)) and preemptable(pod("x", CRITICAL), pod("a"))
    assert not preemptable(static("x"), pod("a", CRITICAL)) and not preemptable(pod("x", CRITICAL), static("a"))
    assert preemptable(pod("x", 2), pod("a", 1)) and not preemptable(pod("x", 1), pod("a", 1))
