"""Control groups of pods: their names, their limits, and keeping them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubelet.cgroups import names
from kubelet.cgroups.driver import CgroupfsDriver, SystemdDriver, slice_properties
from kubelet.cgroups.enforcement import enforcements, reserved_groups
from kubelet.cgroups.limits import (
    CgroupSettings,
    Limits,
    burstable_limits,
    cpu_weight,
    files_of,
    node_limits,
    pod_limits,
    wider,
)
from kubelet.cgroups.manager import CgroupFailure, PodCgroups, default_root
from kubelet.options import Options
from kubeling.client.cgroupfs import CgroupMounts, cluster_groups, parse_mounts, remove_group
from kubeling.client.errors import StartError

MIB = 1 << 20
KUBEPODS = ("kubeling", "dev-1", "n1", "kubepods")


def pod(*containers: dict[str, Any], uid: str = "u-1", **spec: Any) -> dict[str, Any]:
    """Requests that are missing are the limits, as the API server has it."""
    full = [r | {"requests": r.get("limits", {}) | r.get("requests", {})} for r in containers]
    named = [{"name": f"c{i}", "resources": r} for i, r in enumerate(full)]
    return {"metadata": {"name": "p", "namespace": "ns", "uid": uid}, "spec": {"containers": named, **spec}}


BEST_EFFORT = pod({})
BURSTABLE = pod({"requests": {"cpu": "100m"}}, uid="u-2")
GUARANTEED = pod({"limits": {"cpu": "1", "memory": "64Mi"}}, uid="u-3")


def test_names_of_both_drivers() -> None:
    group = names.pod_name(KUBEPODS, "Burstable", "u-2")
    assert names.parent_for_engine(group, "cgroupfs") == "/kubeling/dev-1/n1/kubepods/burstable/podu-2"
    assert names.parent_for_engine(group, "systemd") == "kubeling-dev_1-n1-kubepods-burstable-podu_2.slice"
    assert names.path_of(group, "cgroupfs") == "kubeling/dev-1/n1/kubepods/burstable/podu-2"
    assert names.path_of(("a", "b-c"), "systemd") == "a.slice/a-b_c.slice"
    assert names.pod_name(KUBEPODS, "Guaranteed", "u-3") == (*KUBEPODS, "podu-3")
    assert names.parse_root("/") == () and names.parse_root("/a/b") == ("a", "b")
    parent = names.qos_name(KUBEPODS, "Burstable")
    for driver in ("cgroupfs", "systemd"):
        folder = Path(names.path_of(group, driver)).name
        assert names.uid_in(folder, parent, driver) == "u-2"
        assert names.uid_in("burstable", KUBEPODS, driver) == ""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (BEST_EFFORT, Limits()),
        (BURSTABLE, Limits(cpu_shares=102)),
        (GUARANTEED, Limits(cpu_shares=1024, cpu_quota=100_000, memory=64 * MIB)),
        # not every container is limited: neither is the pod
        (pod({"limits": {"memory": "64Mi"}}, {}), Limits()),
        (pod({"limits": {"memory": "64Mi"}}, {"limits": {"memory": "1Mi"}}), Limits(memory=65 * MIB)),
        (
            pod({}, {}, resources={"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "64Mi"}}),
            Limits(cpu_shares=1024, cpu_quota=200_000, memory=64 * MIB),
        ),
        (
            pod({"limits": {"cpu": "1", "memory": "64Mi"}}, overhead={"cpu": "500m", "memory": "1Mi"}),
            Limits(cpu_shares=1536, cpu_quota=150_000, memory=65 * MIB),
        ),
    ],
)
def test_what_a_pod_is_held_to(given: dict[str, Any], expected: Limits) -> None:
    assert pod_limits(given, CgroupSettings()) == expected


def test_settings_of_the_node_reach_pods() -> None:
    settings = CgroupSettings(quota=False, period=50_000, pids=100, page_sizes=(2 * MIB, 1024 * MIB))
    found = pod_limits(pod({"limits": {"cpu": "1", "memory": "8Mi", "hugepages-2Mi": "4Mi"}}), settings)
    assert found == Limits(1024, 0, 50_000, 8 * MIB, 100, ((2 * MIB, 4 * MIB), (1024 * MIB, 0)))
    assert pod_limits(GUARANTEED, CgroupSettings(period=50_000)).cpu_quota == 50_000


def test_all_pods_have_what_is_not_reserved() -> None:
    capacity = {"cpu": "4", "memory": "1024Ki", "pods": "110", "hugepages-2Mi": "0"}
    found = node_limits(capacity, {"cpu": "500m", "memory": "24Ki", "pid": "50"}, 1000)
    assert found == Limits(3584, memory=1000 << 10, pids=950, huge_pages=((2 * MIB, 0),))
    assert burstable_limits([BURSTABLE, GUARANTEED, pod({"requests": {"cpu": "400m"}})]).cpu_shares == 512


def test_between_two_limits_both_fit() -> None:
    small, large = Limits(102, 10_000, memory=10), Limits(204, 20_000, memory=5)
    assert wider(small, large) == Limits(204, 20_000, memory=10)
    assert wider(small, Limits(102)) == Limits(102)


def test_files() -> None:
    limits = Limits(1024, 50_000, 100_000, 64 * MIB, 10, ((2 * MIB, 4 * MIB),))
    assert files_of(limits, 2) == [
        ("cpu", "cpu.weight", "100"),
        ("cpu", "cpu.max", "50000 100000"),
        ("memory", "memory.max", "67108864"),
        ("pids", "pids.max", "10"),
        ("hugetlb", "hugetlb.2MB.max", "4194304"),
        ("hugetlb", "hugetlb.2MB.rsvd.max", "4194304"),
    ]
    assert [value for _, file, value in files_of(Limits(), 1) if file in ("cpu.cfs_quota_us", "pids.max")] == [
        "-1",
        "-1",
        "max",
    ]
    assert [cpu_weight(shares) for shares in (2, 1024, 262144)] == [1, 100, 10000]
    rows = {name: value for name, _, value in slice_properties(limits, 1)}
    assert (rows["CPUShares"], rows["CPUQuotaPerSecUSec"], rows["MemoryLimit"]) == ("1024", "500000", "67108864")


V1 = """\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""


