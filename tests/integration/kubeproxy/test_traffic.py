"""Service rules against the real kernel: a Docker network of our own, containers as pods, real connections."""

from __future__ import annotations

import asyncio
import collections
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from kubeproxy.command import run
from kubeproxy.conntrack import Conntrack
from kubeproxy.host import Host, disallow_forward
from kubeproxy.model import service_ports
from kubeproxy.nft import Nft
from kubeproxy.render import Settings, render

SUBNET, SERVICES, TABLE, NETWORK = "10.249.7.0/24", "10.197.0.0/16", "kubeling-proxytest", "kubeling-proxytest"
IMAGE = "kubeling-proxytest/busybox"
NODE = "n1"
BUSYBOX = "/bin/busybox"


def docker(*args: str, data: bytes | None = None, check: bool = True) -> str:
    done = subprocess.run(["docker", *args], input=data, capture_output=True, check=False)
    assert done.returncode == 0 or not check, done.stderr.decode()
    return done.stdout.decode().strip()


def _unavailable() -> str:
    if os.geteuid() != 0:
        return "needs root for nftables"
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "version"], capture_output=True, check=False).returncode
    ):
        return "needs a Docker engine"
    return "" if shutil.which("nft") and shutil.which("busybox") else "needs nft and busybox"


pytestmark = pytest.mark.skipif(bool(_unavailable()), reason=_unavailable() or "available")


@dataclass(frozen=True)
class Pods:
    """Containers ``a``, ``b`` and ``c`` by name, each serving its own name on TCP 8080 and UDP 5353."""

    addresses: dict[str, str]
    bridge: str

    def wget(self, pod: str, url: str) -> tuple[int, str]:
        command = ["docker", "exec", f"{NETWORK}-{pod}", BUSYBOX, "wget", "-qO-", url]
        done = subprocess.run(command, capture_output=True, check=False)
        return done.returncode, (done.stdout + done.stderr).decode().strip()


