from __future__ import annotations

from typing import Any

import pytest

from kubeproxy.model import Endpoint, service_ports, usable


def service(**spec: Any) -> dict[str, Any]:
    labels = spec.pop("labels", {})
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    base = {"clusterIP": "10.96.0.7", "ports": ports, **spec}
    return {
        "metadata": {"namespace": "ns", "name": "web", "labels": labels},
        "spec": base,
        "status": spec.pop("status", {}),
    }


def slice_of(*endpoints: dict[str, Any], **more: Any) -> dict[str, Any]:
    ports = more.pop("ports", [{"name": "http", "port": 8080, "protocol": "TCP"}])
    labels = {"kubernetes.io/service-name": "web"}
    return {
        "metadata": {"namespace": "ns", "labels": labels},
        "addressType": "IPv4",
        "ports": ports,
        "endpoints": list(endpoints),
        **more,
    }


@pytest.mark.parametrize(
    "left_alone",
    [
        {"clusterIP": "None"},
        {"clusterIP": ""},
        {"clusterIP": "fd00::7"},
        {"type": "ExternalName", "clusterIP": ""},
        {"labels": {"service.kubernetes.io/service-proxy-name": "other"}},
        {"labels": {"service.kubernetes.io/headless": ""}},
    ],
)
def test_services_that_are_not_ours(left_alone: dict[str, Any]) -> None:
    assert service_ports([service(**left_alone)], []) == []


def test_a_port_carries_what_decides_its_traffic() -> None:
    made = service(
        ports=[{"name": "http", "port": 80, "nodePort": 30080}],
        type="LoadBalancer",
        externalIPs=["198.51.100.1", "2001:db8::1"],
        loadBalancerSourceRanges=["192.0.2.0/24"],
        sessionAffinity="ClientIP",
        internalTrafficPolicy="Local",
        externalTrafficPolicy="Local",
        healthCheckNodePort=31000,
    )
    made["status"] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}, {"ip": "203.0.113.2", "ipMode": "Proxy"}]}}
    (port,) = service_ports([made], [])
    assert port.path == "ns/web/tcp/http"
    assert (port.node_port, port.external_ips, port.ingress_ips) == (30080, ("198.51.100.1",), ("203.0.113.1",))
    assert (port.affinity_seconds, port.source_ranges, port.health_check_port) == (10800, ("192.0.2.0/24",), 31000)
    assert port.internal_local and port.external_local


def test_endpoints_come_from_all_slices_once_and_only_for_the_port() -> None:
    slices = [
        slice_of({"addresses": ["10.0.0.2", "10.0.0.9"], "nodeName": "n1"}, {"addresses": ["10.0.0.1"]}),
        slice_of({"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.3"]}, ports=[{"name": "http", "port": 9090}]),
        slice_of({"addresses": ["10.0.0.2"], "conditions": {"ready": False}}),
        slice_of({"addresses": ["10.0.0.4"]}, ports=[{"name": "other", "port": 1}]),
        slice_of({"addresses": ["10.0.0.4"]}, ports=[{"name": "http", "port": 8080, "protocol": "UDP"}]),
        slice_of({"addresses": ["fd00::1"]}, addressType="IPv6"),
    ]
    (port,) = service_ports([service()], slices)
    assert [(e.ip, e.port) for e in port.endpoints] == [
        ("10.0.0.1", 8080),
        ("10.0.0.1", 9090),
        ("10.0.0.2", 8080),
        ("10.0.0.3", 9090),
    ]
    assert port.endpoints[2] == Endpoint("10.0.0.2", 8080, "n1")


@pytest.mark.parametrize(
    ("conditions", "chosen"),
    [
        ([{}, {"ready": False}], [0]),
        ([{"ready": True}, {"ready": False, "serving": True, "terminating": True}], [0]),
        ([{"ready": False, "serving": True, "terminating": True}, {"ready": False}], [0]),
        ([{"ready": False, "serving": False, "terminating": True}], []),
        ([{"ready": None}], [0]),
    ],
)
def test_terminating_endpoints_serve_when_none_is_ready(conditions: list[dict[str, Any]], chosen: list[int]) -> None:
    entries = [{"addresses": [f"10.0.0.{i}"], "conditions": c} for i, c in enumerate(conditions)]
    (port,) = service_ports([service()], [slice_of(*entries)])
    assert [e.ip for e in usable(port.endpoints)] == [f"10.0.0.{i}" for i in chosen]
