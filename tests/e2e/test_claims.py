"""A claim without a class gets a local volume that outlives its pods."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.support import IMAGE, Kubectl, eventually


def pod(name: str, command: str) -> str:
    spec: dict[str, Any] = {
        "containers": [
            {
                "name": "c",
                "image": IMAGE,
                "command": ["sh", "-c", command],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }
        ],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
    }
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})


def test_what_one_pod_writes_the_next_one_reads(k: Kubectl) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Mi"}}},
    }
    k("apply", "-f", "-", stdin=json.dumps(claim))
    assert "WaitForFirstConsumer" in k("get", "storageclass")
    assert "Pending" in k("get", "pvc", "data")
    k("apply", "-f", "-", stdin=pod("writer", "echo kept > /data/file"))
    k("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/writer", "--timeout=60s")
    assert "Bound" in k("get", "pvc", "data")
    volume = k("get", "pvc", "data", "-o", "jsonpath={.spec.volumeName}")
    k("delete", "pod", "writer")
    k("apply", "-f", "-", stdin=pod("reader", "cat /data/file"))
    k("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/reader", "--timeout=60s")
    assert k("logs", "reader") == "kept\n"
    k("delete", "pod", "reader")
    k("delete", "pvc", "data")
    eventually(lambda: "NotFound" in k.fails("get", "pv", volume))
