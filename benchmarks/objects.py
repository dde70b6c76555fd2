"""Objects of ordinary size."""

from __future__ import annotations

from typing import Any

import orjson


def configmap(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"app": "bench"}},
            "data": {f"key-{i}": "value " * 5 for i in range(5)}}  # fmt: skip


def pod(name: str) -> dict[str, Any]:
    container = {
        "name": "web",
        "image": "registry.example/web:1.2.3",
        "ports": [{"name": "http", "containerPort": 8080}],
        "env": [{"name": f"VARIABLE_{i}", "value": f"value {i}"} for i in range(6)],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}},
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 5},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/web"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {"app": "web", "pod-template-hash": "5d4f8c7b9"},
            "annotations": {"prometheus.example/scrape": "true"},
        },
        "spec": {"containers": [container], "volumes": [{"name": "config", "configMap": {"name": "web"}}]},
    }


def encoded(obj: dict[str, Any]) -> bytes:
    return orjson.dumps(obj)
