"""The DNS server's process against the real API server: queries over real sockets, and its own Service."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from dnslib import RCODE, DNSRecord

from clusterdns.forward import Failed, Forwarder, Upstream, Upstreams
from clusterdns.service import NAMESPACE, OwnService, Place
from kubeling.api.meta import Object
from kubeling.api.resources import ENDPOINT_SLICES, SERVICES
from kubeling.client.rest import Client
from tests.integration.conftest import ApiServer, Process, free_port, start
from tests.integration.controllers.conftest import eventually, write_kubeconfig


@pytest.fixture(scope="module")
def kubeconfig(apiserver: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_kubeconfig(apiserver, tmp_path_factory.mktemp("dns") / "kubeconfig")


@pytest.fixture
async def client(kubeconfig: Path) -> AsyncIterator[Client]:
    made = Client.from_kubeconfig(kubeconfig)
    yield made
    await made.aclose()


@pytest.fixture(scope="module")
def server(kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """A running server that keeps no Service and has nobody to ask above it."""
    port = free_port()
    log = tmp_path_factory.mktemp("clusterdns") / "log"
    flags = [f"--kubeconfig={kubeconfig}", f"--port={port}", "--cluster-dns=", "--forward=127.0.0.1:1"]
    process: Process = start([sys.executable, "-m", "clusterdns", *flags], log)
    yield Upstream("127.0.0.1", port)
    assert process.stop() == 0
    assert "Traceback" not in log.read_text()


async def dig(server: Upstream, name: str, kind: str = "A") -> DNSRecord | None:
    told = await Forwarder(Upstreams([server], []), seconds=1).ask(DNSRecord.question(name, kind).pack())
    return None if isinstance(told, Failed) else DNSRecord.parse(told)


async def resolved(server: Upstream, name: str, kind: str = "A") -> list[str]:
    async def answered() -> list[str]:
        record = await dig(server, name, kind)
        return sorted(str(rr.rdata) for rr in record.rr) if record is not None else []

    found = await eventually(answered)
    assert isinstance(found, list)
    return found


def service(name: str, **spec: object) -> Object:
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": ports, **spec}}


async def test_names_follow_the_api(client: Client, server: Upstream, namespace: str) -> None:
    created = await client.create(SERVICES, service("web"), namespace)
    name = f"web.{namespace}.svc.cluster.local"
    assert await resolved(server, name) == [created["spec"]["clusterIP"]]
    assert await resolved(server, f"_http._tcp.{name}", "SRV") == [f"0 100 80 {name}."]
    reverse = ".".join(reversed(created["spec"]["clusterIP"].split("."))) + ".in-addr.arpa"
    assert await resolved(server, reverse, "PTR") == [f"{name}."]
    await client.delete(SERVICES, "web", namespace)

    async def gone() -> bool:
        record = await dig(server, name)
        return record is not None and record.header.rcode == RCODE.NXDOMAIN

    await eventually(gone)


async def test_headless_services_have_their_endpoints_names(client: Client, server: Upstream, namespace: str) -> None:
    await client.create(SERVICES, service("db", clusterIP="None"), namespace)
    endpoints = [
        {"addresses": ["10.244.0.5"], "hostname": "db-0", "conditions": {"ready": True}},
        {"addresses": ["10.244.0.6"], "conditions": {"ready": True}},
        {"addresses": ["10.244.0.7"], "conditions": {"ready": False}},
    ]
    piece = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "db-x", "labels": {"kubernetes.io/service-name": "db"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": endpoints,
    }
    await client.create(ENDPOINT_SLICES, piece, namespace)
    assert await resolved(server, f"db.{namespace}.svc.cluster.local") == ["10.244.0.5", "10.244.0.6"]
    assert await resolved(server, f"db-0.db.{namespace}.svc.cluster.local") == ["10.244.0.5"]


async def test_a_search_domain_too_many_is_told_at_once(server: Upstream) -> None:
    await resolved(server, "kubernetes.default.svc.cluster.local")
    record = await dig(server, "kubernetes.default.svc.cluster.local.default.svc.cluster.local")
    assert record is not None and record.header.rcode == RCODE.NXDOMAIN


async def test_names_of_others_fail_when_nobody_knows_them(server: Upstream) -> None:
    record = await dig(server, "www.example.com")
    assert record is not None and record.header.rcode == RCODE.SERVFAIL


async def test_its_own_service_leads_to_it_wherever_it_is(client: Client) -> None:
    first = Place("10.96.0.10", "192.0.2.10", 5353, 9153)
    await OwnService(client, first).ensure()
    await OwnService(client, first).ensure()
    kept = await client.get(SERVICES, "kube-dns", NAMESPACE)
    assert kept["spec"]["clusterIP"] == "10.96.0.10"
    await OwnService(client, Place("10.96.0.10", "192.0.2.11", 5354)).ensure()
    piece = await client.get(ENDPOINT_SLICES, "kube-dns-clusterdns", NAMESPACE)
    assert piece["endpoints"][0]["addresses"] == ["192.0.2.11"]
    assert {p["port"] for p in piece["ports"]} == {5354}
