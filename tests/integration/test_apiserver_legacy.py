"""Old manifests against a server with ``--legacy-apis``, and without."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

POD = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "nginx"}]}}
DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "extensions/v1beta1", "kind": "Deployment", "metadata": {"name": "old"}, "spec": {"template": POD}
}  # fmt: skip
BACKEND = {"serviceName": "web", "servicePort": 80}
INGRESS: dict[str, Any] = {
    "apiVersion": "extensions/v1beta1", "kind": "Ingress", "metadata": {"name": "old"},
    "spec": {"backend": BACKEND, "rules": [{"host": "a.b", "http": {"paths": [{"path": "/", "backend": BACKEND}]}}]},
}  # fmt: skip
EXTENSIONS = "/apis/extensions/v1beta1/namespaces/default"


@pytest.fixture(scope="module")
def old(start_apiserver: Any) -> Iterator[httpx.Client]:
    yield start_apiserver("--legacy-apis=true").client()


def test_deployment_without_selector(old: httpx.Client) -> None:
    made = old.post(f"{EXTENSIONS}/deployments", json=DEPLOYMENT, params={"fieldValidation": "Strict"})
    assert made.status_code == 201, made.text
    assert made.headers["warning"] == (
        '299 - "extensions/v1beta1 Deployment is deprecated in v1.8+, unavailable in v1.16+; use apps/v1 Deployment"'
    )
    stored = old.get("/apis/apps/v1/namespaces/default/deployments/old").json()
    assert stored["spec"]["selector"] == {"matchLabels": {"app": "web"}}
    assert stored["spec"]["progressDeadlineSeconds"] == 2147483647
    assert stored["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 1}
    path = f"{EXTENSIONS}/deployments/old"
    merged = old.patch(
        path, content=b'{"spec":{"replicas":3}}', headers={"content-type": "application/merge-patch+json"}
    )
    assert (merged.status_code, merged.json()["apiVersion"]) == (200, "extensions/v1beta1")
    assert old.get(f"{path}/scale").json()["spec"] == {"replicas": 3}
    assert old.get(f"{path}/status").status_code == 200
    table = old.get(path, headers={"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}).json()
    assert table["rows"][0]["cells"][:2] == ["old", "0/3"]


def test_ingress_is_converted(old: httpx.Client) -> None:
    path = f"{EXTENSIONS}/ingresses/old"
    headers = {"content-type": "application/apply-patch+yaml"}
    made = old.patch(path, json=INGRESS, headers=headers, params={"fieldManager": "m"})
    assert made.status_code == 201, made.text
    spec = old.get("/apis/networking.k8s.io/v1/namespaces/default/ingresses/old").json()["spec"]
    service = {"service": {"name": "web", "port": {"number": 80}}}
    assert spec["defaultBackend"] == service
    assert spec["rules"][0]["http"]["paths"] == [
        {"path": "/", "pathType": "ImplementationSpecific", "backend": service}
    ]
    again = old.get("/apis/networking.k8s.io/v1beta1/namespaces/default/ingresses/old").json()
    assert again["spec"]["backend"] == BACKEND


def test_discovery_and_openapi(old: httpx.Client) -> None:
    found = {r["name"] for r in old.get("/apis/extensions/v1beta1").json()["resources"]}
    assert {"deployments", "deployments/scale", "replicasets", "daemonsets", "ingresses", "networkpolicies"} <= found
    schemas = old.get("/openapi/v3/apis/extensions/v1beta1").json()["components"]["schemas"]
    assert "serviceName" in schemas["io.k8s.api.extensions.v1beta1.IngressBackend"]["properties"]
    assert "selector" not in schemas["io.k8s.api.extensions.v1beta1.DeploymentSpec"].get("required", ())
    assert "io.k8s.api.apps.v1beta2.Deployment" in old.get("/openapi/v2").json()["definitions"]


def test_without_the_option(start_apiserver: Any) -> None:
    answer = start_apiserver().client().post(f"{EXTENSIONS}/deployments", json=DEPLOYMENT)
    assert answer.status_code == 404
    assert "could not find the requested resource" in answer.text or "404 page not found" in answer.text
