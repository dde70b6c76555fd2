"""Devices for pods: which serve a claim, where a pod can go, and what is written before it is bound."""

from __future__ import annotations

from typing import Any

import pytest

from kubeling.api.meta import Object
from scheduler.framework.status import Rejection
from scheduler.model.pod import PodInfo
from scheduler.plugins.dynamicresources import DynamicResources
from scheduler.plugins.dynamicresources.allocator import Allocator, Unallocatable, requests_of
from scheduler.plugins.dynamicresources.devices import Device, devices_on, latest
from tests.unit.scheduler.worlds import Listed, cluster, decide, node, pod

GPU = {"metadata": {"name": "gpu"}, "spec": {}}
BIG = {"metadata": {"name": "big"}, "spec": {"selectors": [{"cel": {"expression": "big"}}]}}
CLASSES = {"gpu": GPU, "big": BIG}


def slice_(
    where: str, *devices: Object | str, name: str = "s", generation: int = 1, count: int = 1, **spec: Any
) -> Object:
    entries = [{"name": d} if isinstance(d, str) else d for d in devices]
    pool = {"name": spec.pop("pool", where), "generation": generation, "resourceSliceCount": count}
    place = spec if spec else {"nodeName": where}
    return {"metadata": {"name": name}, "spec": {"driver": "drv", "pool": pool, "devices": entries, **place}}


def request(name: str = "r", class_name: str = "gpu", **more: Any) -> Object:
    return {
        "name": name,
        "exactly": {"deviceClassName": class_name, "allocationMode": "ExactCount", "count": 1, **more},
    }


def claim(name: str, *requests: Object, allocation: Object | None = None, reserved: int = 0, **devices: Any) -> Object:
    status: Object = {"allocation": allocation} if allocation is not None else {}
    if reserved:
        status["reservedFor"] = [{"resource": "pods", "name": f"o{i}", "uid": f"o{i}"} for i in range(reserved)]
    metadata = {"name": name, "namespace": "default", "uid": name}
    return {"metadata": metadata, "spec": {"devices": {"requests": list(requests), **devices}}, "status": status}


def with_attribute(name: str, value: int) -> Object:
    return {"name": name, "attributes": {"numa": {"int": value}}}


def tainted(name: str) -> Object:
    return {"name": name, "taints": [{"key": "k", "effect": "NoSchedule"}]}


def given(one: Object, slices: list[Object], used: set[tuple[str, str, str]] | None = None) -> list[str] | None:
    """The devices that a claim gets on node ``n``: ``request=device``."""
    devices = devices_on(cluster(node("n")).node("n"), slices)  # type: ignore[arg-type]  # it is there
    allocator = Allocator(devices, used or set(), lambda expression, device: expression in device.id[2])
    found = allocator.allocate([(one, requests_of(one, CLASSES))])
    return None if found is None else [f"{r['request']}={r['device']}" for r in found[0]["devices"]["results"]]


NUMA = [slice_("n", with_attribute("a", 0), with_attribute("b", 1), with_attribute("c", 1))]
SAME = [{"matchAttribute": "drv/numa"}]
TOLERATING = request(tolerations=[{"operator": "Exists"}])
EITHER = {
    "name": "r",
    "firstAvailable": [{"name": "x", "deviceClassName": "big"}, {"name": "y", "deviceClassName": "gpu"}],
}


@pytest.mark.parametrize(
    ("one", "slices", "devices"),
    [
        pytest.param(claim("c", request()), [slice_("n", "a", "b")], ["r=a"], id="one"),
        pytest.param(claim("c", request(count=3)), [slice_("n", "a", "b")], None, id="too few"),
        pytest.param(claim("c", request("x"), request("y")), [slice_("n", "a", "b")], ["x=a", "y=b"], id="two requests"),
        pytest.param(claim("c", request(allocationMode="All")), [slice_("n", "a", "b")], ["r=a", "r=b"], id="all"),
        pytest.param(claim("c", request(class_name="big")), [slice_("n", "a", "big1")], ["r=big1"], id="selector of the class"),
        pytest.param(claim("c", request(selectors=[{"cel": {"expression": "b"}}])), [slice_("n", "a", "b")], ["r=b"], id="own"),
        pytest.param(claim("c", EITHER), [slice_("n", "a", "big1")], ["r/x=big1"], id="the better alternative"),
        pytest.param(claim("c", EITHER), [slice_("n", "a")], ["r/y=a"], id="the other alternative"),
        pytest.param(claim("c", request(count=2), constraints=SAME), NUMA, ["r=b", "r=c"], id="a constraint is searched for"),
        pytest.param(claim("c", request(count=3), constraints=SAME), NUMA, None, id="a constraint that cannot hold"),
        pytest.param(claim("c", request()), [slice_("n", tainted("a"))], None, id="a taint"),
        pytest.param(claim("c", TOLERATING), [slice_("n", tainted("a"))], ["r=a"], id="a tolerated taint"),
        pytest.param(claim("c", request()), [slice_("m", "a")], None, id="another node's"),
        pytest.param(claim("c", request()), [slice_("", "a", allNodes=True)], ["r=a"], id="everybody's"),
        pytest.param(claim("c", request()), [slice_("n", "a", count=2)], None, id="an incomplete pool"),
    ],
)  # fmt: skip
def test_devices_of_a_claim(one: Object, slices: list[Object], devices: list[str] | None) -> None:
    assert given(one, slices) == devices


