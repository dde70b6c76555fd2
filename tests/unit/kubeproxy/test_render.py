from __future__ import annotations

from dataclasses import replace

import pytest

from kubeproxy.model import Endpoint, ServicePort
from kubeproxy.render import Settings, render_ports

SETTINGS = Settings("t", "10.244.0.0/16", "10.96.0.0/16", bridge="br0", local_nodes=frozenset({"n1"}))
ONE, TWO = Endpoint("10.244.0.1", 8080, "n1"), Endpoint("10.244.0.2", 8081, "n2")
WEB = ServicePort("ns", "web", "http", "tcp", 80, "10.96.0.7", endpoints=(ONE, TWO))


def rules(port: ServicePort, settings: Settings = SETTINGS) -> dict[str, list[str]]:
    """What is in each chain and map, in order; the words up to the name are left out."""
    found: dict[str, list[str]] = {}
    for line in render_ports([port], settings).splitlines():
        words = line.split(" ", 5)
        if words[:2] in (["add", "rule"], ["add", "element"]):
            found.setdefault(words[4], []).append(words[5])
    return found


def test_a_cluster_ip_is_spread_evenly_over_its_endpoints() -> None:
    found = rules(WEB)
    assert found["service-ips"] == ["{ 10.96.0.7 . tcp . 80 : goto svc/ns/web/tcp/http }"]
    choice = "numgen random mod 2 map { 0 : 10.244.0.1 . 8080, 1 : 10.244.0.2 . 8081 }"
    assert found["svc/ns/web/tcp/http"] == [f"meta l4proto tcp dnat ip to {choice}"]
    assert "10.244.0.1 . 10.244.0.1" in found["hairpin-connections"][0]
    assert not {"no-endpoint-services", "ext/ns/web/tcp/http"} & found.keys()


def test_one_endpoint_needs_no_choice() -> None:
    found = rules(replace(WEB, endpoints=(TWO,), protocol="sctp"))
    assert found["svc/ns/web/sctp/http"] == ["meta l4proto sctp dnat ip to 10.244.0.2:8081"]


def test_without_endpoints_every_door_refuses() -> None:
    found = rules(replace(WEB, endpoints=(), node_port=30080, external_ips=("198.51.100.1",)))
    refused = found["no-endpoint-services"][0]
    assert "10.96.0.7 . tcp . 80 : goto refuse" in refused and "198.51.100.1 . tcp . 80 : goto refuse" in refused
    assert found["no-endpoint-nodeports"] == ["{ tcp . 30080 : goto refuse }"]
    assert not {"service-ips", "service-nodeports"} & found.keys()


def test_external_traffic_is_masqueraded() -> None:
    found = rules(
        replace(WEB, node_port=30080, ingress_ips=("203.0.113.1",), source_ranges=("192.0.2.0/25", "192.0.2.128/25"))
    )
    assert found["service-nodeports"] == ["{ tcp . 30080 : goto ext/ns/web/tcp/http }"]
    assert found["ext/ns/web/tcp/http"] == ["meta mark set meta mark or 0x4000", "goto svc/ns/web/tcp/http"]
    assert "203.0.113.1 . tcp . 80 : goto ext/ns/web/tcp/http" in found["service-ips"][0]
    assert found["firewall-ips"] == ["{ 203.0.113.1 . tcp . 80 : goto fw/ns/web/tcp/http }"]
    assert found["fw/ns/web/tcp/http"] == ["ip saddr != { 192.0.2.0/24 } drop"]


def test_local_policy_outside_keeps_the_client_and_the_node() -> None:
    found = rules(replace(WEB, node_port=30080, external_local=True))
    assert found["local/ns/web/tcp/http"] == ["meta l4proto tcp dnat ip to 10.244.0.1:8080"]
    assert found["ext/ns/web/tcp/http"] == [
        "ip saddr 10.244.0.0/16 goto svc/ns/web/tcp/http",
        "fib saddr type local meta mark set meta mark or 0x4000",
        "fib saddr type local goto svc/ns/web/tcp/http",
        "goto local/ns/web/tcp/http",
    ]
    elsewhere = rules(replace(WEB, node_port=30080, external_local=True, endpoints=(TWO,)))
    assert elsewhere["ext/ns/web/tcp/http"][-1] == "drop"


