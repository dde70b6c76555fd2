"""Autoscaling by custom and external metrics: a metrics server of the test's own behind APIServices."""

from __future__ import annotations

import base64
import datetime
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from kubeling.api.meta import Object, condition_of
from kubeling.api.resources import (
    API_SERVICES,
    DEPLOYMENTS,
    HORIZONTAL_POD_AUTOSCALERS,
    SERVICES,
)
from kubeling.client.rest import Client
from tests.integration.conftest import ApiServer
from tests.integration.controllers.conftest import PretendKubelets, eventually

pytestmark = pytest.mark.usefixtures("manager")

CUSTOM, EXTERNAL = "custom.metrics.k8s.io", "external.metrics.k8s.io"
GROUPS = {CUSTOM: "v1beta2", EXTERNAL: "v1beta1"}


class MetricsServer(ThreadingHTTPServer):
    """Answers discovery and two metrics over TLS; remembers who asked, as the API server says."""

    def __init__(self, directory: Path, name: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.users: set[str] = set()
        self.values = {"hits": "5", "queue": "40"}
        self.bundle = self._certificate(directory, name)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(directory / "crt", directory / "key")
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def _certificate(self, directory: Path, name: str) -> str:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(days=1))
        builder = builder.not_valid_after(now + datetime.timedelta(days=1))
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        pem = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
        (directory / "crt").write_bytes(pem)
        (directory / "key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return base64.b64encode(pem).decode()

    def answer(self, path: str) -> Object | None:
        parts = path.strip("/").split("/")
        group = parts[1] if len(parts) > 2 else ""
        if group not in GROUPS or parts[2] != GROUPS[group]:
            return None
        if len(parts) == 3:
            entry = {"name": "x/y", "namespaced": True, "kind": "MetricValueList", "verbs": ["get"]}
            return {"kind": "APIResourceList", "groupVersion": f"{group}/{parts[2]}", "resources": [entry]}
        item = {
            "describedObject": {"name": parts[-2]},
            "timestamp": "2026-01-01T00:00:00Z",
            "value": self.values[parts[-1]],
        }
        return {"kind": "MetricValueList", "items": [item]}


class _Handler(BaseHTTPRequestHandler):
    server: MetricsServer

    def do_GET(self) -> None:
        if self.headers.get("x-remote-user"):
            self.server.users.add(self.headers["x-remote-user"])
        found = self.server.answer(self.path.partition("?")[0])
        body = json.dumps(found or {"kind": "Status", "code": 404}).encode()
        self.send_response(200 if found else 404)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def metrics(tmp_path: Path, namespace: str) -> Iterator[MetricsServer]:
    made = MetricsServer(tmp_path, f"metrics.{namespace}.svc")
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()


async def _register(client: Client, metrics: MetricsServer, namespace: str) -> None:
    spec = {"type": "ExternalName", "externalName": "localhost"}
    await client.create(SERVICES, {"metadata": {"name": "metrics"}, "spec": spec}, namespace)
    for group, version in GROUPS.items():
        api = {
            "group": group,
            "version": version,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "caBundle": metrics.bundle,
            "service": {"name": "metrics", "namespace": namespace, "port": metrics.server_port},
        }
        await client.create(API_SERVICES, {"metadata": {"name": f"{version}.{group}"}, "spec": api})


async def _available(client: Client) -> bool:
    """both groups answer"""
    found = [await client.get(API_SERVICES, f"{v}.{g}") for g, v in GROUPS.items()]
    conditions = [condition_of(f, "Available") or {} for f in found]
    return all((c.get("status"), c.get("reason")) == ("True", "Passed") for c in conditions)


async def test_replicas_follow_a_metrics_server_behind_api_services(
    client: Client, namespace: str, kubelets: PretendKubelets, metrics: MetricsServer, apiserver: ApiServer
) -> None:
    await _register(client, metrics, namespace)
    await eventually(lambda: _available(client), 60)
    listed = await client.request("GET", "/apis")
    assert set(GROUPS) <= {g["name"] for g in listed["groups"]}
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    deployment = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    await client.create(DEPLOYMENTS, {"metadata": {"name": "web"}, "spec": deployment}, namespace)
    described = {"apiVersion": "v1", "kind": "Service", "name": "metrics"}
    sources = [
        {"type": "External", "external": {"metric": {"name": "queue"}, "target": {"type": "AverageValue", "averageValue": "10"}}},
        {
            "type": "Object",
            "object": {"describedObject": described, "metric": {"name": "hits"}, "target": {"type": "Value", "value": "5"}},
        },
    ]  # fmt: skip
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "maxReplicas": 9,
        "metrics": sources,
    }
    await client.create(HORIZONTAL_POD_AUTOSCALERS, {"metadata": {"name": "web"}, "spec": spec}, namespace)

    async def scaled() -> Object | None:
        """four pods, for a queue of forty at ten each"""
        hpa = await client.get(HORIZONTAL_POD_AUTOSCALERS, "web", namespace)
        size = (await client.get(DEPLOYMENTS, "web", namespace))["status"].get("readyReplicas")
        return hpa if size == 4 and (hpa.get("status") or {}).get("currentReplicas") == 4 else None

    hpa: Any = await eventually(scaled, 60)
    kinds = {m["type"]: m for m in hpa["status"]["currentMetrics"]}
    assert kinds["Object"]["object"]["current"] == {"value": "5"}
    active = condition_of(hpa, "ScalingActive")
    assert active is not None and active["reason"] == "ValidMetricFound"
    assert "system:serviceaccount:kube-system:horizontal-pod-autoscaler" in metrics.users
    api: httpx.Client = apiserver.client()
    refused = apiserver.client("alice-token").get(
        f"/apis/{CUSTOM}/v1beta2/namespaces/{namespace}/services/metrics/hits"
    )
    assert refused.status_code == 403
    for group, version in GROUPS.items():
        assert api.delete(f"/apis/apiregistration.k8s.io/v1/apiservices/{version}.{group}").status_code == 200
