"""In-place resize: what a pod's containers are allowed to have now, and what is told while that is not what they ask for.

A new wish is granted when it fits on the node; else it waits (Deferred) or cannot come true here (Infeasible). Source of reasons,
conditions and events: pkg/kubelet/allocation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from kubelet.pods import spec as podspec
from kubelet.pods.conditions import Verdict
from kubelet.pods.recorder import Recorder
from kubeling.api.meta import Object

# why a resized pod may not have what it asks for, as (Deferred or Infeasible, message), or None
Fits = Callable[[Object], tuple[str, str] | None]
_NAMES = ("cpu", "memory")


def wanted_resources(pod: Object) -> dict[str, Object]:
    """Resources by container, of those that can be resized."""
    found = [*podspec.containers(pod), *filter(podspec.is_sidecar, podspec.init_containers(pod))]
    return {c["name"]: c.get("resources") or {} for c in found}


def granted_before(pod: Object) -> dict[str, Object]:
    """What an earlier kubelet had granted, as the pod's status tells; the spec's for containers of which it tells nothing."""
    result = {}
    for name, wanted in wanted_resources(pod).items():
        status = podspec.status_named(pod, name)
        actual = status.get("resources") if "running" in (status.get("state") or {}) else None
        result[name] = wanted if actual is None else {**wanted, **_resizable(wanted, actual)}
    return result


def _resizable(wanted: Mapping[str, Any], actual: Mapping[str, Any]) -> Object:
    """The actual processors and memory beside the spec's other resources."""
    merged = {}
    for kind in ("requests", "limits"):
        others = {k: v for k, v in (wanted.get(kind) or {}).items() if k not in _NAMES}
        found = others | {k: v for k, v in (actual.get(kind) or {}).items() if k in _NAMES}
        if found or kind in wanted:
            merged[kind] = found
    return merged


def _replaced(containers: list[Object], granted: Mapping[str, Object]) -> list[Object]:
    return [{**c, "resources": granted[c["name"]]} if c["name"] in granted else c for c in containers]


class Allocation:
    """One pod's; ``fits`` judges wishes."""

    def __init__(self, pod: Object, recorder: Recorder, fits: Fits) -> None:
        self._recorder, self._fits = recorder, fits
        self._granted = granted_before(pod)
        self._pending: tuple[str, str] | None = None
        self._progress: tuple[str, str] | None = None

    def allocated(self, pod: Object) -> Object:
        """The pod as it may run now."""
        if wanted_resources(pod) == self._granted:
            return pod
        spec = podspec.spec_of(pod)
        new = {**spec, "containers": _replaced(podspec.containers(pod), self._granted)}
        if spec.get("initContainers"):
            new["initContainers"] = _replaced(podspec.init_containers(pod), self._granted)
        return {**pod, "spec": new}

    @property
    def waits(self) -> bool:
        return self._pending is not None

    def consider(self, pod: Object) -> None:
        """Grants what the pod asks for now, or notes why not."""
        wanted = wanted_resources(pod)
        if wanted == self._granted:
            self._pending = None
            return
        refusal = self._fits(pod)
        if refusal is None:
            self._granted, self._pending, self._progress = wanted, None, ("", "")
            self._tell(pod, "Normal", "ResizeStarted", "Pod resize started")
        elif refusal != self._pending:
            self._pending = refusal
            self._tell(pod, "Warning", f"Resize{refusal[0]}", f"Pod resize {refusal[0]}", refusal[1])

    def applied(self, pod: Object) -> None:
        """The containers have what was granted."""
        if self._progress is not None:
            self._progress = None
            self._tell(self.allocated(pod), "Normal", "ResizeCompleted", "Pod resize completed")

    def failed(self, pod: Object, error: str) -> None:
        """The engine refused it; it is tried again."""
        if self._progress != ("Error", error):
            self._progress = ("Error", error)
            self._tell(self.allocated(pod), "Warning", "ResizeError", "Pod resize error", error)

    @property
    def conditions(self) -> dict[str, Verdict]:
        found: dict[str, Verdict] = {}
        if self._pending is not None:
            found["PodResizePending"] = ("True", *self._pending)
        if self._progress is not None:
            found["PodResizeInProgress"] = ("True", *self._progress)
        return found

    def _tell(self, pod: Object, type_: str, reason: str, text: str, error: str = "") -> None:
        def shown(containers: list[Object]) -> list[Object]:
            return [{"name": c["name"], "resources": c.get("resources") or {}} for c in containers]

        summary: Object = {}
        if init := podspec.init_containers(pod):
            summary["initContainers"] = shown(init)
        summary["containers"] = shown(podspec.containers(pod))
        summary["generation"] = (pod.get("metadata") or {}).get("generation") or 0
        if error:
            summary["error"] = error
        self._recorder.event(pod, type_, reason, f"{text}: {json.dumps(summary, separators=(',', ':'))}")
