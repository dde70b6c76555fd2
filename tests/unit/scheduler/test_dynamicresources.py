"""Devices for pods: which serve a claim, where a pod can go, and what is written before it is bound."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from kubeling.api.meta import Object
from scheduler.framework.profile import Profile
from scheduler.framework.schedule import Decision
from scheduler.framework.status import PluginError, Rejection
from scheduler.model.extended import offered
from scheduler.model.pod import PodInfo
from scheduler.model.snapshot import NoListers
from scheduler.plugins import DEFAULT_PROFILE
from scheduler.plugins.dynamicresources import DynamicResources
from scheduler.plugins.dynamicresources.allocator import Allocator, Unallocatable, requests_of
from scheduler.plugins.dynamicresources.capacity import results_of, shared_of
from scheduler.plugins.dynamicresources.devices import Device, devices_on, latest
from scheduler.plugins.dynamicresources.devices import tainted as with_rules
from scheduler.plugins.dynamicresources.extended import Special, special_claim, to_create
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


def test_devices_that_are_ready_at_once_come_first() -> None:
    slow = {"name": "slow", "bindingConditions": ["Ready"], "bindingFailureConditions": ["Broken"]}
    there = latest([slice_("n", slow, name="a", pool="a"), slice_("n", "quick", name="b", pool="b")])
    assert [s["metadata"]["name"] for s in there] == ["b", "a"]


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
        self.done: list[tuple[str, str]] = []
        self.noted: Object = {}

    async def take_claim(self, claim: Object, pod: PodInfo, allocation: Object | None) -> None:
        self.taken.append((claim["metadata"]["name"], pod.key.name, allocation))

    async def release_claim(self, claim: Object, pod: PodInfo) -> None:
        self.done.append(("released", claim["metadata"]["name"]))

    async def deallocate(self, claim: Object) -> None:
        self.done.append(("deallocated", claim["metadata"]["name"]))

    async def create_claim(self, claim: Object) -> Object:
        self.done.append(("created", claim["metadata"]["generateName"]))
        made = to_create(claim)
        return {**made, "metadata": {**made["metadata"], "name": "made", "uid": "made"}}

    async def delete_claim(self, claim: Object) -> None:
        self.done.append(("deleted", claim["metadata"]["name"]))

    async def note_special_claim(self, pod: PodInfo, claim: Object, special: Special) -> None:
        self.noted = {"resourceClaimName": claim["metadata"]["name"], "requestMappings": list(special.mappings)}

    def tell_waiting(self, pod: PodInfo, node: str) -> None:
        self.done.append(("waiting", node))

    async def claims_changed(self) -> None:
        raise AssertionError("there is nothing to wait for")


def test_a_pod_without_its_claims_is_not_tried() -> None:
    plugin, none = DynamicResources({}), NoListers()
    rejection = plugin.pre_enqueue(using("c"), none)
    assert rejection is not None and rejection.message == 'resourceclaim.resource.k8s.io "c" not found'
    assert plugin.pre_enqueue(using("c"), Listed(ResourceClaim=[claim("c")])) is None
    waiting = pod("p", resourceClaims=[{"name": "c", "resourceClaimTemplateName": "t"}])
    rejection = plugin.pre_enqueue(waiting, none)
    assert rejection is not None and rejection.message == 'pod "default/p": ResourceClaim not created yet'
    waiting.obj["status"]["resourceClaimStatuses"] = [{"name": "c", "resourceClaimName": "p-c-x"}]
    made = claim("p-c-x")
    rejection = plugin.pre_enqueue(waiting, Listed(ResourceClaim=[made]))
    assert rejection is not None and "was not created for pod default/p" in rejection.message
    made["metadata"]["ownerReferences"] = [{"kind": "Pod", "name": "p", "uid": "p", "controller": True}]
    assert plugin.pre_enqueue(waiting, Listed(ResourceClaim=[made])) is None


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


def drawing(name: str, **counters: str) -> Object:
    drawn = {key: {"value": value} for key, value in counters.items()}
    return {"name": name, "consumesCounters": [{"counterSet": "set", "counters": drawn}]}


COUNTERS: Object = {
    "metadata": {"name": "counters"},
    "spec": {
        "driver": "drv",
        "pool": {"name": "n", "generation": 1, "resourceSliceCount": 2},
        "nodeName": "n",
        "sharedCounters": [{"name": "set", "counters": {"memory": {"value": "40Gi"}}}],
    },
}
WHOLE = drawing("whole", memory="40Gi")
HALVES = [drawing("h1", memory="20Gi"), drawing("h2", memory="20Gi"), drawing("h3", memory="20Gi")]


def parts(*devices: Object) -> list[Object]:
    return [COUNTERS, slice_("n", *devices, count=2)]


def shared(name: str = "net", **capacity: Any) -> Object:
    return {"name": name, "allowMultipleAllocations": True, "capacity": capacity}


def asking(name: str = "r", **capacity: str) -> Object:
    return request(name, capacity={"requests": capacity})


STEPPED = {"value": "10", "requestPolicy": {"default": "2", "validRange": {"min": "1", "step": "2", "max": "7"}}}
CHOICES = {"value": "10", "requestPolicy": {"default": "2", "validValues": ["2", "5"]}}
MORE = [{"distinctAttribute": "drv/numa"}]


def allocated(one: Object, slices: list[Object], *allocations: Object) -> Object | None:
    """What the claim gets on node ``n`` beside other allocations."""
    newest = latest(slices)
    place = cluster(node("n")).node("n")
    assert place is not None
    used = {(r["driver"], r["pool"], r["device"]) for r in results_of(allocations) if not r.get("shareID")}
    shares = shared_of(newest, allocations)
    allocator = Allocator(devices_on(place, newest), used, lambda *_: True, shares, "n")
    found = allocator.allocate([(one, requests_of(one, CLASSES))])
    return None if found is None else found[0]


def holding(device: str, **more: Any) -> Object:
    return {"devices": {"results": [{"driver": "drv", "pool": "n", "device": device, **more}]}}


@pytest.mark.parametrize(
    ("one", "slices", "others", "devices"),
    [
        pytest.param(claim("c", request()), parts(WHOLE), [], ["whole"], id="all of a counter"),
        pytest.param(claim("c", request()), parts(WHOLE, *HALVES), [holding("h1")], ["h2"], id="a part is in use"),
        pytest.param(claim("c", request()), parts(*HALVES), [holding("whole")], ["h1"], id="one that is no longer there"),
        pytest.param(claim("c", request()), parts(*HALVES, WHOLE), [holding("whole")], None, id="the whole is in use"),
        pytest.param(claim("c", request(count=2)), parts(WHOLE, *HALVES), [], ["h1", "h2"], id="parts beside each other"),
        pytest.param(claim("c", request(count=3)), parts(*HALVES), [], None, id="too many parts"),
        pytest.param(claim("c", request()), parts(WHOLE), [holding("whole", adminAccess=True)], ["whole"], id="a watcher"),
        pytest.param(claim("c", request()), parts(drawing("x", cores="1")), [], None, id="an unknown counter"),
        pytest.param(claim("c", asking(memory="8Gi")), [slice_("n", {"name": "a", "capacity": {"memory": {"value": "4Gi"}}})],
                     [], None, id="too little capacity"),
        pytest.param(claim("c", asking(**{"drv/memory": "4Gi"})),
                     [slice_("n", {"name": "a", "capacity": {"memory": {"value": "4Gi"}}})], [], ["a"], id="enough capacity"),
        pytest.param(claim("c", asking(disk="1")), [slice_("n", "a")], [], None, id="no such capacity"),
        pytest.param(claim("c", request(count=2), constraints=MORE), [slice_("n", with_attribute("a", 0),
                     with_attribute("b", 0), with_attribute("c", 1))], [], ["a", "c"], id="all different"),
    ],
)  # fmt: skip
def test_partitions_and_capacity(
    one: Object, slices: list[Object], others: list[Object], devices: list[str] | None
) -> None:
    found = allocated(one, slices, *others)
    assert (None if found is None else [r["device"] for r in found["devices"]["results"]]) == devices


@pytest.mark.parametrize(
    ("capacity", "asked", "given", "consumed"),
    [
        ({"value": "10"}, {"bandwidth": "4"}, "6", "4"),
        ({"value": "10"}, {"bandwidth": "4"}, "7", None),
        ({"value": "10"}, {}, "0", "10"),
        (STEPPED, {}, "0", "2"),
        (STEPPED, {"bandwidth": "500m"}, "0", "1"),
        (STEPPED, {"bandwidth": "4"}, "0", "5"),
        (STEPPED, {"bandwidth": "8"}, "0", None),
        (CHOICES, {"bandwidth": "3"}, "0", "5"),
        (CHOICES, {"bandwidth": "6"}, "0", None),
        ({"value": "10"}, {"other": "1"}, "0", None),
    ],
)
def test_a_device_for_several(capacity: Object, asked: Any, given: str, consumed: str | None) -> None:
    other = holding("net", shareID="s", consumedCapacity={"bandwidth": given})
    found = allocated(claim("c", asking(**asked)), [slice_("n", shared(bandwidth=capacity))], other)
    if consumed is None:
        assert found is None
        return
    assert found is not None
    (result,) = found["devices"]["results"]
    assert result["consumedCapacity"] == {"bandwidth": consumed} and result["shareID"]


def test_one_claim_may_have_two_shares_of_a_device() -> None:
    two = claim("c", asking("x", bandwidth="5"), asking("y", bandwidth="5"))
    found = allocated(two, [slice_("n", shared(bandwidth={"value": "10"}))])
    assert found is not None
    first, second = found["devices"]["results"]
    assert (first["device"], second["device"]) == ("net", "net") and first["shareID"] != second["shareID"]
    assert allocated(two, [slice_("n", shared(bandwidth={"value": "9"}))]) is None


def test_a_device_that_binds_to_its_node_says_so_and_what_to_wait_for() -> None:
    device = {"name": "a", "bindsToNode": True, "bindingConditions": ["Ready"], "bindingFailureConditions": ["Broken"]}
    found = allocated(claim("c", request()), [slice_("n", device, pool="p", allNodes=True)])
    assert found is not None
    (result,) = found["devices"]["results"]
    assert (result["bindingConditions"], result["bindingFailureConditions"]) == (["Ready"], ["Broken"])
    (term,) = found["nodeSelector"]["nodeSelectorTerms"]
    assert term["matchFields"][0]["values"] == ["n"]


WAITING: Object = {"name": "d", "bindingConditions": ["Ready"], "bindingFailureConditions": ["Broken"]}


@pytest.mark.parametrize(
    ("condition", "failure"),
    [
        ("Ready", ""),
        ("Broken", 'claim c binding failed: reason=Burnt, message="too hot"'),
        ("", "device binding timeout"),
    ],
)
async def test_a_pod_is_bound_when_its_devices_are_ready(condition: str, failure: str) -> None:
    """The driver says so in the claim's status, after the claim has been seen with its allocation."""
    plugin, writes = DynamicResources({"bindingTimeoutSeconds": 0.05}), Writes()
    plugin.writer = writes
    one = claim("c", request())
    there = world(one, slices=[slice_("b", WAITING)])
    place = there.node("b")
    assert plugin.reserve(using("c"), place, there) is None

    def changed() -> None:
        one["status"]["allocation"] = writes.taken[0][2]
        if condition:
            told = {"type": condition, "status": "True", "reason": "Burnt", "message": "too hot"}
            one["status"]["devices"] = [{"driver": "drv", "pool": "b", "device": "d", "conditions": [told]}]

    async def idle() -> None:
        changed()
        await asyncio.sleep(0 if condition else 1)

    writes.claims_changed = idle  # type: ignore[method-assign]  # the stand-in's own
    if failure:
        with pytest.raises(PluginError, match=f'^running PreBind plugin "DynamicResources": {re.escape(failure)}$'):
            await plugin.pre_bind(using("c"), "b")
    else:
        assert await plugin.pre_bind(using("c"), "b") is None
    assert writes.done == [("waiting", "b"), *([("released", "c")] if failure else [])]


