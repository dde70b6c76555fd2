"""metrics.k8s.io served by the API server: only when asked for, with figures out of the kubelet."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from apiserver.certs import serving_files
from tests.integration.conftest import ADMIN, StartServer, unverified

GROUP = "/apis/metrics.k8s.io/v1beta1"


class Stats(BaseHTTPRequestHandler):
    """A kubelet whose node always uses one core."""

    def do_GET(self) -> None:
        cpu = {"usageCoreNanoSeconds": time.monotonic_ns()}
        body = json.dumps({"node": {"cpu": cpu, "memory": {"workingSetBytes": 2048}}, "pods": []}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing to the test's output."""


@pytest.fixture
def kubelet_port(tmp_path: Path) -> Iterator[int]:
    files = serving_files(tmp_path, ["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stats)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()


def test_off_by_default(api: httpx.Client) -> None:
    assert api.get(GROUP).status_code == 404


def test_node_metrics(start_apiserver: StartServer, api: httpx.Client, kubelet_port: int) -> None:
    merge = {"content-type": "application/merge-patch+json"}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "metered"}}
    assert api.post("/api/v1/nodes", json=node).status_code == 201
    status = {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
              "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet_port}}}  # fmt: skip
    api.patch("/api/v1/nodes/metered/status", json={"status": status}, headers=merge)
    server = start_apiserver("--enable-metrics-api=true")
    headers = {"authorization": f"Bearer {ADMIN}"}
    with httpx.Client(base_url=server.url, verify=unverified(), headers=headers) as client:
        assert [r["kind"] for r in client.get(GROUP).json()["resources"]] == ["NodeMetrics", "PodMetrics"]
        service = client.get("/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io").json()
        assert [c["status"] for c in service["status"]["conditions"]] == ["True"]
        deadline = time.monotonic() + 40
        while (answer := client.get(f"{GROUP}/nodes/metered")).status_code == 404 and time.monotonic() < deadline:
            time.sleep(0.5)
        found = answer.json()
        assert found["kind"] == "NodeMetrics" and found["usage"]["memory"] == "2Ki"
        assert 0.8 < int(found["usage"]["cpu"].removesuffix("n")) / 1e9 < 1.25
        listed = client.get(f"{GROUP}/nodes").json()
        assert [i["metadata"]["name"] for i in listed["items"]] == ["metered"]
        assert client.get("/openapi/v2").status_code == 200
        assert client.get(f"/openapi/v3{GROUP}").status_code == 200
        table = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
        shown = client.get(f"{GROUP}/nodes", headers=table).json()
        assert [c["name"] for c in shown["columnDefinitions"]] == ["Name", "cpu", "memory", "Window"]
    assert api.delete("/api/v1/nodes/metered").status_code == 200