def test_where_groups_are_mounted() -> None:
    found = parse_mounts(V1)
    assert found is not None and found.version == 1 and len(found.folders) == 4
    assert found.controllers == {
        "cpu": Path("/sys/fs/cgroup/cpu,cpuacct"),
        "cpuacct": Path("/sys/fs/cgroup/cpu,cpuacct"),
        "memory": Path("/sys/fs/cgroup/memory"),
    }
    unified = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
    assert parse_mounts(unified) == CgroupMounts(2, {"": Path("/sys/fs/cgroup")}, (Path("/sys/fs/cgroup"),))
    # in a container: read-only, or a part of the tree
    assert parse_mounts(unified.replace(" rw,nosuid", " ro,nosuid")) is None
    assert parse_mounts(V1.replace("0:29 / ", "0:29 /docker/1 ")) is None
    # the machine's first process, seen from a group namespace of our own
    seen = parse_mounts(unified.replace("0:26 / ", "0:26 /../.. "), "/proc/1/root")
    assert seen is not None and seen.controllers == {"": Path("/proc/1/root/sys/fs/cgroup")}


def fake_mounts(folder: Path) -> CgroupMounts:
    controllers = {name: folder / name for name in ("cpu", "memory", "pids")}
    for path in controllers.values():
        path.mkdir()
    return CgroupMounts(1, controllers, tuple(controllers.values()))


async def test_cgroupfs_makes_finds_and_removes_folders(tmp_path: Path) -> None:
    driver = CgroupfsDriver(fake_mounts(tmp_path))
    group = names.pod_name(KUBEPODS, "BestEffort", "u-1")
    folder = tmp_path / "memory" / names.path_of(group, "cgroupfs")
    assert not driver.exists(group)
    await driver.apply(group, Limits())
    assert driver.exists(group) and driver.pods(KUBEPODS) == [(group, "u-1")] and not driver.has_children(group)
    (folder / "abc").mkdir()
    assert driver.has_children(group)
    assert [p.name for p in cluster_groups(driver._mounts, "dev-1")] == ["dev-1"] * 3
    await driver.remove(group)
    assert driver.pods(KUBEPODS) == [] and not folder.exists()
    remove_group(tmp_path / "memory" / "kubeling")
    assert not (tmp_path / "memory" / "kubeling").exists()