def test_rules_taint_devices_for_the_scheduler() -> None:
    def rule(selector: Object | None, effect: str = "NoSchedule") -> Object:
        spec: Object = {"taint": {"key": "k", "effect": effect}}
        return {"spec": spec if selector is None else {**spec, "deviceSelector": selector}}

    there = [slice_("n", "a", "b")]
    one = claim("c", request())
    assert given(one, with_rules(there, [rule({"device": "a"})])) == ["r=b"]
    assert given(one, with_rules(there, [rule({"driver": "drv", "pool": "n"}, "NoExecute")])) is None
    assert given(claim("c", TOLERATING), with_rules(there, [rule({})])) == ["r=a"]
    for harmless in (rule(None), rule({"pool": "other"}), rule({}, "None")):
        assert given(one, with_rules(there, [harmless])) == ["r=a"]
    assert there == [slice_("n", "a", "b")]


ELSEWHERE = {
    "nodeSelector": {
        "nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["gone"]}]}]
    }
}


def decided(wanted: PodInfo, there: Any) -> tuple[Decision, Writes]:
    """With a profile whose claims are written nowhere."""
    profile, writes = Profile.of(DEFAULT_PROFILE), Writes()
    plugin = profile.plugins["DynamicResources"]
    assert isinstance(plugin, DynamicResources)
    plugin.writer, plugin.now = writes, lambda: datetime(2026, 1, 1, tzinfo=UTC)
    return decide(wanted, there, profile), writes


