from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kubeproxy.command import Completed
from kubeproxy.healthcheck import health_answer, health_counts
from kubeproxy.host import Host, deletions, is_local
from kubeproxy.model import Endpoint, ServicePort
from kubeproxy.nodeports import NodePortReserver, wanted_ports

RULES = """-N DOCKER-USER
-A DOCKER-USER -d 10.244.0.0/16 -m conntrack --ctstate DNAT -m comment --comment "kubeling-dev service traffic" -j ACCEPT
-A DOCKER-USER -d 10.245.0.0/16 -m conntrack --ctstate DNAT -m comment --comment "kubeling-dev2 service traffic" -j ACCEPT
-A DOCKER-USER -j RETURN
"""


def test_only_the_rules_of_this_cluster_are_deleted() -> None:
    (arguments,) = deletions(RULES, "kubeling-dev service traffic")
    assert arguments[:4] == ["-D", "DOCKER-USER", "-d", "10.244.0.0/16"]
    assert "kubeling-dev service traffic" in arguments


async def _no_command(argv: Sequence[str], stdin: str = "") -> Completed:
    return Completed(0)


def test_settings_are_written_only_where_they_differ(tmp_path: Path) -> None:
    ports = tmp_path / "sys/class/net/br0/brif"
    for name, mode in {"veth1": "0", "veth2": "1"}.items():
        (ports / name).mkdir(parents=True)
        (ports / name / "hairpin_mode").write_text(mode)
    (ports / "veth2/hairpin_mode").chmod(0o400)
    host = Host(_no_command, "10.244.0.0/16", "10.96.0.0/16", "t", tmp_path)
    host.allow_hairpin("br0")
    assert (ports / "veth1/hairpin_mode").read_text() == "1"
    assert not host.sees_bridged_packets()  # no such setting in this kernel


def test_local_addresses() -> None:
    assert is_local("127.0.0.1")
    assert not is_local("192.0.2.77")


def test_node_ports_are_held_and_let_go() -> None:
    port = ServicePort("ns", "web", "http", "tcp", 80, "10.96.0.7", 31976)
    reserver = NodePortReserver()
    assert wanted_ports([port]) == {("tcp", 31976): "ns/web:http"}
    reserver.hold(wanted_ports([port]))
    other = NodePortReserver()
    other.hold(wanted_ports([port]))
    assert (reserver.held, other.held) == ({("tcp", 31976)}, set())
    reserver.close()
    other.hold(wanted_ports([port]))
    assert other.held == {("tcp", 31976)}
    other.close()


def test_health_check_port_counts_local_endpoints() -> None:
    ends = (Endpoint("10.0.0.1", 1, "n1"), Endpoint("10.0.0.2", 1, "n2"))
    port = ServicePort("ns", "web", "", "tcp", 80, "10.96.0.7", health_check_port=32000, endpoints=ends)
    assert health_counts([port], frozenset({"n1"})) == {32000: ("ns", "web", 1)}
    assert health_answer("ns", "web", 1)[0] == 200
    status, body = health_answer("ns", "web", 0)
    assert status == 503 and b'"localEndpoints":0' in body
