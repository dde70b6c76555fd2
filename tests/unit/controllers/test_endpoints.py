import pytest

from controllers.endpoints import ENDPOINT_SLICE, ENDPOINT_SLICE_MIRRORING, ENDPOINTS
from controllers.endpoints.endpoints import truncated
from controllers.endpoints.endpointslice import groups_of, plan
from controllers.endpoints.packing import Group, pack
from controllers.endpoints.triggers import TriggerTimes
from kubeling.api.meta import Key, Object, annotations_of, labels_of, rfc3339
from kubeling.api.resources import ENDPOINT_SLICES, NODES, PODS, SERVICES
from kubeling.api.resources import ENDPOINTS as ENDPOINTS_RESOURCE
from tests.unit.controllers.world import World

PORTS = [{"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP"}]


def service_spec(**more: object) -> Object:
    return {"selector": {"app": "x"}, "ports": PORTS, "ipFamilies": ["IPv4"], "clusterIP": "10.96.0.9", **more}


def pod_spec(port: int = 8080, node: str = "n1") -> Object:
    containers = [{"name": "c", "ports": [{"name": "web", "containerPort": port, "protocol": "TCP"}]}]
    return {"nodeName": node, "containers": containers}


def add_pod(w: World, number: int, *, ready: bool = True, port: int = 8080) -> Object:
    pod = w.create(PODS, f"p{number:03}", pod_spec(port), labels={"app": "x"})
    ip = f"10.244.{number // 250}.{number % 250 + 1}"
    w.set_status(pod, phase="Running", ready=ready, podIP=ip, podIPs=[{"ip": ip}])
    return pod


async def two_pods(w: World) -> None:
    w.create(NODES, "n1", {}, namespace="", labels={"topology.kubernetes.io/zone": "z1"})
    w.create(SERVICES, "web", service_spec(), labels={"team": "a"})
    add_pod(w, 1)
    add_pod(w, 2, ready=False)
    await w.settle()


