"""The phase of a pod (getPhase of pkg/kubelet/kubelet_pods.go)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubelet.pods import spec as podspec
from kubeling.api.meta import Object

PENDING, RUNNING, SUCCEEDED, FAILED = "Pending", "Running", "Succeeded", "Failed"


def is_terminal(status: Mapping[str, Any]) -> bool:
    return status.get("phase") in (SUCCEEDED, FAILED)


def final_phase(pod: Object, main: list[Object]) -> str:
    """Of a pod that ends now: Succeeded only if all its regular containers did."""
    codes = [(s["state"].get("terminated") or {}).get("exitCode") for s in main]
    return SUCCEEDED if codes and all(code == 0 for code in codes) else FAILED


def pod_phase(
    pod: Object, init: list[Object], main: list[Object], renewed: frozenset[str] = frozenset(), *, begun: bool
) -> str:
    """Pending, Running, Succeeded or Failed, from the statuses of the containers in the order of the spec.

    ``renewed``: names of those that run anew whatever their policies say. ``begun``: some regular container was made in the
    sandbox of now, so that the pod is initialized, whatever its sidecars do.
    """
    if _init_failed(pod, init, renewed):
        return FAILED
    if _initializing(pod, init) and not begun:
        return PENDING
    sidecars = [s for c, s in zip(podspec.init_containers(pod), init, strict=True) if podspec.is_sidecar(c)]
    if any(not has_run(s) for s in [*sidecars, *main]):
        return PENDING
    if any("running" in s["state"] for s in [*sidecars, *main]):
        return RUNNING
    ended = [_last_code(s) for s in main]
    if any(s["name"] in renewed for s in main):
        return RUNNING
    if any(podspec.should_restart(pod, c, code) for c, code in zip(podspec.containers(pod), ended, strict=True)):
        return RUNNING
    return FAILED if any(ended) else SUCCEEDED


def _last_code(status: Object) -> int:
    end = status["state"].get("terminated") or status["lastState"].get("terminated") or {}
    return int(end.get("exitCode") or 0)


def _init_failed(pod: Object, init: list[Object], renewed: frozenset[str]) -> bool:
    """Whether a regular init container ended so that it is not tried again."""
    for container, status in zip(podspec.init_containers(pod), init, strict=True):
        if podspec.is_sidecar(container) or "running" in status["state"] or status["name"] in renewed:
            continue
        code = _last_code(status)
        if code and not podspec.should_restart(pod, container, code, init=True):
            return True
    return False


def _initializing(pod: Object, init: list[Object]) -> bool:
    for container, status in zip(podspec.init_containers(pod), init, strict=True):
        if podspec.is_sidecar(container):
            if "running" in status["state"] and not status.get("started"):
                return True
            if not has_run(status):
                return True
        elif "running" in status["state"] or not _has_ended(status):
            return True
    return False


def _has_ended(status: Object) -> bool:
    return "terminated" in status["state"] or "terminated" in status["lastState"]


def has_run(status: Object) -> bool:
    return "waiting" not in status["state"] or "terminated" in status["lastState"]
