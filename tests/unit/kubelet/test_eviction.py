"""Eviction: thresholds, who goes first, what is told, and the manager that looks."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kubelet.node.admission import admit_under_pressure, resize_refusal
from kubelet.node.eviction import EvictionManager
from kubelet.node.metrics import REGISTRY as METRICS
from kubelet.node.ranking import PodUse, eviction_message, eviction_order, storage_excess, thresholds_to_act_on
from kubelet.node.signals import memory_available, pressure_of
from kubelet.node.status import Pressure
from kubelet.node.thresholds import (
    ALLOCATABLE,
    IMAGEFS_INODES,
    MEMORY,
    NODEFS,
    PIDS,
    Amount,
    Reading,
    Threshold,
    kept_free,
    parse_thresholds,
)
from kubelet.runtime.records import ContainerRecord, ContainerUsage, PodRecord, SandboxRecord, State
from kubelet.runtime.specs import PodRef
from kubeling.api import quantity
from kubeling.client.clock import FakeClock

GIB, MIB = 1 << 30, 1 << 20
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def pod(name: str = "p", priority: int = 0, **container: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "uid": name},
        "spec": {"priority": priority, "containers": [{"name": "c", **container}]},
    }


def test_thresholds() -> None:
    memory, disk = parse_thresholds("memory.available<100Mi,nodefs.available<10%,imagefs.available<0%")
    assert (memory.signal, memory.least.amount, disk) == (MEMORY, 100 * MIB, Threshold(NODEFS, Amount(share=0.1)))
    assert memory.is_met({MEMORY: Reading(50 * MIB, GIB)})
    assert not memory.is_met({MEMORY: Reading(200 * MIB, GIB)})
    assert disk.is_met({NODEFS: Reading(9, 100)}) and not disk.is_met({NODEFS: Reading(11, 100)})
    assert pressure_of({ALLOCATABLE}) == Pressure(memory=True) and pressure_of({IMAGEFS_INODES}) == Pressure(disk=True)
    assert kept_free([memory, disk]) == {"memory": memory.least, "ephemeral-storage": disk.least}
    # what holds for the machine's memory holds for that of all pods
    assert [t.signal for t in parse_thresholds("memory.available<1Gi", pods_enforced=True)] == [MEMORY, ALLOCATABLE]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("memory<1",), "unsupported eviction signal memory"),
        (("memory.available",), "invalid eviction threshold syntax memory.available"),
        (("memory.available<0",), "eviction threshold memory.available must be positive: 0"),
        (("memory.available<-10%",), "eviction percentage threshold memory.available must be >= 0%: -10%"),
        (("memory.available<101%",), "eviction percentage threshold memory.available must be <= 100%: 101%"),
        (
            ("", "memory.available<1Gi"),
            "grace period must be specified for the soft eviction threshold memory.available",
        ),
        (("", "", "memory.available=-1s"), "invalid eviction grace period specified: memory.available"),
        (("", "", "", "memory.available=-1"), "negative eviction minimum reclaim specified for memory.available"),
    ],
)
def test_thresholds_that_are_refused(given: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        parse_thresholds(*given)


def test_soft_thresholds_and_reclaim() -> None:
    hard, soft = parse_thresholds(
        "memory.available<100Mi", "memory.available<1Gi", "memory.available=1m30s", "memory.available=500Mi"
    )
    assert soft.soft and soft.grace == 90 and not hard.soft
    halfway = {MEMORY: Reading(300 * MIB, 8 * GIB)}
    assert not hard.is_met(halfway) and hard.is_met(halfway, before=True)
    assert thresholds_to_act_on([soft], {soft: 10.0}, 99.0) == []
    assert thresholds_to_act_on([soft], {soft: 10.0}, 100.0) == [soft]
    assert thresholds_to_act_on([soft, hard], {soft: 0.0, hard: 100.0}, 100.0) == [hard, soft]


def test_memory_available_is_what_no_working_set_holds() -> None:
    assert memory_available({"MemFree": 10, "Inactive(file)": 5, "MemAvailable": 99}) == 15


def names(uses: list[PodUse]) -> list[str]:
    return [u.pod["metadata"]["name"] for u in uses]


def test_who_is_evicted_first() -> None:
    uses = [
        PodUse(pod("modest"), 10, 100),
        PodUse(pod("greedy"), 500, 100),
        PodUse(pod("greedier"), 900, 100),
        PodUse(pod("important", 1000), 900, 0),
        PodUse(pod("critical", 2_000_000_000), 9999, 0),
        PodUse(pod("unknown", 5000), 0, 0, known=False),
    ]
    assert names(eviction_order(uses)) == ["unknown", "greedier", "greedy", "important", "modest"]
    # processes are not requested: importance first
    assert names(eviction_order(uses[:4], PIDS)) == ["greedier", "greedy", "modest", "important"]


def test_what_an_evicted_pod_is_told() -> None:
    memory = Threshold(MEMORY, Amount(100 * MIB, text="100Mi"))
    reading = Reading(50 * MIB, GIB)
    asked = quantity.parse("10M")
    use = PodUse(pod(), 30 * MIB, 0, {"c": (20 * MIB, quantity.ZERO), "d": (10 * MIB + 1, asked), "e": (1, asked)})
    node = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "
    text, annotations = eviction_message(memory, reading, use)
    assert text == node + (
        "Container c was using 20Mi, request is 0, has larger consumption of memory. "
        "Container d was using 10485761, request is 10M, has larger consumption of memory. "
    )
    assert annotations == {
        "offending_containers": "c,d",
        "offending_containers_usage": "20Mi,10485761",
        "starved_resource": "memory",
    }
    whole = pod()
    whole["spec"]["resources"] = {"requests": {"memory": "64Mi"}}
    text, annotations = eviction_message(memory, reading, PodUse(whole, 30 * MIB, 64 * MIB))
    assert text == node + "Pod p was using 30Mi, request is 64Mi, has larger consumption of memory. "
    assert annotations["offending_pod"] == "p"
    share = Threshold(PIDS, Amount(share=0.5))
    assert eviction_message(share, Reading(10, 100), PodUse(pod(), 0, 0, known=False)) == (
        "The node was low on resource: pids. Threshold quantity: 50, available: 10. ",
        {},
    )


def test_local_storage_limits() -> None:
    given = pod(resources={"limits": {"ephemeral-storage": "2Mi"}})
    given["spec"]["volumes"] = [
        {"name": "v", "emptyDir": {"sizeLimit": "1024Ki"}},
        {"name": "w", "emptyDir": {}},
        {"name": "m", "emptyDir": {"medium": "Memory"}},
    ]
    assert storage_excess(given, {"v": MIB, "m": 9 * MIB}, {"c": MIB}) is None
    assert storage_excess(given, {"v": 2 * MIB}) == (
        "emptydirfs.limit",
        'Usage of EmptyDir volume "v" exceeds the limit "1Mi". ',
    )
    in_all = ("ephemeralpodfs.limit", "Pod ephemeral local storage usage exceeds the total limit of containers 2Mi. ")
    assert storage_excess(given, {"w": 3 * MIB}) == in_all
    given["spec"]["containers"].append({"name": "free"})
    assert storage_excess(given, {}, {"free": 3 * MIB}) == in_all
    given["spec"]["containers"][1]["resources"] = {"limits": {"ephemeral-storage": "8Mi"}}
    assert storage_excess(given, {}, {"c": 3 * MIB}) == (
        "ephemeralcontainerfs.limit",
        'Container c exceeded its local ephemeral storage limit "2Mi". ',
    )


def test_admission_under_pressure() -> None:
    with_request = pod(resources={"requests": {"memory": "1Mi"}})
    assert admit_under_pressure(pod(), Pressure()) is None
    refused = ("Evicted", "The node had condition: [MemoryPressure]. ")
    assert admit_under_pressure(pod(), Pressure(memory=True)) == refused
    assert admit_under_pressure(with_request, Pressure(memory=True)) is None
    assert admit_under_pressure(with_request, Pressure(disk=True)) == (
        "Evicted",
        "The node had condition: [DiskPressure]. ",
    )
    tolerant = pod()
    tolerant["spec"]["tolerations"] = [{"key": "node.kubernetes.io/memory-pressure", "operator": "Exists"}]
    assert admit_under_pressure(tolerant, Pressure(memory=True)) is None
    assert admit_under_pressure(tolerant, Pressure(memory=True, disk=True)) is not None


def test_resizes_that_cannot_be() -> None:
    big = pod(resources={"requests": {"cpu": "2", "memory": "2Gi"}})
    have = {"cpu": "1", "memory": "1Gi", "pods": "110"}
    text = "Node didn't have enough capacity: cpu, requested: 2000, capacity: 1000"
    assert resize_refusal(big, [], have) == ("Infeasible", text)
    big["metadata"]["annotations"] = {"kubernetes.io/config.source": "file"}
    assert resize_refusal(big, [], have) == ("Infeasible", "In-place resize of static-pods is not supported")


class Worker:
    def __init__(self, given: dict[str, Any]) -> None:
        self.pod, self.ended = given, asyncio.Event()
        self.failed: list[tuple[str, str, float | None, str]] = []

    def fail(self, reason: str, message: str, grace: float | None = None, *, disruption: str = "") -> None:
        self.failed.append((reason, message, grace, disruption))
        self.ended.set()


class Machine:
    """Pods with one running container each, whose use of memory is given; what is available is set by the test."""

    def __init__(self, folder: Path, hard: str, used: dict[str, int], **more: Any) -> None:
        self.workers = {name: Worker(pod(name)) for name in used}
        self.used, self.available = used, 10 * GIB
        self.told: list[tuple[str, str, Any]] = []
        self.pressures: list[Pressure] = []
        self.clock = FakeClock()
        anything: Any = self
        self.manager = EvictionManager(
            anything, anything, anything, self.clock, parse_thresholds(hard, **more), folder,
            node={"kind": "Node"}, read=self._read, changed=self.pressures.append, free_disk=self._read,
            pressure_seconds=30.0,
        )  # fmt: skip

    async def _read(self) -> dict[str, Reading]:
        return {MEMORY: Reading(self.available, 16 * GIB)}

    def event(self, obj: Any, type_: str, reason: str, message: str, *, annotations: Any = None) -> None:
        self.told.append((reason, message, annotations))

    def active(self) -> list[Worker]:
        return [w for w in self.workers.values() if not w.ended.is_set()]

    def worker(self, uid: str) -> Worker | None:
        return self.workers.get(uid)

    async def pod(self, ref: PodRef) -> PodRecord:
        run = ContainerRecord(ref.uid, ref, "c", 0, State.RUNNING, NOW, NOW)
        return PodRecord(ref, (SandboxRecord("s", ref, 0, True, NOW),), (run,))

    async def usage(self, container: str) -> ContainerUsage:
        return ContainerUsage(0, self.used[container], self.used[container], 1)


async def test_one_pod_goes_for_the_machines_sake_and_the_pressure_lasts(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "memory.available<1Gi", {"small": MIB, "large": 5 * MIB})
    assert await machine.manager.check() == [] and machine.pressures == [Pressure()]
    machine.available = 512 * MIB
    before = METRICS.get_sample_value("kubelet_evictions_total", {"eviction_signal": "memory.available"}) or 0.0
    (evicted,) = await machine.manager.check()
    assert evicted is machine.workers["large"] and machine.pressures[-1] == Pressure(memory=True)
    message = (
        "The node was low on resource: memory. Threshold quantity: 1Gi, available: 512Mi. "
        "Container c was using 5Mi, request is 0, has larger consumption of memory. "
    )
    assert machine.workers["large"].failed == [("Evicted", message, 1.0, message)]
    assert machine.told[0][:2] == ("EvictionThresholdMet", "Attempting to reclaim memory")
    assert METRICS.get_sample_value("kubelet_evictions_total", {"eviction_signal": "memory.available"}) == before + 1
    assert machine.told[1] == (
        "Evicted",
        message,
        {"offending_containers": "c", "offending_containers_usage": "5Mi", "starved_resource": "memory"},
    )
    machine.available = 2 * GIB
    assert await machine.manager.check() == [] and machine.pressures[-1] == Pressure(memory=True)
    await machine.clock.advance(30)
    assert await machine.manager.check() == [] and machine.pressures[-1] == Pressure()


async def test_a_soft_threshold_waits_and_its_reclaim_counts_once_pods_had_to_go(tmp_path: Path) -> None:
    soft = {"soft": "memory.available<1Gi", "soft_grace": "memory.available=20s", "reclaim": "memory.available=1Gi"}
    machine = Machine(tmp_path, "", {"a": 1, "b": 2}, **soft)
    machine.available = GIB - 1
    assert await machine.manager.check() == []
    machine.available = 2 * GIB - 1  # more than the threshold: nothing had to go for it yet
    assert await machine.manager.check() == []
    machine.available = GIB - 1
    assert await machine.manager.check() == []
    await machine.clock.advance(20)
    assert await machine.manager.check() == [machine.workers["b"]]
    machine.available = 2 * GIB - 1
    assert await machine.manager.check() == [machine.workers["a"]]


async def test_local_storage_goes_before_the_machine_and_is_no_disruption(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "memory.available<1Gi", {"small": MIB, "large": 5 * MIB})
    machine.available = 0
    machine.workers["small"].pod["spec"]["volumes"] = [{"name": "v", "emptyDir": {"sizeLimit": "4Ki"}}]
    folder = tmp_path / "small" / "volumes" / "kubernetes.io~empty-dir" / "v"
    folder.mkdir(parents=True)
    (folder / "data").write_bytes(bytes(16384))
    assert await machine.manager.check() == [machine.workers["small"]]
    assert machine.workers["small"].failed == [
        ("Evicted", 'Usage of EmptyDir volume "v" exceeds the limit "4Ki". ', 1.0, "")
    ]
    assert machine.pressures == [Pressure(memory=True)]
