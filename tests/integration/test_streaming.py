"""Logs, upgrades and proxies go through the server to a kubelet: here one of the test's own that says what it heard."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from apiserver.certs import serving_files
from tests.integration.conftest import ADMIN, ApiServer, unverified


@dataclass
class Kubelet:
    """Answers plain requests with their path, upgrades with 101 and an echo of what comes in upper case."""

    port: int
    listener: socket.socket
    context: ssl.SSLContext
    heard: list[str] = field(default_factory=list)
    refusal: int = 0
    """A status to refuse plain requests with."""
    flooded: int = 0
    stuck: threading.Event = field(default_factory=threading.Event)

    def serve(self) -> None:
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(
                target=self._one, args=(self.context.wrap_socket(raw, server_side=True),), daemon=True
            ).start()

    def _one(self, connection: ssl.SSLSocket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(4096)
        text = head.decode()
        self.heard.append(text)
        path = text.split(" ")[1]
        if self.refusal:
            body = b"no log for you"
            connection.sendall(b"HTTP/1.1 %d No\r\ncontent-length: %d\r\n\r\n%s" % (self.refusal, len(body), body))
            return
        if "upgrade:" not in text.lower() or "command=refuse" in path:
            body = f"log of {path}".encode()
            connection.sendall(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
            )
            if "command=refuse" in path and (more := connection.recv(4096)):
                self.heard.append(more.decode())
            return
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: TEST\r\n\r\n")
        if "command=flood" in path:
            self.flood(connection)
        while data := connection.recv(4096):
            connection.sendall(data.upper())

    def flood(self, connection: ssl.SSLSocket) -> None:
        """Sends until nobody takes any more for a while; then what it was able to send is known."""
        connection.settimeout(3)
        try:
            while True:
                connection.sendall(bytes(65536))
                self.flooded += 65536
        except TimeoutError:
            self.stuck.set()


@pytest.fixture
def kubelet(tmp_path: Path) -> Iterator[Kubelet]:
    files = serving_files(tmp_path, ["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    listener = socket.create_server(("127.0.0.1", 0))
    made = Kubelet(listener.getsockname()[1], listener, context)
    threading.Thread(target=made.serve, daemon=True).start()
    yield made
    listener.close()


@pytest.fixture
def pod(api: httpx.Client, namespace: str, kubelet: Kubelet) -> Iterator[str]:
    """The path of a pod on a node whose kubelet is the test's."""
    name = f"n{kubelet.port}"
    api.post("/api/v1/nodes", json={"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    status = {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
              "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet.port}}}  # fmt: skip
    merge = {"content-type": "application/merge-patch+json"}
    assert api.patch(f"/api/v1/nodes/{name}/status", json={"status": status}, headers=merge).status_code == 200
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    api.post(f"/api/v1/namespaces/{namespace}/serviceaccounts", json=account)
    spec = {"nodeName": name, "containers": [{"name": "c", "image": "i"}]}
    path = f"/api/v1/namespaces/{namespace}/pods"
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}
    assert api.post(path, json=body).status_code == 201
    yield f"{path}/p"
    api.delete(f"/api/v1/nodes/{name}")


def test_logs_come_from_the_kubelet(api: httpx.Client, namespace: str, pod: str, kubelet: Kubelet) -> None:
    answer = api.get(f"{pod}/log", params={"tailLines": "5"})
    assert answer.text == f"log of /containerLogs/{namespace}/p/c?tailLines=5"
    assert "authorization" not in kubelet.heard[0].lower()


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [("binary.k8s.io", b"log of "), ("base64.binary.k8s.io", base64.b64encode(b"log of ")[:8])],
)
def test_logs_come_as_messages_of_a_websocket(
    apiserver: ApiServer, pod: str, kubelet: Kubelet, protocol: str, expected: bytes
) -> None:
    url = f"{apiserver.url.replace('https', 'wss')}{pod}/log"
    headers = {"authorization": f"Bearer {ADMIN}"}
    with connect(url, ssl=unverified(), subprotocols=[Subprotocol(protocol)], additional_headers=headers) as client:
        messages = [m.encode() if isinstance(m, str) else m for m in client]
    assert client.subprotocol == protocol
    assert messages[0] == b""
    assert messages[1].startswith(expected)
    assert "upgrade" not in kubelet.heard[0].lower()


def test_a_watch_comes_as_messages_of_a_websocket(
    apiserver: ApiServer, api: httpx.Client, namespace: str, pod: str
) -> None:
    url = f"{apiserver.url.replace('https', 'wss')}/api/v1/namespaces/{namespace}/pods?watch=1"
    with connect(url, ssl=unverified(), additional_headers={"authorization": f"Bearer {ADMIN}"}) as client:
        first = json.loads(client.recv(10))
        api.patch(
            pod, json={"metadata": {"labels": {"a": "b"}}}, headers={"content-type": "application/merge-patch+json"}
        )
        second = json.loads(client.recv(10))
    assert [(e["type"], e["object"]["metadata"]["name"]) for e in (first, second)] == [
        ("ADDED", "p"),
        ("MODIFIED", "p"),
    ]
    assert api.get(f"{pod}").status_code == 200