async def test_slices_of_a_service() -> None:
    async with World(ENDPOINT_SLICE) as w:
        await two_pods(w)
        (slice_,) = w.api.all(ENDPOINT_SLICES)
        assert slice_["metadata"]["generateName"] == "web-"
        assert labels_of(slice_) == {
            "team": "a",
            "kubernetes.io/service-name": "web",
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        }
        assert slice_["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
        first, second = slice_["endpoints"]
        assert first["addresses"] == ["10.244.0.2"]
        assert first["conditions"] == {"ready": True, "serving": True, "terminating": False}
        assert (first["nodeName"], first["zone"]) == ("n1", "z1")
        assert second["conditions"] == {"ready": False, "serving": False, "terminating": False}
        w.api.delete(PODS, "ns", "p001")
        await w.settle()
        ending = w.api.all(ENDPOINT_SLICES)[0]["endpoints"][0]["conditions"]
        assert ending == {"ready": False, "serving": True, "terminating": True}
        w.finish_deleted()
        await w.settle()
        assert len(w.api.all(ENDPOINT_SLICES)[0]["endpoints"]) == 1


async def test_a_hundred_a_slice_and_few_writes() -> None:
    async with World(ENDPOINT_SLICE) as w:
        w.create(NODES, "n1", {}, namespace="")
        for number in range(250):
            add_pod(w, number)
        w.create(SERVICES, "web", service_spec())
        await w.settle()
        assert sorted(len(s["endpoints"]) for s in w.api.all(ENDPOINT_SLICES)) == [50, 100, 100]
        writes = len(w.api.writes)
        add_pod(w, 300)
        w.api.delete(PODS, "ns", "p001")
        w.finish_deleted()
        await w.settle()
        slices = w.api.all(ENDPOINT_SLICES)
        assert sum(len(s["endpoints"]) for s in slices) == 250
        assert len(w.api.writes) - writes <= 3


async def test_an_empty_service_has_an_empty_slice_and_no_selector_none() -> None:
    async with World(ENDPOINT_SLICE) as w:
        w.create(SERVICES, "empty", service_spec())
        w.create(SERVICES, "bare", {"ports": PORTS, "ipFamilies": ["IPv4"]})
        await w.settle()
        (slice_,) = w.api.all(ENDPOINT_SLICES)
        assert slice_["endpoints"] == [] and labels_of(slice_)["kubernetes.io/service-name"] == "empty"


def test_named_ports_may_differ_between_pods_and_both_families_have_groups() -> None:
    pods = [
        {
            "metadata": {"name": f"p{port}", "namespace": "ns", "uid": f"u{port}"},
            "spec": pod_spec(port),
            "status": {"podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]},
        }
        for port in (80, 81)
    ]
    service = {"metadata": {"name": "s", "namespace": "ns"}, "spec": service_spec(ipFamilies=["IPv4", "IPv6"])}
    found = [(g.address_type, g.ports[0]["port"], len(g.endpoints)) for g in groups_of(service, pods, {})]
    assert found == [("IPv4", 80, 1), ("IPv4", 81, 1), ("IPv6", 80, 1), ("IPv6", 81, 1)]
    changes = plan({**service, "metadata": {**service["metadata"], "uid": "s"}}, pods, {}, [], 100)
    assert len(changes.create) == 4


@pytest.mark.parametrize(
    ("distribution", "hints"),
    [
        ("", None),
        ("PreferClose", {"forZones": [{"name": "z1"}]}),
        ("PreferSameNode", {"forZones": [{"name": "z1"}], "forNodes": [{"name": "n1"}]}),
    ],
)
async def test_traffic_distribution(distribution: str, hints: object) -> None:
    async with World(ENDPOINT_SLICE) as w:
        w.create(NODES, "n1", {}, namespace="", labels={"topology.kubernetes.io/zone": "z1"})
        w.create(SERVICES, "web", service_spec(trafficDistribution=distribution))
        add_pod(w, 1)
        await w.settle()
        assert w.api.all(ENDPOINT_SLICES)[0]["endpoints"][0].get("hints") == hints


async def test_endpoints() -> None:
    async with World(ENDPOINTS) as w:
        await two_pods(w)
        endpoints = w.get(ENDPOINTS_RESOURCE, "web")
        assert labels_of(endpoints)["endpoints.kubernetes.io/managed-by"] == "endpoint-controller"
        (subset,) = endpoints["subsets"]
        assert subset["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
        assert [a["ip"] for a in subset["addresses"]] == ["10.244.0.2"]
        assert [a["ip"] for a in subset["notReadyAddresses"]] == ["10.244.0.3"]
        assert subset["addresses"][0]["targetRef"]["name"] == "p001"
        w.api.delete(SERVICES, "ns", "web")
        await w.settle()
        assert w.api.all(ENDPOINTS_RESOURCE) == []


async def test_mirroring_follows_hand_written_endpoints() -> None:
    async with World(ENDPOINT_SLICE_MIRRORING) as w:
        w.create(SERVICES, "db", {"ports": [{"port": 5432}]})
        subsets = [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 5432, "protocol": "TCP"}]}]
        w.api.create(ENDPOINTS_RESOURCE, {"metadata": {"name": "db", "namespace": "ns"}, "subsets": subsets})
        await w.settle()
        (slice_,) = w.api.all(ENDPOINT_SLICES)
        assert slice_["endpoints"] == [{"addresses": ["192.0.2.1"], "conditions": {"ready": True}}]
        assert slice_["metadata"]["ownerReferences"][0]["kind"] == "Endpoints"
        w.api.delete(ENDPOINTS_RESOURCE, "ns", "db")
        await w.settle()
        assert w.api.all(ENDPOINT_SLICES) == []


def slice_of(name: str, *ids: str, port: int = 80) -> Object:
    ports = [{"name": "", "port": port, "protocol": "TCP"}]
    metadata = {"name": name, "labels": {}, "ownerReferences": [{"controller": True, "uid": "s"}]}
    return {"metadata": metadata, "addressType": "IPv4", "ports": ports, "endpoints": [{"addresses": [i]} for i in ids]}


def group(*ids: str, port: int = 80) -> Group:
    endpoints: dict[str, Object] = {i: {"addresses": [i]} for i in ids}
    return Group("IPv4", [{"name": "", "port": port, "protocol": "TCP"}], endpoints)