def late(seconds: int) -> Object:
    """An allocation whose device is not ready, made so many seconds ago."""
    result = {"request": "r", "driver": "drv", "pool": "b", "device": "d", "bindingConditions": ["Ready"]}
    moment = datetime.fromtimestamp(datetime(2026, 1, 1, tzinfo=UTC).timestamp() - seconds, UTC)
    return {"devices": {"results": [result]}, "allocationTimestamp": moment.strftime("%Y-%m-%dT%H:%M:%SZ")}


@pytest.mark.parametrize(
    ("one", "told", "writes"),
    [
        (
            claim("c", request(), allocation=ELSEWHERE),
            "deallocation of ResourceClaim completed",
            [("deallocated", "c")],
        ),
        (claim("c", request(), allocation=ELSEWHERE, reserved=1), "still not schedulable", []),
        (claim("c", request(count=2)), "still not schedulable", []),
        (
            claim("c", request(), allocation=late(700)),
            "deallocation of ResourceClaim completed",
            [("deallocated", "c")],
        ),
    ],
)
async def test_devices_that_are_of_no_use_are_given_back(one: Object, told: str, writes: list[tuple[str, str]]) -> None:
    decision, made = decided(using("c"), world(one))
    assert decision.diagnosis is not None and decision.diagnosis.postfilter.startswith(told)
    for write in decision.after:
        await write()
    assert made.done == writes


