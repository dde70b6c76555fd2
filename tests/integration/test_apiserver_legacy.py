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


def test_scales_come_in_the_version_that_is_asked(old: httpx.Client) -> None:
    old.delete(f"{EXTENSIONS}/deployments/scaled")
    body = {**DEPLOYMENT, "metadata": {"name": "scaled"}}
    assert old.post(f"{EXTENSIONS}/deployments", json=body).status_code == 201
    for api_version in ("extensions/v1beta1", "apps/v1beta1", "apps/v1beta2"):
        path = f"/apis/{api_version}/namespaces/default/deployments/scaled/scale"
        scale = old.get(path).json()
        assert (scale["kind"], scale["apiVersion"]) == ("Scale", api_version)
        assert scale["status"] == {"replicas": 0, "selector": {"app": "web"}, "targetSelector": "app=web"}
        scale["spec"]["replicas"] = 4
        scaled = old.put(path, json=scale, params={"fieldValidation": "Strict"})
        assert (scaled.status_code, scaled.json()["spec"]) == (200, {"replicas": 4}), scaled.text
    resources = old.get("/apis/extensions/v1beta1").json()["resources"]
    (found,) = [r for r in resources if r["name"] == "deployments/scale"]
    assert (found["group"], found["version"], found["kind"]) == ("extensions", "v1beta1", "Scale")
    path = "/apis/apps/v1/namespaces/default/deployments/scaled"
    modern = old.get(f"{path}/scale").json()
    assert (modern["apiVersion"], modern["status"]["selector"]) == ("autoscaling/v1", "app=web")
    owners = old.get(path).json()["metadata"]["managedFields"]
    assert [m["apiVersion"] for m in owners if m.get("subresource") == "scale"] == ["apps/v1beta2"]


def test_a_deployment_is_rolled_back_by_an_annotation(old: httpx.Client) -> None:
    old.delete(f"{EXTENSIONS}/deployments/rolled")
    body = {**DEPLOYMENT, "metadata": {"name": "rolled"}}
    assert old.post(f"{EXTENSIONS}/deployments", json=body).status_code == 201
    path, modern = f"{EXTENSIONS}/deployments/rolled", "/apis/apps/v1/namespaces/default/deployments/rolled"
    rollback = {
        "apiVersion": "extensions/v1beta1", "kind": "DeploymentRollback", "name": "rolled",
        "updatedAnnotations": {"why": "broken"}, "rollbackTo": {"revision": 3},
    }  # fmt: skip
    answer = old.post(f"{path}/rollback", json=rollback)
    assert (answer.status_code, answer.json()["code"]) == (201, 200), answer.text
    assert answer.json()["message"] == 'rollback request for deployment "rolled" succeeded'
    stored = old.get(modern).json()
    assert stored["metadata"]["annotations"] == {"deprecated.deployment.rollback.to": "3", "why": "broken"}
    seen = old.get(path).json()
    assert seen["spec"]["rollbackTo"] == {"revision": 3} and seen["metadata"]["annotations"] == {"why": "broken"}
    assert old.post(f"{path}/rollback", json={**rollback, "name": "other"}).status_code == 400
    assert old.post(f"{modern}/rollback", json=rollback).status_code == 404


def test_daemon_sets_count_their_templates(old: httpx.Client) -> None:
    old.delete(f"{EXTENSIONS}/daemonsets/old")
    body: dict[str, Any] = {**DEPLOYMENT, "kind": "DaemonSet"}
    made = old.post(f"{EXTENSIONS}/daemonsets", json=body, params={"fieldValidation": "Strict"})
    assert made.status_code == 201, made.text
    assert made.json()["spec"]["templateGeneration"] == 1 and "annotations" not in made.json()["metadata"]
    seen = made.json()
    seen["spec"]["template"]["spec"]["containers"][0]["image"] = "nginx:2"
    changed = old.put(f"{EXTENSIONS}/daemonsets/old", json=seen)
    assert changed.json()["spec"]["templateGeneration"] == 2, changed.text
    stored = old.get("/apis/apps/v1/namespaces/default/daemonsets/old").json()
    assert stored["metadata"]["annotations"] == {"deprecated.daemonset.template.generation": "2"}


def test_old_evictions_are_taken(old: httpx.Client) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    old.post("/api/v1/namespaces/default/serviceaccounts", json=account)
    pods = "/api/v1/namespaces/default/pods"
    for api_version in ("policy/v1beta1", "policy/v1"):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "evicted"}, "spec": POD["spec"]}
        assert old.post(pods, json=pod).status_code == 201
        eviction = {"apiVersion": api_version, "kind": "Eviction", "metadata": {"name": "evicted"}}
        answer = old.post(f"{pods}/evicted/eviction", json=eviction)
        assert (answer.status_code, answer.json()["status"]) == (201, "Success"), answer.text
        assert old.get(f"{pods}/evicted").status_code == 404


def test_without_the_option_old_evictions_are_refused(api: httpx.Client) -> None:
    eviction = {"apiVersion": "policy/v1beta1", "kind": "Eviction", "metadata": {"name": "nosuch"}}
    answer = api.post("/api/v1/namespaces/default/pods/nosuch/eviction", json=eviction)
    assert answer.status_code == 400
