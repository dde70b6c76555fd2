import pytest

from controllers.endpoints import ENDPOINT_SLICE, ENDPOINT_SLICE_MIRRORING, ENDPOINTS
from controllers.endpoints.endpointslice import groups_of, plan
from kubeling.api.meta import Object, labels_of
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