TEMPLATE: Object = {"generateName": "s-", "labels": {}, "ownerReferences": [{"controller": True, "uid": "s"}]}


def packed(existing: list[Object], *groups: Group) -> tuple[list[int], dict[str, list[str]], list[str]]:
    """Sizes of the slices created; what the updated ones hold; which are deleted. Four endpoints fit a slice."""
    changes = pack(TEMPLATE, existing, list(groups), 4)
    updated = {s["metadata"]["name"]: [e["addresses"][0] for e in s["endpoints"]] for s in changes.update}
    return [len(s["endpoints"]) for s in changes.create], updated, [s["metadata"]["name"] for s in changes.delete]


@pytest.mark.parametrize(
    ("existing", "groups", "created", "updated", "deleted"),
    [
        ([], [group(*"abcdef")], [4, 2], {}, []),
        # what is new goes into the fullest slice that takes all of it, else into a new one: never into two
        ([slice_of("x", "a"), slice_of("y", "b", "c")], [group(*"abcd")], [], {"y": ["b", "c", "d"]}, []),
        ([slice_of("x", *"abc"), slice_of("y", *"def")], [group(*"abcdefgh")], [2], {}, []),
        # slices that change anyway are filled first
        ([slice_of("x", *"abc"), slice_of("y", *"def")], [group(*"abcefg")], [], {"y": ["e", "f", "g"]}, []),
        ([slice_of("x", "a"), slice_of("y", "b")], [group("a")], [], {}, ["y"]),
        # another port: the slice is changed in place
        ([slice_of("x", "a", "b")], [group("a", "b", port=81)], [], {"x": ["a", "b"]}, []),
        ([slice_of("x", "a"), slice_of("y", "b")], [group()], [], {"x": []}, ["y"]),
        ([], [group()], [0], {}, []),
    ],
)
def test_packing(
    existing: list[Object], groups: list[Group], created: list[int], updated: dict[str, list[str]], deleted: list[str]
) -> None:
    assert packed(existing, *groups) == (created, updated, deleted)


def test_slices_of_an_earlier_service_of_that_name_are_not_taken_over() -> None:
    foreign = slice_of("x", "a")
    foreign["metadata"]["ownerReferences"][0]["uid"] = "before"
    assert packed([foreign], group("a")) == ([1], {}, ["x"])


def test_the_time_of_a_change_is_the_earliest_that_is_new() -> None:
    times, key = TriggerTimes(), Key("ns", "s")
    service = {"metadata": {"name": "s", "creationTimestamp": "2026-01-01T00:00:00Z"}}

    def pod(name: str, at: str) -> Object:
        ready = {"type": "Ready", "status": "False", "lastTransitionTime": f"2026-01-01T00:00:{at}Z"}
        return {"metadata": {"name": name}, "status": {"conditions": [ready]}}

    assert times.next(key, service, [pod("a", "10")]) == "2026-01-01T00:00:00Z"
    assert times.next(key, service, [pod("a", "10")]) == ""
    assert times.next(key, service, [pod("a", "30"), pod("b", "20")]) == "2026-01-01T00:00:20Z"
    times.forget(key)
    assert times.next(key, service, [pod("a", "30")]) == "2026-01-01T00:00:00Z"


async def test_the_time_of_a_change_stands_in_slices_and_endpoints_while_it_is_the_last() -> None:
    async with World(ENDPOINT_SLICE, ENDPOINTS) as w:
        await two_pods(w)
        await w.clock.advance(60)
        ready_at = rfc3339(w.clock.now())
        w.make_ready(w.get(PODS, "p002"))
        await w.settle()
        for obj in (*w.api.all(ENDPOINT_SLICES), *w.api.all(ENDPOINTS_RESOURCE)):
            assert annotations_of(obj) == {"endpoints.kubernetes.io/last-change-trigger-time": ready_at}
        w.api.update(SERVICES, "ns", "web", lambda s: s["metadata"].update(labels={"team": "b"}))
        await w.settle()
        for obj in (*w.api.all(ENDPOINT_SLICES), *w.api.all(ENDPOINTS_RESOURCE)):
            assert labels_of(obj)["team"] == "b" and annotations_of(obj) == {}