def test_local_policy_where_several_nodes_share_the_machine() -> None:
    nodes = (("n1", "10.244.0.101"), ("n3", "10.244.0.103"))
    shared = replace(SETTINGS, local_nodes=frozenset({"n1", "n3"}), node_addresses=nodes)
    found = rules(replace(WEB, node_port=30080, external_local=True), shared)
    assert "10.244.0.101 . tcp . 30080 : goto ext-n1/ns/web/tcp/http" in found["service-ips"][0]
    assert found["local-n1/ns/web/tcp/http"] == ["meta l4proto tcp dnat ip to 10.244.0.1:8080"]
    assert found["ext-n1/ns/web/tcp/http"][-1] == "goto local-n1/ns/web/tcp/http"
    assert found["ext-n3/ns/web/tcp/http"] == [
        "fib saddr type local drop",
        "ip saddr 10.244.0.0/16 goto svc/ns/web/tcp/http",
        "drop",
    ]
    assert "ext-n1/ns/web/tcp/http" not in rules(replace(WEB, node_port=30080), shared)


@pytest.mark.parametrize(
    ("endpoints", "where", "what"),
    [
        ((ONE, TWO), "service-ips", "goto local/ns/web/tcp/http"),
        ((TWO,), "no-endpoint-services", "drop"),
        ((), "no-endpoint-services", "goto refuse"),
    ],
)
def test_local_policy_inside(endpoints: tuple[Endpoint, ...], where: str, what: str) -> None:
    found = rules(replace(WEB, internal_local=True, endpoints=endpoints))
    assert found[where] == [f"{{ 10.96.0.7 . tcp . 80 : {what} }}"]


def test_affinity_remembers_the_endpoint_of_a_client() -> None:
    text = render_ports([replace(WEB, affinity_seconds=60)], SETTINGS)
    found = rules(replace(WEB, affinity_seconds=60))
    remembered = "aff/ns/web/tcp/http/10.244.0.1/8080/60"
    assert found["ep/ns/web/tcp/http/10.244.0.1/8080"] == [
        f"update @{remembered} {{ ip saddr }}",
        "meta l4proto tcp dnat ip to 10.244.0.1:8080",
    ]
    assert found["svc/ns/web/tcp/http"][0] == f"ip saddr @{remembered} goto ep/ns/web/tcp/http/10.244.0.1/8080"
    assert f"add set inet t {remembered} {{ type ipv4_addr; flags dynamic,timeout; timeout 60s; }}" in text
    assert f"flush set inet t {remembered}" not in text


def test_an_empty_cluster_refuses_the_service_range_and_keeps_pods_in() -> None:
    text = render_ports([], SETTINGS)
    assert "add rule inet t service-range-check ip daddr 10.96.0.0/16 goto refuse" in text
    assert 'ip daddr 10.244.0.0/16 oifname != { "br0", "lo" } drop' in text
    assert "oifname" not in render_ports([], replace(SETTINGS, bridge=""))


def test_the_first_of_two_services_keeps_an_external_ip() -> None:
    other = replace(WEB, name="zzz", cluster_ip="10.96.0.8", external_ips=("198.51.100.1",))
    text = render_ports([replace(WEB, external_ips=("198.51.100.1",)), other], SETTINGS)
    assert text.count("198.51.100.1 . tcp . 80") == 1
    assert "198.51.100.1 . tcp . 80 : goto ext/ns/web/tcp/http" in text


def test_settings_reach_the_rules() -> None:
    text = render_ports(
        [], replace(SETTINGS, nodeport_addresses=("127.0.0.0/8",), masquerade_all=True, masquerade_pods=True)
    )
    assert "ip daddr { 127.0.0.0/8 } fib daddr type local meta l4proto . th dport vmap @service-nodeports" in text
    assert "services ip daddr 10.96.0.0/16 meta mark set" in text
    assert "ct status dnat ip saddr 10.244.0.0/16 ip daddr 10.244.0.0/16 masquerade" in text
