"""The kubelet's pod conditions, with upstream's reasons and messages (pkg/kubelet/status/generate.go)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kubelet.pods import spec as podspec
from kubelet.runtime.records import PodRecord
from kubeling.api.meta import Object, rfc3339

OWN = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
# what the kubelet says of a pod at times; its own alone are taken back
SOMETIMES, PASSING = ("DisruptionTarget", "AllContainersRestarting"), ("PodResizePending", "PodResizeInProgress")
Verdict = tuple[str, str, str]  # status, reason, message


def for_pod(
    pod: Object,
    observed: PodRecord,
    init: list[Object],
    main: list[Object],
    phase: str,
    now: datetime,
    *,
    ending: bool = False,
    extra: Mapping[str, Verdict] | None = None,
) -> list[Object]:
    """Conditions of others first, then the kubelet's own; transition times move only when a status does.

    ``ending``: the sandbox goes, too. ``extra``: verdicts on SOMETIMES and PASSING types; a PASSING one that is not there is over.
    """
    old = {c["type"]: c for c in (pod.get("status") or {}).get("conditions") or ()}
    containers_ready = _containers_ready(pod, init, main, phase)
    verdicts: dict[str, Verdict] = {
        "PodReadyToStartContainers": ("True" if observed.sandbox and not ending else "False", "", ""),
        "Initialized": _initialized(pod, init, main, phase),
        "Ready": _ready(pod, containers_ready, old),
        "ContainersReady": containers_ready,
        "PodScheduled": ("True", "", ""),
    }
    generation = (pod.get("metadata") or {}).get("generation")
    own = [_condition(type_, verdicts[type_], old.get(type_), generation, now) for type_ in OWN]
    extra = extra or {}
    own = [_condition(t, verdict, old.get(t), generation, now) for t, verdict in extra.items()] + own
    return [dict(c) for t, c in old.items() if t not in (*OWN, *PASSING, *extra)] + own


def _condition(
    type_: str, verdict: Verdict, old: Mapping[str, Any] | None, generation: int | None, now: datetime
) -> Object:
    status, reason, message = verdict
    unchanged = old is not None and old.get("status") == status and old.get("lastTransitionTime")
    condition: Object = {"type": type_}
    if generation:
        condition["observedGeneration"] = generation
    condition |= {"status": status, "lastProbeTime": None, "lastTransitionTime": unchanged or rfc3339(now)}
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    return condition


def all_restarting(phase: str, restarting: bool) -> Verdict:
    """AllContainersRestarting, for pods in which a container's end may restart all."""
    if phase in ("Succeeded", "Failed"):
        return _terminal(phase)
    if restarting:
        return "True", "RestartAllContainersStarted", "container exited with restart policy rule"
    return "False", "", ""


def _terminal(phase: str) -> Verdict:
    return "False", "PodCompleted" if phase == "Succeeded" else "PodFailed", ""


def _names(names: list[str]) -> str:
    return "[" + " ".join(names) + "]"


def _containers_ready(pod: Object, init: list[Object], main: list[Object], phase: str) -> Verdict:
    if phase in ("Succeeded", "Failed"):
        return _terminal(phase)
    statuses = {s["name"]: s for s in [*init, *main]}
    wanted = [c for c in podspec.init_containers(pod) if podspec.is_sidecar(c)] + podspec.containers(pod)
    unready = [c["name"] for c in wanted if not statuses[c["name"]]["ready"]]
    if unready:
        return "False", "ContainersNotReady", f"containers with unready status: {_names(unready)}"
    return "True", "", ""


def _ready(pod: Object, containers: Verdict, old: Mapping[str, Mapping[str, Any]]) -> Verdict:
    if containers[0] != "True":
        return containers
    missing = []
    for gate in podspec.spec_of(pod).get("readinessGates") or ():
        type_ = gate["conditionType"]
        condition = old.get(type_)
        if condition is None:
            missing.append(f'corresponding condition of pod readiness gate "{type_}" does not exist.')
        elif condition.get("status") != "True":
            missing.append(f'the status of pod readiness gate "{type_}" is not "True", but {condition.get("status")}')
    if missing:
        return "False", "ReadinessGatesNotReady", ", ".join(missing)
    return "True", "", ""


def _initialized(pod: Object, init: list[Object], main: list[Object], phase: str) -> Verdict:
    if phase == "Succeeded":
        return "True", "PodCompleted", ""
    if any("waiting" not in s["state"] for s in main):
        return "True", "", ""  # a regular container has run, so initialization was complete before
    incomplete = [
        s["name"]
        for c, s in zip(podspec.init_containers(pod), init, strict=True)
        if not (s.get("started") if podspec.is_sidecar(c) else s["ready"])
    ]
    if incomplete:
        return "False", "ContainersNotInitialized", f"containers with incomplete status: {_names(incomplete)}"
    return "True", "", ""