async def test_pods_of_unknown_nodes_are_left_out_and_told() -> None:
    async with World(ENDPOINT_SLICE) as w:
        w.create(SERVICES, "web", service_spec())
        add_pod(w, 1)
        await w.settle()
        assert w.api.all(ENDPOINT_SLICES)[0]["endpoints"] == []
        text = (
            "Error updating Endpoint Slices for Service ns/web: skipping Pod p001 for Service ns/web: Node n1 Not Found"
        )
        assert ("FailedToUpdateEndpointSlices", text) in w.events()
        w.create(NODES, "n1", {}, namespace="")
        await w.clock.advance(6)
        assert len(w.api.all(ENDPOINT_SLICES)[0]["endpoints"]) == 1


def test_pods_without_the_named_port_are_endpoints_without_ports() -> None:
    pod = {
        "metadata": {"name": "p", "namespace": "ns", "uid": "u"},
        "spec": {"containers": [{"name": "c"}]},
        "status": {"podIPs": [{"ip": "10.0.0.1"}]},
    }
    service = {"metadata": {"name": "s", "namespace": "ns"}, "spec": service_spec()}
    (found,) = groups_of(service, [pod], {})
    assert (found.ports, len(found.endpoints)) == ([], 1)


def test_too_many_addresses_are_cut_each_subset_giving_its_share() -> None:
    def addresses(number: int) -> list[Object]:
        return [{"ip": f"10.0.{i // 250}.{i % 250}"} for i in range(number)]

    def sizes(subsets: list[Object]) -> list[tuple[int, int]]:
        cut, over = truncated(subsets)
        assert over
        return [(len(s.get("addresses") or ()), len(s.get("notReadyAddresses") or ())) for s in cut]

    ready_one: Object = {"addresses": addresses(900), "notReadyAddresses": addresses(300)}
    assert sizes([ready_one]) == [(900, 100)]
    assert sizes([{"addresses": addresses(900)}, {"addresses": addresses(600)}]) == [(600, 0), (400, 0)]
    assert sizes([{"addresses": addresses(1200), "notReadyAddresses": addresses(5)}]) == [(1000, 0)]
    assert truncated([{"addresses": addresses(1000)}])[1] is False


async def test_a_mirror_is_one_slice_a_set_of_ports_and_says_what_it_leaves_out() -> None:
    async with World(ENDPOINT_SLICE_MIRRORING, mirroring_max_endpoints_per_subset=150) as w:
        w.create(SERVICES, "db", {"ports": [{"port": 5432}]})
        addresses: list[Object] = [{"ip": f"192.0.2.{i}"} for i in range(1, 161)]
        subsets = [{"addresses": addresses, "notReadyAddresses": [{"ip": "192.0.2.200"}], "ports": [{"port": 5432}]}]
        annotations = {"endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:00Z", "a": "b"}
        metadata = {"name": "db", "namespace": "ns", "annotations": annotations}
        w.api.create(ENDPOINTS_RESOURCE, {"metadata": metadata, "subsets": subsets})
        await w.settle()
        (slice_,) = w.api.all(ENDPOINT_SLICES)
        assert len(slice_["endpoints"]) == 150 and annotations_of(slice_) == {"a": "b"}
        text = (
            "A max of 150 addresses can be mirrored to EndpointSlices per Endpoints subset. 11 addresses were skipped"
        )
        assert ("TooManyAddressesToMirror", text) in w.events()
        few = [{"addresses": [{"ip": "192.0.2.1"}], "notReadyAddresses": [{"ip": "192.0.2.2"}], "ports": [{"port": 1}]}]
        w.api.update(ENDPOINTS_RESOURCE, "ns", "db", lambda o: o.update(subsets=few))
        await w.settle()
        (after,) = w.api.all(ENDPOINT_SLICES)
        assert after["metadata"]["uid"] == slice_["metadata"]["uid"]
        assert [e["conditions"]["ready"] for e in after["endpoints"]] == [True, False]