def test_node_proxy_reaches_no_loopback(api: httpx.Client, pod: str, kubelet: Kubelet) -> None:
    """As upstream: who may proxy to nodes must not get at what listens on the server's own machine."""
    answer = api.get(f"/api/v1/nodes/n{kubelet.port}/proxy/stats/summary", params={"only": "cpu"})
    assert (answer.status_code, answer.json()["message"]) == (400, "address not allowed")
    assert kubelet.heard == []


@pytest.mark.parametrize(
    ("said", "code", "reason", "message"),
    [
        (400, 400, "BadRequest", "no log for you"),
        (500, 500, "InternalError", "Internal error occurred: no log for you"),
        (404, 404, "NotFound", "the server could not find the requested resource ( pods/log p)"),
    ],
)
def test_what_the_kubelet_refuses_becomes_a_status(
    api: httpx.Client, pod: str, kubelet: Kubelet, said: int, code: int, reason: str, message: str
) -> None:
    kubelet.refusal = said
    answer = api.get(f"{pod}/log")
    assert answer.status_code == code
    assert (answer.json()["kind"], answer.json()["reason"], answer.json()["message"]) == ("Status", reason, message)


def test_an_upgrade_becomes_a_tunnel(apiserver: ApiServer, namespace: str, pod: str, kubelet: Kubelet) -> None:
    host, port = "127.0.0.1", int(apiserver.url.rpartition(":")[2])
    with socket.create_connection((host, port), timeout=10) as raw, unverified().wrap_socket(raw) as client:
        head = (
            f"POST {pod}/exec?command=sh&command=-c&stdin=true&stdout=true&tty=false HTTP/1.1\r\nhost: x\r\n"
            f"authorization: Bearer {ADMIN}\r\nconnection: Upgrade\r\nupgrade: TEST\r\n\r\n"
        )
        client.sendall(head.encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += client.recv(4096)
        assert answer.startswith(b"HTTP/1.1 101")
        for word in (b"hello", b"again"):
            client.sendall(word)
            assert client.recv(4096) == word.upper()
    assert f"POST /exec/{namespace}/p/c?input=1&output=1&command=sh&command=-c HTTP/1.1" in kubelet.heard[0]


def upgrade_request(pod: str, command: str) -> bytes:
    head = (
        f"POST {pod}/exec?command={command}&stdin=true&stdout=true HTTP/1.1\r\nhost: x\r\n"
        f"authorization: Bearer {ADMIN}\r\nconnection: Upgrade\r\nupgrade: TEST\r\n\r\n"
    )
    return head.encode()


def test_a_refused_upgrade_opens_no_way_to_the_kubelet(apiserver: ApiServer, pod: str, kubelet: Kubelet) -> None:
    """What the client sends behind its request is the server's to answer, never the kubelet's (CVE-2018-1002105)."""
    host, port = "127.0.0.1", int(apiserver.url.rpartition(":")[2])
    with socket.create_connection((host, port), timeout=30) as raw, unverified().wrap_socket(raw) as client:
        client.sendall(upgrade_request(pod, "refuse"))
        answer = b""
        while b"log of" not in answer:
            answer += client.recv(4096)
        assert answer.startswith(b"HTTP/1.1 200")
        client.sendall(b"GET /runningpods/ HTTP/1.1\r\nhost: x\r\n\r\n")
        client.recv(4096)
    assert len(kubelet.heard) == 1


def test_a_client_that_does_not_read_holds_the_kubelet_back(apiserver: ApiServer, pod: str, kubelet: Kubelet) -> None:
    host, port = "127.0.0.1", int(apiserver.url.rpartition(":")[2])
    with socket.create_connection((host, port), timeout=30) as raw, unverified().wrap_socket(raw) as client:
        client.sendall(upgrade_request(pod, "flood"))
        assert kubelet.stuck.wait(60), "the server takes whatever comes and keeps it"
    assert kubelet.flooded < 64 << 20


def test_a_kubelet_that_is_gone_is_an_error_not_a_hang(api: httpx.Client, pod: str, kubelet: Kubelet) -> None:
    kubelet.listener.shutdown(socket.SHUT_RDWR)  # closing alone leaves the thread in accept()
    kubelet.listener.close()
    answer = api.get(f"{pod}/log")
    assert answer.status_code == 500
    assert answer.json()["message"].startswith(f'Get "https://127.0.0.1:{kubelet.port}/containerLogs/')
