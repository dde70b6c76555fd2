"""Services: defaults, validation, fields that depend on each other, columns."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.kinds.core.service_fields import drop_type_dependent, keep_allocated, sync_cluster_ips
from apiserver.kinds.core.service_warnings import service_warnings


def test_defaults(strategies: Any, service: Any) -> None:
    spec = strategies.created(service())["spec"]
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert (spec["type"], spec["sessionAffinity"], spec["internalTrafficPolicy"]) == ("ClusterIP", "None", "Cluster")
    assert "externalTrafficPolicy" not in spec


def test_defaults_by_type(strategies: Any, service: Any) -> None:
    balanced = strategies.created(service(type="LoadBalancer", sessionAffinity="ClientIP"))["spec"]
    assert balanced["allocateLoadBalancerNodePorts"] is True
    assert balanced["externalTrafficPolicy"] == "Cluster"
    assert balanced["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}
    named = strategies.created(service(type="ExternalName", externalName="a.example"))["spec"]
    assert "internalTrafficPolicy" not in named


PORT = '{"Name":"","Protocol":"TCP","AppProtocol":null,"Port":1,"TargetPort":0,"NodePort":0}'
TYPES = '"ClusterIP", "ExternalName", "LoadBalancer", "NodePort"'
LOOPBACK = "may not be in the loopback range (127.0.0.0/8, ::1/128)"
ONLY_BALANCED = "may only be used when `type` is 'LoadBalancer'"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"ports": []}, "spec.ports: Required value"),
        ({"ports": [{"port": 1}, {"port": 2, "name": "b"}]}, "spec.ports[0].name: Required value"),
        ({"type": "Weird"}, f'spec.type: Unsupported value: "Weird": supported values: {TYPES}'),
        (
            {"type": "NodePort", "clusterIP": "None"},
            "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services",
        ),
        ({"externalIPs": ["127.0.0.1"]}, f'spec.externalIPs[0]: Invalid value: "127.0.0.1": {LOOPBACK}'),
        ({"ipFamilies": ["IPv4", "IPv4"]}, 'spec.ipFamilies[1]: Duplicate value: "IPv4"'),
        (
            {"ports": [{"port": 1, "name": "a"}, {"port": 1, "name": "b"}]},
            f"spec.ports[1]: Duplicate value: {PORT}",
        ),
        (
            {"ports": [{"port": 1, "nodePort": 30000}]},
            "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
        ),
        (
            {"clusterIPs": ["10.96.0.1"]},
            'spec.clusterIPs: Invalid value: ["10.96.0.1"]: must be empty when `clusterIP` is not specified',
        ),
        ({"clusterIP": "None", "ports": []}, ""),
        ({"loadBalancerSourceRanges": ["10.0.0.0/8"]}, f"spec.LoadBalancerSourceRanges: Forbidden: {ONLY_BALANCED}"),
    ],
)
def test_validation(strategies: Any, service: Any, spec: Any, expected: str) -> None:
    assert strategies.errors(service(**spec)) == ([expected] if expected else [])


def test_cluster_ip_stays_and_cannot_change(strategies: Any, service: Any) -> None:
    old = service(clusterIP="10.96.0.9", clusterIPs=["10.96.0.9"])
    assert strategies.update_errors(old, service()) == []
    changed = strategies.update_errors(old, service(clusterIP="10.96.0.10"))
    assert changed == ['spec.clusterIPs[0]: Invalid value: ["10.96.0.10"]: may not change once set']


def test_sync_cluster_ips() -> None:
    created = {"clusterIP": "10.0.0.1"}
    sync_cluster_ips(created, None)
    assert created["clusterIPs"] == ["10.0.0.1"]
    old = {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"]}
    cleared: dict[str, Any] = {"clusterIP": "", "clusterIPs": ["10.0.0.1"]}
    sync_cluster_ips(cleared, old)
    assert "clusterIPs" not in cleared


def test_keep_allocated_ports() -> None:
    old = {"type": "NodePort", "ports": [{"protocol": "TCP", "port": 80, "nodePort": 31000}]}
    new: dict[str, Any] = {
        "type": "LoadBalancer",
        "ports": [{"protocol": "TCP", "port": 80}, {"protocol": "UDP", "port": 80}],
    }
    keep_allocated(new, old)
    assert [p.get("nodePort") for p in new["ports"]] == [31000, None]


def test_type_change_drops_what_the_type_needed() -> None:
    old = {
        "type": "NodePort",
        "clusterIP": "10.0.0.1",
        "clusterIPs": ["10.0.0.1"],
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "externalTrafficPolicy": "Cluster",
        "internalTrafficPolicy": "Cluster",
        "ports": [{"port": 80, "nodePort": 31000}],
    }
    new = {**old, "type": "ExternalName", "externalName": "a.example", "ports": [{"port": 80, "nodePort": 31000}]}
    drop_type_dependent(new, old)
    assert new == {"type": "ExternalName", "externalName": "a.example", "ports": [{"port": 80}]}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"externalName": "a", "type": "ClusterIP"},
            'spec.externalName is ignored when spec.type is not "ExternalName"',
        ),
        (
            {"externalIPs": ["192.0.2.1"]},
            "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
        ),
        (
            {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.1/8"]},
            'spec.loadBalancerSourceRanges[0]: CIDR value "10.0.0.1/8" is ambiguous in this context '
            '(should be "10.0.0.0/8" or "10.0.0.1/32"?)',
        ),
    ],
)
def test_warnings(service: Any, spec: Any, expected: str) -> None:
    assert service_warnings(service(**spec)) == [expected]


def test_cells(strategies: Any, service: Any) -> None:
    pending = strategies.cells(
        service(type="LoadBalancer", ports=[{"port": 80, "nodePort": 30001}], clusterIP="10.96.0.3")
    )
    assert (pending["External-IP"], pending["Port(s)"], pending["Cluster-IP"]) == (
        "<pending>",
        "80:30001/TCP",
        "10.96.0.3",
    )
    assert strategies.cells(service(type="ExternalName", externalName="a.b"))["External-IP"] == "a.b"
    assert strategies.cells(service(selector={"b": "2", "a": "1"}))["Selector"] == "a=1,b=2"