def test_devices_that_still_have_time_to_become_ready_are_kept() -> None:
    assert decided(using("c"), world(claim("c", request(), allocation=late(500))))[0].node


def test_nodes_with_better_alternatives_are_preferred() -> None:
    there = world(claim("c", EITHER), slices=[slice_("a", "small", name="x"), slice_("b", "big", name="y")])
    profile = Profile.of(DEFAULT_PROFILE)
    plugin = profile.plugins["DynamicResources"]
    assert isinstance(plugin, DynamicResources)
    plugin.matches = lambda expression, device: expression in device.id[2]
    nodes = [there.node("a"), there.node("b")]
    assert plugin.score(using("c"), there, nodes) == [87.0, 100.0]
    assert plugin.score(pod("p"), there, nodes) is None


def offering(name: str, resource: str = "", created: str = "2026-01-01T00:00:00Z") -> Object:
    spec = {"extendedResourceName": resource} if resource else {}
    return {"metadata": {"name": name, "creationTimestamp": created}, "spec": spec}


RES, IMPLICIT = "example.com/gpu", "deviceclass.resource.kubernetes.io/gpu"


def lending(*classes: Object, claims: list[Object] | None = None, **allocatable: str) -> Any:
    listed = Listed(ResourceClaim=claims or [], ResourceSlice=[slice_("b", "d", "e")], DeviceClass=list(classes))
    return cluster(node("a", allocatable=allocatable), node("b"), listers=listed)


