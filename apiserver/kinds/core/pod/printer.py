"""The table of pods: READY, STATUS, RESTARTS and the wide columns (pkg/printers/internalversion: printPod)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from apiserver.kinds.printing import AGE, NAME, NONE, age_of, column
from apiserver.kinds.validation.pod.pod_resources import is_sidecar
from apiserver.registry.kind import Printer
from kubeling.api.duration import age
from kubeling.api.meta import Object, has_condition, name_of

Fields = Mapping[str, Any]
_NODE_UNREACHABLE = "NodeLost"


def _row(pod: Object, now: datetime) -> list[Any]:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    view = _Containers(pod)
    nominated = status.get("nominatedNodeName") or NONE
    return [
        name_of(pod),
        f"{view.ready}/{view.total}",
        view.reason,
        view.restarts_text(now),
        age_of(pod, now),
        pod_ip(status) or NONE,
        spec.get("nodeName") or NONE,
        nominated,
        _readiness_gates(pod),
    ]


_ENDED = {
    "Succeeded": "The pod has completed successfully.",
    "Failed": "The pod failed.",
}


def row_conditions(pod: Object) -> list[Object]:
    """A pod that has ended is marked, so that clients can leave its row out."""
    phase = (pod.get("status") or {}).get("phase") or ""
    if phase not in _ENDED:
        return []
    return [{"type": "Completed", "status": "True", "reason": phase, "message": _ENDED[phase]}]


def pod_ip(status: Fields) -> str:
    """The first address of a pod."""
    addresses = status.get("podIPs") or ()
    return str(addresses[0].get("ip") or "") if addresses else str(status.get("podIP") or "")


def _readiness_gates(pod: Object) -> str:
    gates = (pod.get("spec") or {}).get("readinessGates") or ()
    if not gates:
        return NONE
    true = sum(has_condition(pod, gate.get("conditionType", "")) for gate in gates)
    return f"{true}/{len(gates)}"


class _Containers:
    """What the statuses of a pod's containers come to, read as ``kubectl get pods`` shows it."""

    def __init__(self, pod: Object) -> None:
        self.pod = pod
        self.spec: Fields = pod.get("spec") or {}
        self.status: Fields = pod.get("status") or {}
        self.sidecars = {c.get("name"): c for c in self.spec.get("initContainers") or () if is_sidecar(c)}
        self.total = len(self.spec.get("containers") or ()) + len(self.sidecars)
        self.ready = 0
        self.restarts = 0
        self.last_restart = ""
        self.sidecar_restarts = 0
        self.last_sidecar_restart = ""
        self.reason = self._first_reason()
        if self._init_reason() is False or has_condition(pod, "Initialized"):
            self._count_containers()
        self._finish()

    def _first_reason(self) -> str:
        for condition in self.status.get("conditions") or ():
            if condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated":
                return "SchedulingGated"
        return str(self.status.get("reason") or self.status.get("phase") or "")

    def _init_reason(self) -> bool:
        """Sets the reason from the first init container that is not done; False when all are."""
        count = len(self.spec.get("initContainers") or ())
        for i, status in enumerate(self.status.get("initContainerStatuses") or ()):
            self._note_restarts(status)
            sidecar = status.get("name") in self.sidecars
            if sidecar:
                self.sidecar_restarts += status.get("restartCount") or 0
                self.last_sidecar_restart = max(self.last_sidecar_restart, _finished_at(status))
            state = status.get("state") or {}
            terminated, waiting = state.get("terminated"), state.get("waiting")
            if terminated is not None and not terminated.get("exitCode"):
                continue
            if sidecar and status.get("started"):
                self.ready += bool(status.get("ready"))
                continue
            if terminated is not None:
                self.reason = "Init:" + _ended(terminated)
            elif waiting is not None and waiting.get("reason") not in (None, "", "PodInitializing"):
                self.reason = "Init:" + waiting["reason"]
            else:
                self.reason = f"Init:{i}/{count}"
            return True
        return False

    def _count_containers(self) -> None:
        self.restarts, self.last_restart = self.sidecar_restarts, self.last_sidecar_restart
        running = False
        for status in reversed(self.status.get("containerStatuses") or []):
            self._note_restarts(status)
            state = status.get("state") or {}
            terminated, waiting = state.get("terminated"), state.get("waiting")
            if waiting is not None and waiting.get("reason"):
                self.reason = waiting["reason"]
            elif terminated is not None:
                self.reason = _ended(terminated)
            elif status.get("ready") and state.get("running") is not None:
                running = True
                self.ready += 1
        if self.reason == "Completed" and running:
            self.reason = "Running" if has_condition(self.pod, "Ready") else "NotReady"

    def _note_restarts(self, status: Fields) -> None:
        self.restarts += status.get("restartCount") or 0
        self.last_restart = max(self.last_restart, _finished_at(status))

    def _finish(self) -> None:
        deleting = (self.pod.get("metadata") or {}).get("deletionTimestamp")
        if deleting and self.status.get("reason") == _NODE_UNREACHABLE:
            self.reason = "Unknown"
        elif deleting and self.status.get("phase") not in ("Failed", "Succeeded"):
            self.reason = "Terminating"

    def restarts_text(self, now: datetime) -> str:
        if self.restarts and self.last_restart:
            return f"{self.restarts} ({age(self.last_restart, now)} ago)"
        return str(self.restarts)


def _finished_at(status: Fields) -> str:
    """When the container's last run ended, empty when it had none. RFC 3339 times of one zone sort as texts."""
    return str(((status.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or "")


def _ended(terminated: Fields) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode') or 0}"


PRINTER = Printer(
    (
        NAME,
        column("Ready", "The aggregate readiness state of this pod for accepting traffic."),
        column("Status", "The aggregate status of the containers in this pod."),
        column(
            "Restarts",
            "The number of times the containers in this pod have been restarted and when the last container "
            "in this pod has restarted.",
        ),
        AGE,
        column("IP", "core.v1.PodStatus:podIP", priority=1),
        column("Node", "core.v1.PodSpec:nodeName", priority=1),
        column("Nominated Node", "core.v1.PodStatus:nominatedNodeName", priority=1),
        column("Readiness Gates", "core.v1.PodSpec:readinessGates", priority=1),
    ),
    _row,
    conditions=row_conditions,
)
