"""Labels through the status subresource: a kind takes them and tells whose they are, or does neither."""

from __future__ import annotations

import json

import httpx
import pytest

from apiserver.registry.kind import Kind
from kubeling.api.resource import Resource
from tests.fuzz.seeds import named, seed, served

TAKES = {
    "": "namespaces nodes persistentvolumeclaims persistentvolumes pods replicationcontrollers resourcequotas services",
    "apiextensions.k8s.io": "customresourcedefinitions",
    "apps": "daemonsets replicasets statefulsets",
    "autoscaling": "horizontalpodautoscalers",
    "batch": "cronjobs jobs",
    "certificates.k8s.io": "certificatesigningrequests",
    "networking.k8s.io": "ingresses",
    "policy": "poddisruptionbudgets",
}
"""Those of which upstream tells it: test/integration/apiserver/apply/reset_fields_test.go."""
WITH_STATUS = [(kind, resource) for kind, resource in served() if kind.status is not None]


@pytest.mark.parametrize(
    ("kind", "resource"), WITH_STATUS, ids=lambda v: v.api_version + v.kind if isinstance(v, Resource) else ""
)
def test_who_changes_labels_owns_them(kind: Kind, resource: Resource, api: httpx.Client, namespace: str) -> None:
    name = named(resource, 50_000 + WITH_STATUS.index((kind, resource)))
    account = {"metadata": {"name": "default"}}
    api.post(f"/api/v1/namespaces/{namespace}/serviceaccounts", json=account)
    where = f"/namespaces/{namespace}" if resource.namespaced else ""
    path = f"{resource.base_path}{where}/{resource.plural}"
    made = api.post(path, json=seed(resource, name, namespace))
    assert made.status_code == 201, made.text
    metadata = {"name": name, "labels": {"mine": "yes"}}
    applied = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
    headers = {"content-type": "application/apply-patch+yaml"}
    params = {"fieldManager": "labeller", "force": "true"}
    answer = api.patch(f"{path}/{name}/status", content=json.dumps(applied), headers=headers, params=params)
    assert answer.status_code == 200, answer.text
    metadata = answer.json()["metadata"]
    taken = "mine" in (metadata.get("labels") or {})
    owners = [m["manager"] for m in metadata["managedFields"] if "f:mine" in json.dumps(m)]
    assert owners == (["labeller"] if taken else [])
    assert taken == (resource.plural in TAKES.get(resource.group, "").split())
    api.delete(f"{path}/{name}", params={"gracePeriodSeconds": "0"})
