"""A kubelet without an API server on real Docker: static pods, its server, adoption after kill -9, nothing left behind."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from kubeling.api.spdy import DataReceived, SpdyConnection, StreamReplied
from kubeling.client.cgroupfs import remove_cluster_groups

IMAGE = "kubeling/web:1"
pytestmark = pytest.mark.skipif(
    subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False).returncode != 0,
    reason=f"no Docker engine with image {IMAGE} (scripts/images.sh builds it)",
)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def docker(*args: str) -> list[str]:
    return subprocess.run(["docker", *args], capture_output=True, text=True, check=True).stdout.split()


class Node:
    """One kubelet process with its folders; its pods are files."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.cluster = folder, free_port(), f"e2e-{uuid.uuid4().hex[:6]}"
        self.manifests = folder / "manifests"
        self.manifests.mkdir()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        flags = {
            "root-dir": self.folder / "root", "pod-manifest-path": self.manifests, "hostname-override": "n1",
            "address": "127.0.0.1", "port": self.port, "node-ip": "127.0.0.1", "cluster-name": self.cluster,
            "authorization-mode": "AlwaysAllow", "anonymous-auth": "true",
        }  # fmt: skip
        command = [sys.executable, "-m", "kubelet", *(f"--{k}={v}" for k, v in flags.items())]
        self.process = subprocess.Popen(command, stderr=(self.folder / "log").open("ab"))

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process is not None:
            os.kill(self.process.pid, number)
            self.process.wait(10)

    def containers(self, *more: str) -> list[str]:
        return docker("ps", "-q", "--no-trunc", "--filter", f"label=kubeling.cluster={self.cluster}", *more)

    def put(self, name: str, **spec: Any) -> None:
        spec = {"terminationGracePeriodSeconds": 1, **spec}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        (self.manifests / f"{name}.json").write_text(json.dumps(pod))

    def remove(self, name: str) -> None:
        (self.manifests / f"{name}.json").unlink()

    async def until(self, condition: Any, seconds: float = 20) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.05)

    async def running(self, container: str) -> str:
        """The container's id once it runs."""
        found: list[str] = []

        def look() -> bool:
            found[:] = self.containers("--filter", f"label=io.kubernetes.container.name={container}")
            return bool(found)

        await self.until(look)
        return found[0]

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"https://127.0.0.1:{self.port}{path}", verify=False, timeout=10)


def insecure() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    node = Node(tmp_path_factory.mktemp("kubelet"))
    node.start()
    yield node
    for path in node.manifests.iterdir():
        path.unlink()
    end = time.monotonic() + 20
    pods = node.folder / "root/pods"
    pods.mkdir(parents=True, exist_ok=True)
    while (node.containers("-a") or list(pods.iterdir())) and time.monotonic() < end:
        time.sleep(0.1)
    groups = list(Path("/sys/fs/cgroup").glob(f"*/kubeling/{node.cluster}/**/pod*"))
    logs = [f for f in Path("/var/log/pods").iterdir() if f.name.startswith("default_") and "-n1_" in f.name]
    left = node.containers("-a"), list(pods.iterdir()), groups, logs
    node.stop()
    for container in node.containers("-a"):
        docker("rm", "-f", container)
    network = f"kubeling-{node.cluster}"
    if docker("network", "ls", "-q", "--filter", f"name={network}"):
        docker("network", "rm", network)
    shutil.rmtree(node.folder, ignore_errors=True)
    remove_cluster_groups(node.cluster)
    assert left == ([], [], [], []), "the kubelet left something behind"


@pytest.fixture(autouse=True)
async def web(node: Node) -> str:
    container = {"name": "web", "image": IMAGE, "volumeMounts": [{"name": "m", "mountPath": "/mem"}]}
    node.put("web", containers=[container], volumes=[{"name": "m", "emptyDir": {"medium": "Memory"}}])
    return await node.running("web")


async def test_kill_9_restarts_no_container(node: Node, web: str) -> None:
    """It takes over its pods' containers, and removes what it had made for itself when it was killed."""
    node.stop(signal.SIGKILL)
    labels = f"--label=kubeling.cluster={node.cluster}", "--label=kubeling.helper=n1"
    helper = docker("create", *labels, IMAGE, "true")
    node.start()
    await asyncio.sleep(3)
    assert await node.running("web") == web
    await node.until(lambda: helper[0] not in node.containers("-a"))


async def wait_served(node: Node) -> None:
    def serves() -> bool:
        try:
            return node.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False

    await node.until(serves)


async def test_logs(node: Node, web: str) -> None:
    await wait_served(node)
    line = "version 1 listens on port 8080"
    assert node.get("/containerLogs/default/web-n1/web?tailLines=1").text == line + "\n"
    (linked,) = Path("/var/log/containers").glob(f"web-n1_default_web-{web}.log")
    pods = [p["metadata"] for p in node.get("/pods").json()["items"]]
    (uid,) = (p["annotations"]["kubernetes.io/config.hash"] for p in pods if p["name"] == "web-n1")
    assert line in linked.read_text() and f"/default_web-n1_{uid}/web/" in str(linked.readlink())
    assert node.get("/containerLogs/default/web-n1/web?limitBytes=7").text == "version"
    stamped = node.get("/containerLogs/default/web-n1/web?timestamps=true").text.splitlines()[0]
    assert stamped.partition(" ")[2] == line
    assert node.get("/containerLogs/default/web-n1/web?previous=true").status_code == 400
    assert node.get("/containerLogs/default/none/web").status_code == 404


