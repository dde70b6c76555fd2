"""Controllers of the cluster's own things against the real server: volumes, quotas, certificates, roles, nodes, budgets."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from kubeling.api.errors import StatusError, is_forbidden
from kubeling.api.meta import Object, annotations_of, name_of
from kubeling.api.resources import (
    CERTIFICATE_SIGNING_REQUESTS,
    CLUSTER_ROLES,
    CONFIG_MAPS,
    CRON_JOBS,
    DAEMON_SETS,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    POD_DISRUPTION_BUDGETS,
    PODS,
    RESOURCE_QUOTAS,
    STORAGE_CLASSES,
)
from kubeling.client.rest import Client
from tests.integration.controllers.conftest import eventually

pytestmark = pytest.mark.usefixtures("manager")

CONTAINERS = [{"name": "c", "image": "x"}]


async def test_a_claim_is_provisioned_once_a_node_is_chosen(client: Client, namespace: str) -> None:
    standard = {"metadata": {"name": "standard"}, "provisioner": "kubeling.io/local"}
    await client.create(STORAGE_CLASSES, {**standard, "volumeBindingMode": "WaitForFirstConsumer"})
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    spec["storageClassName"] = "standard"
    await client.create(PERSISTENT_VOLUME_CLAIMS, {"metadata": {"name": "c"}, "spec": spec}, namespace)
    chosen = {"metadata": {"annotations": {"volume.kubernetes.io/selected-node": "n1"}}}
    await client.patch(PERSISTENT_VOLUME_CLAIMS, "c", chosen, namespace)

    async def bound() -> Object | None:
        claim = await client.get(PERSISTENT_VOLUME_CLAIMS, "c", namespace)
        return claim if (claim.get("status") or {}).get("phase") == "Bound" else None

    claim: Any = await eventually(bound)
    volume = await client.get(PERSISTENT_VOLUMES, claim["spec"]["volumeName"])
    assert volume["spec"]["capacity"] == claim["status"]["capacity"] == {"storage": "1Gi"}
    await client.delete(PERSISTENT_VOLUME_CLAIMS, "c", namespace)

    async def gone() -> bool:
        return name_of(volume) not in [name_of(v) for v in (await client.list(PERSISTENT_VOLUMES))["items"]]

    await eventually(gone)


async def test_quota_counts_and_limits(client: Client, namespace: str) -> None:
    await client.create(RESOURCE_QUOTAS, {"metadata": {"name": "q"}, "spec": {"hard": {"configmaps": "3"}}}, namespace)

    async def used(number: str) -> bool:
        status = (await client.get(RESOURCE_QUOTAS, "q", namespace)).get("status") or {}
        return bool((status.get("used") or {}).get("configmaps") == number)

    await eventually(lambda: used("1"))  # the root CA
    for name in ("a", "b"):
        await client.create(CONFIG_MAPS, {"metadata": {"name": name}}, namespace)
    with pytest.raises(StatusError, match="exceeded quota") as caught:
        await client.create(CONFIG_MAPS, {"metadata": {"name": "c"}}, namespace)
    assert is_forbidden(caught.value)
    await client.delete(CONFIG_MAPS, "a", namespace)
    await eventually(lambda: used("2"))


async def test_a_kubelets_request_is_approved(client: Client) -> None:
    subject = [(NameOID.COMMON_NAME, "system:node:n1"), (NameOID.ORGANIZATION_NAME, "system:nodes")]
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(oid, text) for oid, text in subject])
    )
    csr = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.PEM)
    spec = {
        "request": base64.b64encode(csr).decode(),
        "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
        "usages": ["digital signature", "client auth"],
    }
    await client.create(CERTIFICATE_SIGNING_REQUESTS, {"metadata": {"name": "n1"}, "spec": spec})

    async def approved() -> bool:
        status = (await client.get(CERTIFICATE_SIGNING_REQUESTS, "n1")).get("status") or {}
        return [c["type"] for c in status.get("conditions") or ()] == ["Approved"]

    await eventually(approved)


async def test_roles_are_aggregated(client: Client) -> None:
    async def filled() -> bool:
        roles = [await client.get(CLUSTER_ROLES, name) for name in ("admin", "edit", "view")]
        return all(len(role.get("rules") or ()) > 5 for role in roles)

    await eventually(filled)


async def test_daemon_pods_follow_nodes(client: Client, namespace: str) -> None:
    name = f"node-{namespace}"
    await client.create(NODES, {"metadata": {"name": name, "labels": {"for": namespace}}})
    template = {
        "metadata": {"labels": {"app": "d"}},
        "spec": {"containers": CONTAINERS, "nodeSelector": {"for": namespace}},
    }
    spec = {"selector": {"matchLabels": {"app": "d"}}, "template": template}
    await client.create(DAEMON_SETS, {"metadata": {"name": "d"}, "spec": spec}, namespace)

    async def placed() -> bool:
        pods = (await client.list(PODS, namespace))["items"]
        return len(pods) == 1

    await eventually(placed)
    await client.delete(NODES, name)

    async def removed() -> bool:
        return not await placed()

    await eventually(removed)


async def test_budget_and_cron_job_settle(client: Client, namespace: str) -> None:
    budget = {"minAvailable": 1, "selector": {"matchLabels": {"app": "x"}}}
    await client.create(POD_DISRUPTION_BUDGETS, {"metadata": {"name": "b"}, "spec": budget}, namespace)
    job = {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": CONTAINERS}}}}
    cron = {"schedule": "@yearly", "jobTemplate": job}
    await client.create(CRON_JOBS, {"metadata": {"name": "c"}, "spec": cron}, namespace)

    async def told() -> bool:
        status = (await client.get(POD_DISRUPTION_BUDGETS, "b", namespace)).get("status") or {}
        return bool(status.get("conditions")) and status["desiredHealthy"] == 1

    await eventually(told)
    before = (await client.get(POD_DISRUPTION_BUDGETS, "b", namespace))["metadata"]["resourceVersion"]
    assert not annotations_of(await client.get(CRON_JOBS, "c", namespace))
    assert (await client.get(POD_DISRUPTION_BUDGETS, "b", namespace))["metadata"]["resourceVersion"] == before