@pytest.fixture(scope="module")
def pods(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    root = tmp_path_factory.mktemp("image")
    (root / "bin").mkdir()
    shutil.copy(shutil.which("busybox") or "", root / "bin/busybox")
    archive = subprocess.run(["tar", "-C", str(root), "-c", "."], capture_output=True, check=True).stdout
    names = ["a", "b", "c"]
    servers: list[subprocess.Popen[bytes]] = []
    try:
        docker("import", "-", IMAGE, data=archive)
        docker("network", "create", "--subnet", SUBNET, "-o", f"com.docker.network.bridge.name={NETWORK[:15]}", NETWORK)
        for name in names:
            script = f"{BUSYBOX} mkdir -p /www; echo {name} > /www/index.html; exec {BUSYBOX} httpd -f -p 8080 -h /www"
            docker("run", "-d", "--network", NETWORK, "--name", f"{NETWORK}-{name}", IMAGE, BUSYBOX, "sh", "-c", script)
        template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        addresses = {name: docker("inspect", "-f", template, f"{NETWORK}-{name}") for name in names}
        servers = [_udp_server(name) for name in names]
        yield Pods(addresses, NETWORK[:15])
    finally:
        for server in servers:
            server.terminate()
            server.wait()
        docker("rm", "-f", *(f"{NETWORK}-{name}" for name in names), check=False)
        docker("network", "rm", NETWORK, check=False)
        docker("rmi", IMAGE, check=False)


UDP_SERVER = """
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("0.0.0.0", 5353))
print("ready", flush=True)
while True:
    server.sendto(sys.argv[1].encode(), server.recvfrom(100)[1])
"""


def _udp_server(name: str) -> subprocess.Popen[bytes]:
    """A server of ours in the container's network: busybox has none for UDP."""
    pid = docker("inspect", "-f", "{{.State.Pid}}", f"{NETWORK}-{name}")
    command = ["nsenter", "-t", pid, "-n", sys.executable, "-c", UDP_SERVER, name]
    server = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert server.stdout is not None and server.stdout.readline() == b"ready\n"
    return server


def service(name: str, ip: str, **spec: Any) -> dict[str, Any]:
    ports = spec.pop("ports", [{"name": "http", "port": 80, "protocol": "TCP"}])
    return {"metadata": {"namespace": "default", "name": name}, "spec": {"clusterIP": ip, "ports": ports, **spec}}


def endpoints(name: str, addresses: list[str], port: int = 8080, protocol: str = "TCP") -> dict[str, Any]:
    return {
        "metadata": {"namespace": "default", "name": f"{name}-x", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": port, "protocol": protocol}],
        "endpoints": [{"addresses": [a], "conditions": {"ready": True}, "nodeName": NODE} for a in addresses],
    }


NODE_PORT = 31987
WORLD = [
    service("all", "10.197.0.10", ports=[{"name": "http", "port": 80, "nodePort": NODE_PORT}]),
    service("self", "10.197.0.11"),
    service("sticky", "10.197.0.12", sessionAffinity="ClientIP"),
    service("empty", "10.197.0.13", ports=[{"name": "http", "port": 80, "nodePort": NODE_PORT + 1}]),
    service("udp", "10.197.0.14", ports=[{"name": "http", "port": 53, "protocol": "UDP"}]),
    service("external", "10.197.0.15", externalIPs=["198.51.100.7"]),
    service("loopback", "10.197.0.16"),
]


@pytest.fixture(scope="module")
def rules(pods: Pods) -> Iterator[Settings]:
    addresses = list(pods.addresses.values())
    slices = [
        *(endpoints(n, addresses) for n in ("all", "sticky", "external")),
        endpoints("self", [pods.addresses["a"]]),
        endpoints("udp", [pods.addresses["b"]], 5353, "UDP"),
        endpoints("loopback", [SUBNET.replace("0/24", "1")], 8099),
    ]
    settings = Settings(TABLE, SUBNET, SERVICES, bridge=pods.bridge, local_nodes=frozenset({NODE}))
    host = Host(run, SUBNET, SERVICES, TABLE)

    async def start() -> None:
        assert host.bridge() == pods.bridge
        await host.prepare(pods.bridge)
        assert host.sees_bridged_packets()
        host.allow_hairpin(pods.bridge)
        assert await Nft(TABLE, run).apply(render(WORLD, slices, settings))

    async def stop() -> None:
        await Nft(TABLE, run).delete()
        await disallow_forward(run, TABLE)

    asyncio.run(start())
    yield settings
    asyncio.run(stop())
    assert (
        TABLE
        not in subprocess.run(["iptables", "-S", "DOCKER-USER"], capture_output=True, text=True, check=True).stdout
    )


def fetch(host: str, port: int) -> str:
    """The body of a page, from this host. Raises OSError."""
    with socket.create_connection((host, port), timeout=3) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with connection.makefile("rb") as file:
            return file.read().partition(b"\r\n\r\n")[2].decode().strip()


@pytest.mark.parametrize(
    ("host", "port"),
    [("10.197.0.10", 80), ("127.0.0.1", NODE_PORT), ("198.51.100.7", 80)],
    ids=["clusterIP", "nodePort", "externalIP"],
)
def test_the_host_reaches_a_service_and_load_is_spread_evenly(rules: Settings, host: str, port: int) -> None:
    answers = collections.Counter(fetch(host, port) for _ in range(120))
    assert set(answers) == {"a", "b", "c"}
    assert min(answers.values()) >= 20  # 40 expected; below 20 has a chance of about one in 100,000


def test_a_pod_reaches_a_service(rules: Settings, pods: Pods) -> None:
    answers = {pods.wget("a", "http://10.197.0.10/")[1] for _ in range(30)}
    assert answers == {"a", "b", "c"}


def test_a_pod_reaches_a_node_port_on_the_gateway(rules: Settings, pods: Pods) -> None:
    assert pods.wget("a", f"http://{SUBNET.replace('0/24', '1')}:{NODE_PORT}/")[0] == 0


def test_a_pod_reaches_itself_through_its_service(rules: Settings, pods: Pods) -> None:
    assert pods.wget("a", "http://10.197.0.11/") == (0, "a")


def test_session_affinity_keeps_a_client_on_one_endpoint_over_a_sync(rules: Settings, pods: Pods) -> None:
    first = {fetch("10.197.0.12", 80) for _ in range(20)}
    slices = [endpoints("sticky", list(pods.addresses.values()))]
    text = render(WORLD, slices, rules)
    asyncio.run(Nft(TABLE + "-other", run).delete())  # a table that is not there is no error
    assert asyncio.run(Nft(TABLE, run).apply(text.replace("nothing", "")))
    try:
        assert {fetch("10.197.0.12", 80) for _ in range(20)} == first
        assert len(first) == 1
    finally:
        asyncio.run(Nft(TABLE, run).apply(render(WORLD, [*slices, *_rest(pods)], rules)))


def _rest(pods: Pods) -> list[dict[str, Any]]:
    addresses = list(pods.addresses.values())
    return [
        *(endpoints(n, addresses) for n in ("all", "external")),
        endpoints("self", [pods.addresses["a"]]),
        endpoints("udp", [pods.addresses["b"]], 5353, "UDP"),
        endpoints("loopback", [SUBNET.replace("0/24", "1")], 8099),
    ]


@pytest.mark.parametrize(
    ("host", "port"), [("10.197.0.13", 80), ("127.0.0.1", NODE_PORT + 1), ("10.197.200.200", 443), ("10.197.0.10", 81)],
    ids=["no endpoints", "node port without endpoints", "no such service", "no such port"],
)  # fmt: skip
def test_what_no_endpoint_serves_is_refused_at_once(rules: Settings, host: str, port: int) -> None:
    with pytest.raises(ConnectionRefusedError):
        fetch(host, port)


def test_a_pod_is_refused_too(rules: Settings, pods: Pods) -> None:
    for url in ("http://10.197.0.13/", "http://10.197.200.200/"):
        status, text = pods.wget("b", url)
        assert status == 1 and "refused" in text


def test_a_service_whose_endpoint_is_this_host(rules: Settings, pods: Pods) -> None:
    """The API server and the DNS server are such."""
    with socket.create_server((SUBNET.replace("0/24", "1"), 8099)) as server:
        socket.create_connection(("10.197.0.16", 80), timeout=3).close()
        server.accept()[0].close()
        command = ["docker", "exec", f"{NETWORK}-a", BUSYBOX, "wget", "-qO-", "http://10.197.0.16/"]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL):
            server.settimeout(5)
            connection, (address, _) = server.accept()
            connection.close()
        assert address == pods.addresses["a"]


def test_pods_cannot_reach_the_hosts_loopback(rules: Settings, pods: Pods) -> None:
    assert Path(f"/proc/sys/net/ipv4/conf/{pods.bridge}/route_localnet").read_text().strip() == "1"
    command = ["nft", "list", "chain", "inet", TABLE, "filter-input"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "127.0.0.0/8 ct state invalid,new drop" in listed


def test_udp_flows_to_a_lost_endpoint_are_forgotten(rules: Settings, pods: Pods) -> None:
    def ask(client: socket.socket) -> str:
        client.settimeout(3)
        client.sendto(b"x\n", ("10.197.0.14", 53))
        return client.recv(100).decode().strip()

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        assert ask(client) == "b"
        moved = [s for s in _rest(pods) if s["metadata"]["name"] != "udp-x"]
        moved.append(endpoints("udp", [pods.addresses["c"]], 5353, "UDP"))
        moved.append(endpoints("sticky", list(pods.addresses.values())))

        async def move() -> int:
            await Nft(TABLE, run).apply(render(WORLD, moved, rules))
            return await Conntrack(run).clean(service_ports(WORLD, moved))

        assert asyncio.run(move()) == 1
        assert ask(client) == "c"


def test_a_table_of_another_version_is_replaced(rules: Settings) -> None:
    async def attempt() -> tuple[bool, bool]:
        nft = Nft(f"{TABLE}-2", run)
        other = replace(rules, table=nft.table)
        text = render([], [], other)
        try:
            await nft.apply(text.replace("hook input priority -10", "hook input priority -20"))
            return await nft.apply(text), await nft.apply(text)
        finally:
            await nft.delete()

    assert asyncio.run(attempt()) == (False, True)
