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
from kubelet.pods.qos import GUARANTEED, qos_class
from kubelet.pods.recorder import Recorder
from kubelet.pods.requests import pod_requests
from kubeling.api import quantity
from kubeling.api.meta import Object

# why a resized pod may not have what it asks for, as (Deferred or Infeasible, message), or None
Fits = Callable[[Object], tuple[str, str] | None]
_NAMES = ("cpu", "memory")
_WHOLE = ""


def wanted_resources(pod: Object) -> dict[str, Object]:
    """Resources by container, of those that can be resized; the pod's own, where it has some, under the empty name."""
    found = [*podspec.containers(pod), *filter(podspec.is_sidecar, podspec.init_containers(pod))]
    whole = podspec.spec_of(pod).get("resources")
    return {c["name"]: c.get("resources") or {} for c in found} | ({_WHOLE: whole} if whole else {})


def requested_resizes(old: Object, new: Object) -> list[tuple[str, str, str]]:
    """What a changed pod asks for otherwise, container by container: resource, requests or limits, and how it changes."""
    if podspec.spec_of(old) == podspec.spec_of(new):
        return []
    before, after = wanted_resources(old), wanted_resources(new)
    found = []
    for name in after.keys() & before.keys() - {_WHOLE}:
        for kind in ("requests", "limits"):
            had, wants = before[name].get(kind) or {}, after[name].get(kind) or {}
            found += [(r, kind, how) for r in _NAMES if (how := _change(had.get(r), wants.get(r)))]
    return found


def _change(old: str | None, new: str | None) -> str:
    """Empty when nothing changes."""
    if old is None or new is None:
        return "" if old is new else "add" if old is None else "remove"
    had, wants = quantity.parse(old).value, quantity.parse(new).value
    return "" if had == wants else "increase" if wants > had else "decrease"


def granted_before(pod: Object) -> dict[str, Object]:
    """What an earlier kubelet had granted, as the pod's status tells; the spec's for what it tells nothing of."""
    result = {}
    for name, wanted in wanted_resources(pod).items():
        status = (pod.get("status") or {}) if name == _WHOLE else podspec.status_named(pod, name)
        runs = status.get("phase") == "Running" if name == _WHOLE else "running" in (status.get("state") or {})
        actual = status.get("resources") if runs else None
        result[name] = wanted if actual is None else _resizable(pod, name, wanted, actual)
    return result


def _resizable(pod: Object, name: str, wanted: Mapping[str, Any], actual: Mapping[str, Any]) -> Object:
    """The actual processors and memory beside the spec's other resources; what is equal stays as it is written."""
    overhead = (podspec.spec_of(pod).get("overhead") or {}) if name == _WHOLE else {}
    merged = dict(wanted)
    for kind in ("requests", "limits"):
        asked, told = wanted.get(kind) or {}, actual.get(kind) or {}
        found = {k: v for k, v in asked.items() if k not in _NAMES}
        for resource in (r for r in _NAMES if r in told and (r in asked or name != _WHOLE)):
            had = quantity.parse(told[resource]) - quantity.parse(overhead.get(resource, "0"))
            same = resource in asked and quantity.parse(asked[resource]).value == had.value
            found[resource] = asked[resource] if same else str(had)
        if found or kind in wanted:
            merged[kind] = found
    return merged


def _replaced(containers: list[Object], granted: Mapping[str, Object]) -> list[Object]:
    return [{**c, "resources": granted[c["name"]]} if c["name"] in granted else c for c in containers]


def retry_order(pod: Object, allocated: Object) -> tuple[bool, int, bool]:
    """Which of the resizes that wait is judged first: what asks for no more than it has, the important, the guaranteed."""
    wanted, has = pod_requests(pod), pod_requests(allocated)
    more = any(wanted.get(n, quantity.ZERO).value > has.get(n, quantity.ZERO).value for n in _NAMES)
    return more, -int(podspec.spec_of(pod).get("priority") or 0), qos_class(pod) != GUARANTEED


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
        if _WHOLE in self._granted:
            new["resources"] = self._granted[_WHOLE]
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
