"""DeviceTaintRules: an API that is off by default; pods leave the devices that they taint, others are not placed there."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kubeling.api.errors import StatusError
from kubeling.api.meta import Object, condition_of, is_deleting
from kubeling.api.resources import (
    DEVICE_CLASSES,
    DEVICE_TAINT_RULES,
    NODES,
    PODS,
    RESOURCE_CLAIMS,
    RESOURCE_SLICES,
    SERVICE_ACCOUNTS,
)
from kubeling.client.rest import Client
from tests.integration.conftest import StartServer, running_etcd, start
from tests.integration.controllers.conftest import Manager, eventually, write_kubeconfig
from tests.integration.scheduler.conftest import kubeconfig_as

GATE = "--feature-gates=DRADeviceTaintRules=true"


@pytest.fixture
async def client(start_apiserver: StartServer, tmp_path: Path) -> AsyncIterator[Client]:
    """Of a cluster with the API on, without nodes that run anything."""
    with running_etcd(tmp_path) as storage:
        server = start_apiserver("--runtime-config=resource.k8s.io/v1beta2=true", GATE, storage=storage)
        kubeconfig = write_kubeconfig(server, tmp_path / "config")
        manager = Manager(kubeconfig, tmp_path, flags=[GATE])
        manager.start()
        own = kubeconfig_as(server, tmp_path / "scheduler", "system:kube-scheduler")
        scheduler = start([sys.executable, "-m", "scheduler", f"--kubeconfig={own}", GATE], tmp_path / "log")
        client = Client.from_kubeconfig(kubeconfig)
        yield client
        await client.aclose()
        assert scheduler.stop() == 0
        log = scheduler.log.read_text()
        assert "Traceback" not in log and "WARNING" not in log, log
        manager.stop()
        server.stop()


def rule(effect: str, **selector: str) -> Object:
    return {
        "metadata": {"name": "broken"},
        "spec": {"taint": {"key": "k", "effect": effect}, "deviceSelector": selector},
    }


async def test_a_pod_leaves_a_device_that_a_rule_taints(client: Client) -> None:
    await _is_discovered(client)
    await _devices(client)
    await _pod(client, "p")

    async def placed() -> bool:
        """the pod has its node and its device"""
        return bool((await client.get(PODS, "p", "default"))["spec"].get("nodeName"))

    await eventually(placed, 60)
    made = await client.create(DEVICE_TAINT_RULES, rule("None", driver="drv.example"))
    assert made["metadata"]["generation"] == 1 and made["spec"]["taint"]["timeAdded"] and not made.get("status")

    async def foretold() -> bool:
        """the rule says what it would do"""
        found = condition_of(await client.get(DEVICE_TAINT_RULES, "broken"), "EvictionInProgress")
        return found is not None and "1 pod would be evicted in 1 namespace" in found["message"]

    await eventually(foretold)
    current = await client.get(DEVICE_TAINT_RULES, "broken")
    current["spec"]["taint"]["effect"] = "NoExecute"
    current["metadata"]["labels"] = {"a": "b"}
    changed = await client.update(DEVICE_TAINT_RULES, current)
    assert changed["metadata"]["generation"] == 2

    async def evicted() -> bool:
        """the pod goes, or has gone"""
        left = await client.list(PODS, "default")
        return all(is_deleting(p) for p in left["items"])

    await eventually(evicted)

    async def told() -> bool:
        """the rule counts the pod"""
        found = condition_of(await client.get(DEVICE_TAINT_RULES, "broken"), "EvictionInProgress")
        return found is not None and found["reason"] == "Completed"

    await eventually(told, 60)
    await _pod(client, "q")

    async def refused() -> bool:
        """a new pod gets no tainted device"""
        found = condition_of(await client.get(PODS, "q", "default"), "PodScheduled")
        return found is not None and "cannot allocate all claims" in found["message"]

    await eventually(refused)
    await _validation(client)
    await client.delete(DEVICE_TAINT_RULES, "broken")

    async def helped() -> bool:
        """the new pod is placed once the rule has gone"""
        return bool((await client.get(PODS, "q", "default"))["spec"].get("nodeName"))

    await eventually(helped, 60)


async def _devices(client: Client) -> None:
    node = await client.create(NODES, {"metadata": {"name": "n"}})
    capacity = {"cpu": "4", "memory": "8Gi", "pods": "10"}
    status = {"capacity": capacity, "allocatable": capacity, "conditions": [{"type": "Ready", "status": "True"}]}
    await client.update(NODES, {**node, "status": status}, subresource="status")

    async def untainted() -> bool:
        """the node takes pods, the namespace has its account"""
        current = await client.get(NODES, "n")
        accounts = await client.list(SERVICE_ACCOUNTS, "default")
        return not current["spec"].get("taints") and bool(accounts["items"])

    await eventually(untainted, 60)
    await client.create(DEVICE_CLASSES, {"metadata": {"name": "gpu"}, "spec": {}})
    pool = {"name": "pool", "generation": 1, "resourceSliceCount": 1}
    spec = {"driver": "drv.example", "pool": pool, "nodeName": "n", "devices": [{"name": "d"}, {"name": "e"}]}
    await client.create(RESOURCE_SLICES, {"metadata": {"name": "s"}, "spec": spec})


async def _pod(client: Client, name: str) -> None:
    request = {"name": "r", "exactly": {"deviceClassName": "gpu"}}
    claim = {"metadata": {"name": name, "namespace": "default"}, "spec": {"devices": {"requests": [request]}}}
    await client.create(RESOURCE_CLAIMS, claim)
    spec = {
        "containers": [{"name": "c", "image": "i", "resources": {"claims": [{"name": "gpu"}]}}],
        "resourceClaims": [{"name": "gpu", "resourceClaimName": name}],
        "terminationGracePeriodSeconds": 0,
    }
    await client.create(PODS, {"metadata": {"name": name, "namespace": "default"}, "spec": spec})


async def _validation(client: Client) -> None:
    bad = rule("Sometimes", driver="-", device="A B")
    bad["spec"]["taint"]["key"] = ""
    with pytest.raises(StatusError) as refused:
        await client.create(DEVICE_TAINT_RULES, {**bad, "metadata": {"name": "bad"}})
    causes = [cause["field"] for cause in refused.value.details["causes"]]
    assert list(dict.fromkeys(causes)) == [
        "spec.deviceSelector.driver",
        "spec.deviceSelector.device",
        "spec.taint.key",
        "spec.taint.effect",
    ]
    current = await client.get(DEVICE_TAINT_RULES, "broken")
    meant = {**current, "metadata": {**current["metadata"], "labels": {"other": "x"}}, "spec": rule("None")["spec"]}
    kept = await client.update(DEVICE_TAINT_RULES, meant, subresource="status")
    assert kept["metadata"]["labels"] == {"a": "b"} and kept["spec"] == current["spec"]


async def _is_discovered(client: Client) -> None:
    found = await client.request("GET", "/apis/resource.k8s.io/v1beta2")
    assert {"devicetaintrules", "devicetaintrules/status"} <= {r["name"] for r in found["resources"]}
    group = await client.request("GET", "/apis/resource.k8s.io")
    assert [v["version"] for v in group["versions"]] == ["v1", "v1beta2"]
    assert group["preferredVersion"]["version"] == "v1"