def test_a_container_without_memory_ends_as_a_whole(tmp_path: Path) -> None:
    group = names.pod_name(KUBEPODS, "BestEffort", "u-1")
    for driver, name in ((CgroupfsDriver, "abc"), (SystemdDriver, "docker-abc.scope")):
        made = driver(CgroupMounts(2, {"": tmp_path}, (tmp_path,)))
        folder = tmp_path / names.path_of(group, made.name) / name
        folder.mkdir(parents=True)
        made.kill_together(group, "abc")
        assert (folder / "memory.oom.group").read_text() == "1"
    old = CgroupfsDriver(CgroupMounts(1, {"memory": tmp_path}, (tmp_path,)))
    old.kill_together(group, "none")  # version 1 has no such thing


class FakeDriver:
    """Remembers limits by group; refuses groups named in ``refused``."""

    name = "cgroupfs"

    def __init__(self) -> None:
        self.groups: dict[names.Name, Limits] = {}
        self.refused: set[str] = set()
        self.children = True
        self.used = 0
        self.together: list[tuple[str, str]] = []

    def exists(self, group: names.Name) -> bool:
        return not group or group in self.groups

    async def apply(self, group: names.Name, limits: Limits) -> None:
        if group[-1] in self.refused:
            raise OSError("no")
        self.groups[group] = limits

    async def remove(self, group: names.Name) -> None:
        self.groups.pop(group, None)

    def pods(self, kubepods: names.Name) -> list[tuple[names.Name, str]]:
        return [(g, g[-1][3:]) for g in self.groups if g[-1].startswith("pod")]

    def has_children(self, group: names.Name) -> bool:
        return self.children

    def memory_used(self, group: names.Name) -> int:
        return self.used

    def kill_together(self, group: names.Name, container_id: str) -> None:
        self.together.append((group[-1], container_id))


class Events:
    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def event(self, obj: Any, type_: str, reason: str, message: str, **more: Any) -> None:
        self.told.append((reason, message))


class Node:
    """Groups of a node, on a driver in memory."""

    def __init__(self, pods: CgroupSettings | None = None, **more: Any) -> None:
        self.driver, self.events = FakeDriver(), Events()
        mounts = CgroupMounts(1, {}, ())
        settings = {"own_root": True, "mounts": lambda: mounts, **more}
        self.groups = PodCgroups(
            default_root("dev-1", "n1"),
            pods or CgroupSettings(),
            Limits(memory=1 << 30),
            Limits(2048),
            self.events,
            node={"kind": "Node"},
            driver=lambda *_: self.driver,
            **settings,
        )


async def started(**more: Any) -> Node:
    node = Node(**more)
    await node.groups.start({"cgroup_driver": "cgroupfs"})
    return node


async def test_groups_of_a_node_and_of_a_pod() -> None:
    node = await started()
    assert node.driver.groups[KUBEPODS].memory == 1 << 30 and node.driver.groups[("kubeling",)].cpu_shares == 2048
    assert node.events.told == [("NodeAllocatableEnforced", "Updated Node Allocatable limit across pods")]
    await node.groups.prepare(BURSTABLE)
    await node.groups.prepare(pod({"requests": {"cpu": "400m"}}, uid="u-4"))
    assert node.groups.parent(BURSTABLE) == "/kubeling/dev-1/n1/kubepods/burstable/podu-2"
    assert node.driver.groups[(*KUBEPODS, "burstable")].cpu_shares == 512
    assert sorted(await node.groups.leftovers()) == ["u-2", "u-4"]
    await node.groups.remove("u-4")
    assert node.driver.groups[(*KUBEPODS, "burstable")].cpu_shares == 102
    assert await node.groups.leftovers() == ["u-2"]


async def test_a_resized_pods_group_first_has_room_for_both_then_what_was_asked() -> None:
    node = await started()
    group = (*KUBEPODS, "podu-3")
    await node.groups.prepare(GUARANTEED)
    smaller = pod({"limits": {"cpu": "2", "memory": "32Mi"}}, uid="u-3")
    node.driver.used = 10
    assert await node.groups.shrinks(GUARANTEED) is None
    await node.groups.prepare(smaller)
    assert (node.driver.groups[group].cpu_quota, node.driver.groups[group].memory) == (200_000, 64 * MIB)
    assert await node.groups.shrinks(smaller) == (32 * MIB, 10)
    await node.groups.settle(smaller)
    assert node.driver.groups[group].memory == 32 * MIB