def test_a_device_is_given_once_unless_for_administration() -> None:
    used = {("drv", "n", "a")}
    assert given(claim("c", request()), [slice_("n", "a")], used) is None
    assert given(claim("c", request(adminAccess=True)), [slice_("n", "a")], used) == ["r=a"]


def test_only_the_latest_generation_of_a_pool_counts() -> None:
    old, new = slice_("n", "a", name="old"), slice_("n", "b", name="new", generation=2)
    assert latest([old, new]) == [new]


def test_a_class_that_does_not_exist_is_told() -> None:
    with pytest.raises(Unallocatable, match="request r: device class no does not exist"):
        requests_of(claim("c", request(class_name="no")), CLASSES)


def test_configuration_of_class_and_claim_and_the_place_are_passed_on() -> None:
    opaque = {"opaque": {"driver": "drv", "parameters": {}}}
    classes = {"gpu": {**GPU, "spec": {"config": [opaque]}}}
    one = claim("c", request(), config=[{"requests": ["r"], **opaque}, {"requests": ["other"], **opaque}])
    devices = devices_on(cluster(node("n")).node("n"), [slice_("n", "a")])  # type: ignore[arg-type]  # it is there
    (found,) = Allocator(devices, set(), lambda *_: True).allocate([(one, requests_of(one, classes))]) or [None]
    assert found == {
        "devices": {
            "results": [{"request": "r", "driver": "drv", "pool": "n", "device": "a"}],
            "config": [
                {"source": "FromClass", "requests": ["r"], **opaque},
                {"source": "FromClaim", "requests": ["r"], **opaque},
            ],
        },
        "nodeSelector": {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]}]},
    }  # fmt: skip


def test_an_attribute_may_be_named_with_or_without_its_domain() -> None:
    device = Device(("drv", "p", "d"), {"attributes": {"numa": {"int": 1}, "other.com/x": {"bool": True}}}, {})
    assert device.attribute("drv/numa") == {"int": 1}
    assert device.attribute("other.com/x") == {"bool": True}
    assert device.attribute("other.com/numa") is None


TAKEN = {"devices": {"results": [{"driver": "drv", "pool": "b", "device": "d"}]}}


def using(*names: str, **more: Any) -> PodInfo:
    return pod("p", resourceClaims=[{"name": n, "resourceClaimName": n} for n in names], **more)


def world(*claims: Object, slices: list[Object] | None = None) -> Any:
    listed = Listed(ResourceClaim=list(claims), ResourceSlice=slices or [slice_("b", "d")], DeviceClass=[GPU, BIG])
    return cluster(node("a"), node("b"), listers=listed)


def test_a_pod_goes_where_its_devices_are() -> None:
    assert decide(using("c"), world(claim("c", request()))).node == "b"
    place = {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a"]}]}]}
    assert decide(using("c"), world(claim("c", request(), allocation={"nodeSelector": place}))).node == "a"


@pytest.mark.parametrize(
    ("wanted", "claims", "message"),
    [
        (using("c"), [claim("c", request(count=2))], "0/2 nodes are available: 2 cannot allocate all claims."),
        (using("c"), [], 'resourceclaim.resource.k8s.io "c" not found'),
        (
            pod("p", resourceClaims=[{"name": "c", "resourceClaimTemplateName": "t"}]),
            [],
            'pod "default/p": ResourceClaim not created yet',
        ),
        (using("c"), [claim("c", request(class_name="no"))], "request r: device class no does not exist"),
        (using("c"), [claim("c", request(), allocation={}, reserved=256)], "resourceclaim in use"),
        (
            using("c"),
            [claim("c", request()), claim("o", allocation=TAKEN)],
            "2 cannot allocate all claims",
        ),
    ],
)  # fmt: skip
def test_why_a_pod_does_not_fit(wanted: PodInfo, claims: list[Object], message: str) -> None:
    decision = decide(wanted, world(*claims))
    assert decision.diagnosis is not None and message in decision.diagnosis.message()


class Writes:
    def __init__(self) -> None:
        self.taken: list[tuple[str, str, Object | None]] = []

    async def take_claim(self, claim: Object, pod: PodInfo, allocation: Object | None) -> None:
        self.taken.append((claim["metadata"]["name"], pod.key.name, allocation))


async def test_what_was_decided_is_kept_until_it_is_seen_and_written_before_binding() -> None:
    plugin, writes = DynamicResources({}), Writes()
    plugin.writer = writes
    other = pod("q", resourceClaims=[{"name": "o", "resourceClaimName": "o"}])
    there = world(claim("c", request()), claim("o", request()))
    place = there.node("b")
    assert plugin.reserve(using("c"), place, there) is None
    check = plugin.filter(other, there)
    assert callable(check) and check(place) is not None  # the device is as good as gone
    sharing = plugin.filter(pod("s", resourceClaims=[{"name": "c", "resourceClaimName": "c"}]), there)
    assert isinstance(sharing, Rejection) and "in the process of being allocated" in sharing.message
    await plugin.pre_bind(using("c"), "b")
    ((name, who, allocation),) = writes.taken
    assert (name, who) == ("c", "p") and allocation is not None
    assert allocation["devices"]["results"][0]["device"] == "d"
    plugin.unreserve(using("c"), "b")
    check = plugin.filter(other, there)
    assert callable(check) and check(place) is None