@pytest.mark.parametrize(
    ("requests", "classes", "where"),
    [
        ({RES: "1"}, [offering("gpu", RES)], "b"),
        ({IMPLICIT: "2"}, [offering("gpu")], "b"),
        ({RES: "3"}, [offering("gpu", RES)], ""),
        ({RES: "1"}, [offering("gpu", "example.com/other")], ""),
        ({RES: "1"}, [], ""),
    ],
)
def test_extended_resources_that_a_class_offers(requests: dict[str, str], classes: list[Object], where: str) -> None:
    assert decide(pod("p", requests=requests), lending(*classes)).node == where


def test_a_node_that_has_the_resource_itself_needs_no_devices() -> None:
    there = lending(offering("gpu", RES), **{RES: "4"})
    plugin = DynamicResources({})
    wanted = pod("p", requests={RES: "3"})
    assert decide(wanted, there).node == "a"
    assert plugin.reserve(wanted, there.node("a"), there) is None
    assert plugin._pending == {}


def test_of_several_classes_the_newest_serves_then_the_first_by_name() -> None:
    later = "2026-02-01T00:00:00Z"
    classes = [offering("z", RES, later), offering("b", RES, later), offering("a", RES)]
    assert offered([RES], classes) == {RES: "b"}


async def test_a_special_claim_is_made_and_told() -> None:
    plugin, writes = DynamicResources({}), Writes()
    plugin.writer = writes
    there = lending(offering("gpu", RES))
    wanted = pod("p", requests={RES: "1"})
    assert plugin.reserve(wanted, there.node("b"), there) is None
    assert await plugin.pre_bind(wanted, "b") is None
    assert writes.done == [("created", "p-extended-resources-")]
    ((name, who, allocation),) = writes.taken
    assert (name, who) == ("made", "p") and allocation is not None
    assert allocation["devices"]["results"][0]["request"] == "container-0-request-0"
    mapping = {"containerName": "c", "resourceName": RES, "requestName": "container-0-request-0"}
    assert writes.noted == {"resourceClaimName": "made", "requestMappings": [mapping]}
    check = plugin.filter(pod("q", requests={RES: "2"}), there)
    assert callable(check) and check(there.node("b")) is not None  # one device is as good as gone


async def test_a_special_claim_of_an_earlier_attempt_is_deleted_first() -> None:
    special = special_claim(pod("p", requests={RES: "1"}), {RES: "gpu"}).claim
    left = {**special, "metadata": {**special["metadata"], "name": "left"}}
    decision, writes = decided(pod("p", requests={RES: "1"}), lending(offering("gpu", RES), claims=[left]))
    assert decision.diagnosis is not None
    assert "2 cannot schedule extended resource claim" in decision.diagnosis.message()
    for write in decision.after:
        await write()
    assert writes.done == [("deleted", "left")]


def container(name: str, count: int, **more: Any) -> Object:
    return {"name": name, "resources": {"requests": {"cpu": "1", RES: str(count)} if count else {}}, **more}


def test_init_containers_use_the_devices_of_later_containers() -> None:
    spec = {
        "initContainers": [
            container("first", 4),
            container("side", 1, restartPolicy="Always"),
            container("second", 6),
        ],
        "containers": [container("main", 2), container("none", 0)],
    }
    wanted = PodInfo({"metadata": {"name": "p", "namespace": "default", "uid": "p"}, "spec": spec})
    special = special_claim(wanted, {RES: "gpu"})
    requests = [(r["name"], r["exactly"]["count"]) for r in special.claim["spec"]["devices"]["requests"]]
    assert requests == [("container-1-request-1", 1), ("container-2-request-1", 4), ("container-3-request-1", 2)]
    assert [(m["containerName"], m["requestName"]) for m in special.mappings] == [
        ("side", "container-1-request-1"),
        ("main", "container-3-request-1"),
        ("first", "container-1-request-1"),
        ("first", "container-3-request-1"),
        ("first", "container-2-request-1"),
        ("second", "container-3-request-1"),
        ("second", "container-2-request-1"),
    ]