async def test_a_group_of_an_earlier_kubelet_is_open_until_its_containers_are_settled() -> None:
    node = await started()
    group = (*KUBEPODS, "podu-3")
    node.driver.groups[group] = Limits(5)
    await node.groups.prepare(GUARANTEED)
    assert node.driver.groups[group] == Limits(1024)
    await node.groups.settle(GUARANTEED)
    assert node.driver.groups[group] == Limits(1024, 100_000, memory=64 * MIB)


async def test_what_cannot_be_kept_is_told() -> None:
    node = Node(mounts=lambda: None)
    await node.groups.start({})
    assert node.groups.parent(BURSTABLE) == "" and not node.groups.active
    assert node.events.told == [
        (
            "FailedNodeAllocatableEnforcement",
            'Failed to update Node Allocatable Limits ["kubeling" "dev-1" "n1" "kubepods"]: '
            "this process cannot write the machine's control groups",
        )
    ]
    await node.groups.prepare(BURSTABLE)
    await node.groups.remove("u-2")
    assert node.driver.groups == {}


async def test_a_pods_group_that_is_refused() -> None:
    node = await started()
    node.driver.refused = {"podu-2"}
    with pytest.raises(CgroupFailure, match="unable to ensure pod container exists: failed to create container for"):
        await node.groups.prepare(BURSTABLE)


async def test_an_engine_elsewhere_is_found_out_by_the_first_pod() -> None:
    node = await started()
    await node.groups.prepare(BURSTABLE)
    node.driver.children = False
    await node.groups.placed(BURSTABLE)
    assert not node.groups.active and node.events.told[-1][0] == "FailedNodeAllocatableEnforcement"


async def test_a_root_that_was_asked_for_has_to_be_there() -> None:
    node = await started(own_root=False)
    assert not node.groups.active and 'cgroup-root "/kubeling/dev-1/n1" doesn\'t exist' in node.events.told[-1][1]


def test_enforcement_options() -> None:
    assert enforcements(["pods"]) == {"pods"} and enforcements(["none"]) == frozenset()
    with pytest.raises(StartError, match=r'option "all" specified for enforceNodeAllocatable'):
        enforcements(["all"])
    with pytest.raises(StartError, match="may not contain additional enforcements"):
        enforcements(["none", "pods"])
    options = Options(system_reserved={"cpu": "500m", "memory": "1Mi"}, system_reserved_cgroup="/system")
    (group,) = reserved_groups(frozenset(["system-reserved"]), options)
    assert (group.title, group.name, group.limits) == ("System Reserved", ("system",), Limits(512, memory=MIB))
    with pytest.raises(StartError, match="kubeReservedCgroup"):
        reserved_groups(frozenset(["kube-reserved"]), options)


async def test_reserved_groups_are_enforced_or_the_kubelet_does_not_start() -> None:
    options = Options(system_reserved={"cpu": "1"}, system_reserved_cgroup="/system")
    groups = reserved_groups(frozenset(["system-reserved"]), options)
    node = Node(reserved=groups)
    with pytest.raises(StartError, match="Failed to enforce System Reserved Cgroup Limits"):
        await node.groups.start({})
    node.driver.groups[("system",)] = Limits()
    await node.groups.start({})
    assert node.driver.groups[("system",)].cpu_shares == 1024
    assert node.events.told[-1][1] == "Updated limits on system reserved cgroup /system"


@pytest.mark.parametrize("together", [True, False])
async def test_containers_are_told_to_end_as_a_whole_unless_that_is_not_wanted(together: bool) -> None:
    node = await started(pods=CgroupSettings(kill_together=together))
    await node.groups.started({"metadata": {"uid": "u1"}, "spec": {"containers": []}}, "abc")
    assert node.driver.together == ([("podu1", "abc")] if together else [])


async def test_where_a_container_is_grouped() -> None:
    pod = {"metadata": {"uid": "u1"}, "spec": {"containers": []}}
    node = await started()
    assert node.groups.container_path(pod, "abc") == "/kubeling/dev-1/n1/kubepods/besteffort/podu1/abc"
    assert Node().groups.container_path(pod, "abc") == ""  # not started
