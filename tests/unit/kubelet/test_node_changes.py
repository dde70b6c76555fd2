"""What a kubelet does to its node object, and what it tells of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kubelet.node.changes import reconciling, schedulable_event, status_events
from kubelet.node.lease import NodeLease
from kubelet.node.machine import Machine
from kubelet.node.registrar import NodeRegistrar
from kubelet.node.settings import node_settings
from kubelet.node.status import NodeSettings, Pressure
from kubelet.options import Options
from kubeling.api.errors import already_exists, not_found
from kubeling.api.resources import NODES
from kubeling.client.clock import FakeClock
from kubeling.client.errors import StartError

MACHINE = Machine(cpus=1, memory=1 << 30, disk=1 << 30, disk_inodes=1, architecture="amd64", boot_id="b1")


def conditions(**status: str) -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": value} for kind, value in status.items()]}


def test_a_first_status_tells_of_pressures_and_not_of_readiness() -> None:
    new = conditions(MemoryPressure="False", DiskPressure="False", PIDPressure="False", Ready="True")
    assert status_events("n", {}, new) == [
        ("Normal", reason, f"Node n status is now: {reason}")
        for reason in ("NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID")
    ]
    assert status_events("n", new, new) == []


def test_changes_are_told() -> None:
    old, new = conditions(Ready="False", DiskPressure="False"), conditions(Ready="True", DiskPressure="True")
    assert [e[1] for e in status_events("n", old, new)] == ["NodeReady", "NodeHasDiskPressure"]
    assert [e[1] for e in status_events("n", new, old)] == ["NodeNotReady", "NodeHasNoDiskPressure"]
    before, after = ({"nodeInfo": {"bootID": boot}, "conditions": []} for boot in ("b1", "b2"))
    assert status_events("n", before, after) == [("Warning", "Rebooted", "Node n has been rebooted, boot id: b2")]
    assert status_events("n", {}, after) == []
    assert schedulable_event("n", True)[1:] == ("NodeNotSchedulable", "Node n status is now: NodeNotSchedulable")


def test_of_an_existing_node_only_what_the_kubelet_owns_is_set_anew() -> None:
    wanted = {
        "metadata": {
            "labels": {"kubernetes.io/os": "linux", "topology.kubernetes.io/zone": "a", "disk": "ssd"},
            "annotations": {"x": "y"},
        }
    }
    found = {"metadata": {"labels": {"kubernetes.io/os": "linux", "disk": "hdd"}, "annotations": {"x": "y", "z": "1"}}}
    assert reconciling(wanted, found) == {"metadata": {"labels": {"topology.kubernetes.io/zone": "a"}}}
    assert reconciling(found, found) == {}


@pytest.mark.parametrize(
    ("label", "allowed"),
    [
        ("disk", True),
        ("example.com/disk", True),
        ("topology.kubernetes.io/zone", True),
        ("node.kubernetes.io/anything", True),
        ("a.kubelet.kubernetes.io/b", True),
        ("node-role.kubernetes.io/control-plane", False),
        ("kubernetes.io/role", False),
        ("x.k8s.io/y", False),
    ],
)
def test_labels_that_a_node_may_give_itself(label: str, allowed: bool) -> None:
    options = Options(node_labels={label: "v"})
    if allowed:
        assert node_settings(options, MACHINE, "192.0.2.1").labels == {label: "v"}
        return
    with pytest.raises(StartError, match=rf"unknown 'kubernetes.io' or 'k8s.io' labels .*\[{label}\]"):
        node_settings(options, MACHINE, "192.0.2.1")


class Nodes:
    """The API server's nodes and leases; what it was asked is noted."""

    def __init__(self, *names: str) -> None:
        self.nodes: dict[str, Any] = {n: {"metadata": {"name": n, "uid": "u"}} for n in names}
        self.leases: dict[str, Any] = {}

    def _kept(self, resource: Any) -> dict[str, Any]:
        return self.nodes if resource is NODES else self.leases

    async def get(self, resource: Any, name: str, *place: str) -> Any:
        kept = self._kept(resource)
        if name not in kept:
            raise not_found(resource.group, resource.plural, name)
        return kept[name]

    async def create(self, resource: Any, obj: Any) -> Any:
        kept, name = self._kept(resource), obj["metadata"]["name"]
        if name in kept:
            raise already_exists(resource.group, resource.plural, name)
        kept[name] = obj
        return obj

    async def update(self, resource: Any, obj: Any) -> Any:
        self._kept(resource)[obj["metadata"]["name"]] = obj
        return obj

    async def patch(self, resource: Any, name: str, patch: Any, **options: Any) -> Any:
        node = await self.get(resource, name)
        node.update(patch)
        return node


class Engine:
    async def version(self) -> dict[str, str]:
        return {"runtime": "docker://1"}

    async def images(self) -> list[Any]:
        return []


class Recorder:
    def __init__(self) -> None:
        self.reasons: list[str] = []

    def event(self, about: Any, kind: str, reason: str, message: str) -> None:
        self.reasons.append(reason)


def registrar(api: Any, clock: FakeClock, recorder: Any, **settings: Any) -> NodeRegistrar:
    engine: Any = Engine()
    of_node = NodeSettings("n", "192.0.2.1", 10250, **settings)
    return NodeRegistrar(
        api, engine, of_node, MACHINE, clock, recorder, pressure=Pressure, problem=lambda: "", full=300
    )  # fmt: skip


async def test_a_deleted_node_stays_deleted_until_the_kubelet_starts_again() -> None:
    api, clock, recorder = Nodes(), FakeClock(), Recorder()
    made = registrar(api, clock, recorder)
    await made.register()
    assert recorder.reasons == ["Starting", "NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID"]
    del api.nodes["n"]
    task = asyncio.create_task(made.keep_status())
    await clock.advance(100)
    assert api.nodes == {}
    task.cancel()
    await registrar(api, clock, recorder).register()
    assert "n" in api.nodes


async def test_a_kubelet_that_does_not_register_waits_for_its_node() -> None:
    api, clock = Nodes(), FakeClock()
    task = asyncio.create_task(registrar(api, clock, Recorder(), register=False).register())
    await clock.advance(10)
    assert not task.done() and api.nodes == {}
    api.nodes["n"] = {"metadata": {"name": "n"}}
    await clock.advance(2)
    assert task.done()


async def test_cordon_is_told_once() -> None:
    api, clock, recorder = Nodes(), FakeClock(), Recorder()
    made = registrar(api, clock, recorder)
    await made.register()
    task = asyncio.create_task(made.keep_status())
    for unschedulable in (True, True, False):
        api.nodes["n"]["spec"] = {"unschedulable": unschedulable}
        await clock.advance(10)
    task.cancel()
    assert recorder.reasons[4:] == ["NodeNotSchedulable", "NodeSchedulable"]


async def test_a_lease_goes_with_its_node() -> None:
    api: Any = Nodes()
    clock = FakeClock()
    task = asyncio.create_task(NodeLease(api, clock, "n").keep())
    await clock.advance(5)
    assert api.leases == {}, "no node, no lease"
    api.nodes["n"] = {"metadata": {"name": "n", "uid": "u7"}}
    await clock.advance(10)
    lease = api.leases["n"]
    assert lease["metadata"]["ownerReferences"] == [{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u7"}]
    first = lease["spec"]["renewTime"]
    await clock.advance(10)
    assert api.leases["n"]["spec"]["renewTime"] > first
    api.leases.clear()
    task.cancel()
