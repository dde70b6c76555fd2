import ipaddress

import pytest

from kubeling.cluster.components import Hosts, Layout, Ports, client_identities, plan_components, server_certificates
from kubeling.cluster.config import ClusterConfig
from kubeling.cluster.network import PodNetwork, bridge_name, candidate_subnets, network_settings
from kubeling.cluster.paths import ClusterPaths

NETWORK = PodNetwork("kubeling-dev", ipaddress.IPv4Network("10.244.0.0/16"), "10.244.0.1")


@pytest.fixture
def layout(tmp_path):
    return Layout(ClusterConfig(nodes=2), ClusterPaths(tmp_path), Ports(2001, 2002), NETWORK)


def flags(spec):
    return dict(a.removeprefix("--").split("=", 1) for a in spec.argv if a.startswith("--"))


def test_every_component_in_start_order(layout):
    assert [s.name for s in plan_components(layout)] == [
        "etcd",
        "apiserver",
        "kubeproxy",
        "kubelet-dev-1",
        "kubelet-dev-2",
        "controllers",
        "scheduler",
        "clusterdns",
    ]


def test_only_the_api_server_brings_etcd_and_no_node_certificates(tmp_path):
    config = ClusterConfig(only=("apiserver",))
    layout = Layout(config, ClusterPaths(tmp_path), Ports(2001, 2002), None)
    assert [s.name for s in plan_components(layout)] == ["etcd", "apiserver"]
    assert not config.needs_node
    assert not [leaf for leaf in server_certificates(layout) if leaf.file.startswith("kubelet")]


def test_pods_reach_the_api_server_on_the_bridge(layout):
    apiserver = next(s for s in plan_components(layout) if s.name == "apiserver")
    assert "--bind-address=127.0.0.1" in apiserver.argv
    assert "--bind-address=10.244.0.1" in apiserver.argv
    assert flags(apiserver)["advertise-address"] == "10.244.0.1"
    names = next(leaf.names for leaf in server_certificates(layout) if leaf.file == "apiserver")
    assert {"127.0.0.1", "10.244.0.1", "10.96.0.1", "kubernetes.default.svc.cluster.local"} <= set(names)


def test_the_api_server_is_as_secure_as_kubeadm_makes_it(layout):
    apiserver = flags(next(s for s in plan_components(layout) if s.name == "apiserver"))
    assert apiserver["authorization-mode"] == "Node,RBAC"
    assert apiserver["enable-admission-plugins"] == "NodeRestriction"
    assert apiserver["enable-bootstrap-token-auth"] == "true"


def test_each_kubelet_has_its_own_name_address_and_folder_and_all_the_usual_port(layout):
    kubelets = [flags(s) for s in plan_components(layout) if s.name.startswith("kubelet")]
    for flag in ("hostname-override", "node-ip", "root-dir", "kubeconfig", "tls-cert-file"):
        assert len({k[flag] for k in kubelets}) == 2, flag
    assert [k["address"] for k in kubelets] == [k["node-ip"] for k in kubelets]
    assert {k["port"] for k in kubelets} == {"10250"}  # where tools look for a node's kubelet


def test_components_are_the_users_that_the_default_roles_name(layout):
    identities = client_identities(layout.config)
    assert identities["kubelet-dev-2"].common_name == "system:node:dev-2"
    assert identities["kubelet-dev-2"].organizations == ("system:nodes",)
    assert identities["scheduler"].common_name == "system:kube-scheduler"
    assert identities["admin"].organizations == ("system:masters",)


def test_etcd_takes_only_clients_with_a_certificate(layout):
    etcd = flags(plan_components(layout)[0])
    assert etcd["client-cert-auth"] == "true"
    assert etcd["listen-client-urls"].startswith("https://127.0.0.1:")


def test_compose_hosts_name_etcd_and_the_api_server(tmp_path):
    hosts = Hosts(etcd="etcd", server="apiserver", advertise="10.253.127.1")
    layout = Layout(ClusterConfig(bind_address="0.0.0.0"), ClusterPaths(tmp_path), Ports(2379, 2380, 1), NETWORK, hosts)
    apiserver = flags(next(s for s in plan_components(layout) if s.name == "apiserver"))
    assert apiserver["etcd-servers"] == "https://etcd:2379"
    assert apiserver["advertise-address"] == "10.253.127.1"
    assert layout.control_plane_server == "https://apiserver:6443"
    assert layout.server == "https://127.0.0.1:6443"
    names = next(leaf.names for leaf in server_certificates(layout) if leaf.file == "apiserver")
    assert {"apiserver", "10.253.127.1"} <= set(names)


def test_extra_arguments_come_last(tmp_path):
    config = ClusterConfig(extra_args={"scheduler": ["--v=5"]})
    layout = Layout(config, ClusterPaths(tmp_path), Ports(1, 2, 3), NETWORK)
    assert next(s for s in plan_components(layout) if s.name == "scheduler").argv[-1] == "--v=5"


def test_nodes_have_the_lower_half_and_pods_the_upper():
    settings = network_settings("kubeling-dev", "dev", NETWORK.subnet)["IPAM"]["Config"][0]
    pods = ipaddress.IPv4Network(settings["IPRange"])
    assert ipaddress.IPv4Address(NETWORK.node_address(99)) not in pods
    assert pods.subnet_of(NETWORK.subnet)


def test_subnets_to_try():
    assert [str(s) for s in candidate_subnets("")][:2] == ["10.244.0.0/16", "10.245.0.0/16"]
    assert [str(s) for s in candidate_subnets("10.9.0.0/24")] == ["10.9.0.0/24"]


@pytest.mark.parametrize("network", ["kubeling-dev", "kubeling-a-rather-long-name"])
def test_bridge_names_fit_the_kernel(network):
    assert len(bridge_name(network)) <= 15
    assert bridge_name(network) == bridge_name(network)