async def run_websocket(node: Node, command: str, stdin: bytes = b"") -> tuple[bytes, bytes, dict[str, Any]]:
    """stdout, stderr and the final Status of a command."""
    query = "&".join(f"command={word}" for word in command.split(" "))
    url = f"wss://127.0.0.1:{node.port}/exec/default/web-n1/web?{query}&output=1&error=1&input=1"
    found = {1: b"", 2: b"", 3: b""}
    async with websockets.connect(url, ssl=insecure(), subprotocols=["v5.channel.k8s.io"]) as socket:  # type: ignore[list-item]
        await socket.send(b"\0" + stdin)
        await socket.send(b"\xff\0")
        async for message in socket:
            assert isinstance(message, bytes)
            found[message[0]] += message[1:]
    return found[1], found[2], json.loads(found[3])


async def test_exec_over_websocket(node: Node, web: str) -> None:
    await wait_served(node)
    out, err, status = await run_websocket(node, "/bin/sh -c cat;echo+oops>%262;exit+3", b"typed")
    assert (out, err) == (b"typed", b"oops\n")
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]


class SpdyClient:
    """The client's side of an upgraded connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer, self.spdy = reader, writer, SpdyConnection(server=False)
        self.data: dict[int, bytes] = {}
        self.ended: set[int] = set()

    @classmethod
    async def connect(cls, node: Node, path: str, protocol: str) -> SpdyClient:
        reader, writer = await asyncio.open_connection("127.0.0.1", node.port, ssl=insecure())
        upgrade = f"Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: {protocol}"
        head = f"POST {path} HTTP/1.1\r\nHost: n1\r\nConnection: Upgrade\r\n{upgrade}\r\n\r\n"
        writer.write(head.encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101 "), answer
        return cls(reader, writer)

    def open(self, **headers: str) -> int:
        number = self.spdy.open(headers)
        self.data[number] = b""
        return number

    async def until_ended(self, *streams: int) -> None:
        self.writer.write(self.spdy.data_to_send())
        while not set(streams) <= self.ended:
            async with asyncio.timeout(10):
                received = await self.reader.read(65536)
            assert received, "the connection ended early"
            for event in self.spdy.receive(received):
                if isinstance(event, DataReceived):
                    self.data[event.stream] += event.data
                if isinstance(event, DataReceived | StreamReplied) and event.fin:
                    self.ended.add(event.stream)


async def test_exec_over_spdy(node: Node, web: str) -> None:
    await wait_served(node)
    path = "/exec/default/web-n1/web?command=cat&input=1&output=1"
    client = await SpdyClient.connect(node, path, "v4.channel.k8s.io")
    error, stdin, stdout = (client.open(streamtype=t) for t in ("error", "stdin", "stdout"))
    client.spdy.send(stdin, b"x" * 300_000, fin=True)
    await client.until_ended(error, stdout)
    assert client.data[stdout] == b"x" * 300_000
    assert json.loads(client.data[error])["status"] == "Success"
    client.writer.close()


async def test_port_forward_over_spdy(node: Node, web: str) -> None:
    await wait_served(node)
    client = await SpdyClient.connect(node, "/portForward/default/web-n1", "portforward.k8s.io")

    def pair(number: int, port: int) -> tuple[int, int]:
        more = {"port": str(port), "requestid": str(number)}
        return client.open(streamtype="error", **more), client.open(streamtype="data", **more)

    pairs = [pair(0, 8080), pair(1, 8080)]
    for _, data in pairs:
        client.spdy.send(data, b"GET /healthz HTTP/1.0\r\n\r\n")
    await client.until_ended(*(stream for p in pairs for stream in p))
    for error, data in pairs:
        assert client.data[data].endswith(b"ok\n")
        assert client.data[error] == b""
    error, data = pair(2, 1)
    await client.until_ended(error, data)
    assert client.data[error].startswith(b"error forwarding port 1 to pod ")
    client.writer.close()


async def test_pre_stop_and_grace_to_the_second(node: Node) -> None:
    hook = {"preStop": {"exec": {"command": ["/bin/sh", "-c", "echo bye > /out/hook"]}}}
    container = {
        "name": "stubborn", "image": IMAGE, "command": ["/bin/sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"],
        "lifecycle": hook, "volumeMounts": [{"name": "out", "mountPath": "/out"}],
    }  # fmt: skip
    out = node.folder / "out"
    volume = {"name": "out", "hostPath": {"path": str(out), "type": "DirectoryOrCreate"}}
    node.put("stubborn", containers=[container], volumes=[volume], terminationGracePeriodSeconds=3)
    await node.running("stubborn")
    node.remove("stubborn")
    started = time.monotonic()
    running = "--filter", "label=io.kubernetes.container.name=stubborn"
    await node.until(lambda: (out / "hook").exists())
    await node.until(lambda: not node.containers(*running))
    assert 2.5 < time.monotonic() - started < 6
    assert (out / "hook").read_text() == "bye\n"


async def test_init_containers_and_crash_loop(node: Node) -> None:
    init = {
        "name": "init",
        "image": IMAGE,
        "command": ["/bin/sh", "-c", "echo ready > /data/x"],
        "volumeMounts": [{"name": "d", "mountPath": "/data"}],
    }
    main = {**init, "name": "crash", "command": ["/bin/sh", "-c", "cat /data/x; exit 4"]}
    node.put("crash", initContainers=[init], containers=[main], volumes=[{"name": "d", "emptyDir": {}}])
    runs = "-a", "--filter", "label=io.kubernetes.container.name=crash"
    await node.until(lambda: len(node.containers(*runs)) == 2)
    await wait_served(node)
    assert node.get("/containerLogs/default/crash-n1/crash?previous=true").text == "ready\n"
    node.remove("crash")
    await node.until(lambda: not node.containers(*runs))
