"""Defaults of pods that no API server has seen: those that the kubelet relies on."""

from __future__ import annotations

from typing import Any

from kubeling.api.images import parse_image
from kubeling.api.meta import Object

_SPEC: dict[str, Any] = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "schedulerName": "default-scheduler",
    "enableServiceLinks": True,
}
_CONTAINER: dict[str, Any] = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}


def default_pod(pod: Object) -> None:
    """Fills in place what is missing."""
    spec = pod["spec"]
    for field, value in _SPEC.items():
        spec.setdefault(field, value)
    if spec["terminationGracePeriodSeconds"] < 0:
        spec["terminationGracePeriodSeconds"] = 1
    spec.setdefault("securityContext", {})
    for container in [*(spec.get("initContainers") or ()), *spec["containers"]]:
        for field, value in _CONTAINER.items():
            container.setdefault(field, value)
        reference = parse_image(container.get("image") or "")
        latest = reference is not None and reference.tag == "latest" and not reference.digest
        container.setdefault("imagePullPolicy", "Always" if latest else "IfNotPresent")
        for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
            if probe := container.get(kind):
                for field, value in _PROBE.items():
                    probe.setdefault(field, value)
        for port in container.get("ports") or ():
            port.setdefault("protocol", "TCP")
            if spec.get("hostNetwork"):
                port.setdefault("hostPort", port["containerPort"])
