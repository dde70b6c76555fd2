"""What a server makes for itself when it starts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apiserver.bootstrap.flow_status import wanted_status
from apiserver.bootstrap.kubernetes_service import KubernetesService, ServiceSettings, live_addresses, reachable_address
from apiserver.bootstrap.run import Bootstrap, BootstrapSettings
from apiserver.kinds import KINDS
from kubeling.api.meta import rfc3339_micro
from kubeling.api.resources import CLUSTER_ROLES, CONFIG_MAPS, ENDPOINT_SLICES, ENDPOINTS, LEASES, NAMESPACES, SERVICES

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SETTINGS = BootstrapSettings(("10.96.0.0/16",), client_ca="PEM")


@pytest.fixture
def served(registries: Any) -> Any:
    for kind in KINDS:
        registries.of(kind.resource)
    return registries


async def test_a_fresh_cluster_gets_everything_and_a_restart_writes_nothing(served: Any) -> None:
    await Bootstrap(served, SETTINGS, lambda: NOW).run()
    assert set(k.name for k in served.of(NAMESPACES).objects) == {
        "default",
        "kube-system",
        "kube-public",
        "kube-node-lease",
    }
    config = served.of(CONFIG_MAPS).cached("extension-apiserver-authentication", "kube-system")
    assert config["data"] == {"client-ca-file": "PEM"}
    before = {r.kind.resource.plural: r.written for r in served.all()}
    await Bootstrap(served, SETTINGS, lambda: NOW + timedelta(days=1)).run()
    assert {r.kind.resource.plural: r.written for r in served.all()} == before


async def test_a_role_that_lost_rules_is_repaired(served: Any) -> None:
    await Bootstrap(served, SETTINGS, lambda: NOW).run()
    roles = served.of(CLUSTER_ROLES)
    await roles.update("system:kube-dns", lambda role: {**role, "rules": []})
    await Bootstrap(served, SETTINGS, lambda: NOW).run()
    assert roles.cached("system:kube-dns")["rules"] == [
        {"verbs": ["list", "watch"], "apiGroups": [""], "resources": ["endpoints", "services"]}
    ]


def service(served: Any, address: str, clock: Any = lambda: NOW) -> KubernetesService:
    return KubernetesService(served, ServiceSettings("10.96.0.1", address, 6443, "host"), clock)


async def test_servers_share_the_endpoints(served: Any) -> None:
    times = [NOW]
    one, two = service(served, "10.0.0.2", lambda: times[0]), service(served, "10.0.0.1", lambda: times[0])
    await one.reconcile()
    await two.reconcile()
    addresses = served.of(ENDPOINTS).cached("kubernetes", "default")["subsets"][0]["addresses"]
    assert addresses == [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]
    assert served.of(SERVICES).cached("kubernetes", "default")["spec"]["clusterIP"] == "10.96.0.1"
    times[0] += timedelta(minutes=1)  # the first one died
    await two.reconcile()
    endpoints = served.of(ENDPOINT_SLICES).cached("kubernetes", "default")["endpoints"]
    assert [e["addresses"] for e in endpoints] == [["10.0.0.1"]]


async def test_a_server_that_stops_withdraws(served: Any) -> None:
    one, two = service(served, "10.0.0.2"), service(served, "10.0.0.1")
    await one.reconcile()
    await two.reconcile()
    await one.withdraw()
    addresses = served.of(ENDPOINTS).cached("kubernetes", "default")["subsets"][0]["addresses"]
    assert addresses == [{"ip": "10.0.0.1"}]
    assert len(served.of(LEASES).objects) == 1


async def test_without_a_reachable_address_there_is_a_service_and_no_endpoint(served: Any) -> None:
    await service(served, "").reconcile()
    assert served.of(SERVICES).cached("kubernetes", "default") is not None
    assert served.of(ENDPOINTS).cached("kubernetes", "default") is None


def test_only_fresh_leases_of_api_servers_count() -> None:
    def lease(address: str, age: int, identity: str = "kube-apiserver") -> dict[str, Any]:
        labels = {"apiserver.kubernetes.io/identity": identity}
        metadata = {"labels": labels, "annotations": {"kubeling.dev/advertise-address": address}}
        return {"metadata": metadata, "spec": {"renewTime": rfc3339_micro(NOW - timedelta(seconds=age))}}

    leases = [lease("10.0.0.9", 5), lease("10.0.0.3", 40), lease("10.0.0.4", 1, "other"), {"metadata": {}}]
    assert live_addresses(leases, "10.0.0.10", NOW) == ["10.0.0.9", "10.0.0.10"]


def test_addresses_that_pods_can_reach() -> None:
    assert reachable_address("192.168.1.5") == "192.168.1.5"
    assert not reachable_address("127.0.0.1").startswith("127.")


def test_flow_schemas_that_dangle() -> None:
    schema = {"metadata": {"name": "s"}, "spec": {"priorityLevelConfiguration": {"name": "low"}}}
    found = wanted_status(schema, {"low"}, NOW)
    assert found is not None
    assert found["status"]["conditions"][0]["status"] == "False"
    assert wanted_status({**schema, "status": found["status"]}, {"low"}, NOW) is None
    missing = wanted_status(schema, set(), NOW)
    assert missing is not None
    assert missing["status"]["conditions"][0]["message"] == (
        'This FlowSchema references the PriorityLevelConfiguration object named "low" but there is no such object'
    )
