"""The status to report: a pure function of the pod, what runs, and what the last attempts said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kubelet.pods import conditions
from kubelet.pods import spec as podspec
from kubelet.pods.conditions import Verdict
from kubelet.pods.container_status import container_status
from kubelet.pods.in_force import told_of_pod
from kubelet.pods.qos import qos_class
from kubelet.runtime.records import ContainerRecord, ImageRecord, PodRecord, State
from kubeling.api.meta import Object, rfc3339

PENDING, RUNNING, SUCCEEDED, FAILED = "Pending", "Running", "Succeeded", "Failed"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a container does not run: ``ErrImagePull``, ``CrashLoopBackOff``..."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the status is made from beside pod and records.

    ``waiting`` by container name; ``ready`` and ``started`` are the probes' verdicts; ``messages`` are termination
    messages and ``images`` image records, by container id and image id; ``reason``/``message`` fail the
    pod; ``disruption`` is why it has to make room, ``refused``: it never ran here; ``conditions`` are those told at times.
    """

    now: datetime
    host_ip: str
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    ready: frozenset[str] = frozenset()
    started: frozenset[str] = frozenset()
    messages: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, ImageRecord] = field(default_factory=dict)
    conditions: Mapping[str, Verdict] = field(default_factory=dict)
    disruption: str = ""
    reason: str = ""
    message: str = ""
    terminal: bool = False
    refused: bool = False
    start_time: str = ""


def pod_status(pod: Object, observed: PodRecord, facts: Facts) -> Object:
    """The whole ``status``; conditions of others are kept as the pod has them."""
    old: Mapping[str, Any] = pod.get("status") or {}
    if facts.refused:
        return _refused(pod, facts, old)
    init = [container_status(pod, c, observed, facts, init=True) for c in podspec.init_containers(pod)]
    main = [container_status(pod, c, observed, facts) for c in podspec.containers(pod)]
    extra = [container_status(pod, c, observed, facts) for c in podspec.ephemeral_containers(pod)]
    phase = _final_phase(pod, observed, facts) or pod_phase(pod, init, main)
    if old.get("phase") in (SUCCEEDED, FAILED):
        phase = old["phase"]
    status: Object = {"phase": phase}
    if generation := (pod.get("metadata") or {}).get("generation"):
        status["observedGeneration"] = generation
    extra_conditions = dict(facts.conditions)
    if facts.disruption:
        extra_conditions["DisruptionTarget"] = ("True", "TerminationByKubelet", facts.disruption)
    status["conditions"] = conditions.for_pod(
        pod, observed, init, main, phase, facts.now, ending=facts.terminal, extra=extra_conditions
    )
    for name, value in (
        ("message", facts.message or old.get("message")),
        ("reason", facts.reason or old.get("reason")),
    ):
        if value:
            status[name] = value
    status |= _addresses(pod, observed, facts, old)
    status["startTime"] = old.get("startTime") or facts.start_time or rfc3339(facts.now)
    for name, entries in (
        ("initContainerStatuses", init),
        ("containerStatuses", sorted(main, key=lambda entry: str(entry["name"]))),
        ("ephemeralContainerStatuses", extra),
    ):
        if entries:
            status[name] = entries
    status |= told_of_pod(pod, running=old.get("phase") == RUNNING)
    status["qosClass"] = old.get("qosClass") or qos_class(pod)
    return status


def _refused(pod: Object, facts: Facts, old: Mapping[str, Any]) -> Object:
    status: Object = {"phase": FAILED}
    if generation := (pod.get("metadata") or {}).get("generation"):
        status["observedGeneration"] = generation
    if old.get("conditions"):
        status["conditions"] = list(old["conditions"])
    status |= {"message": facts.message or old.get("message"), "reason": facts.reason or old.get("reason")}
    status["startTime"] = old.get("startTime") or facts.start_time or rfc3339(facts.now)
    status["qosClass"] = old.get("qosClass") or qos_class(pod)
    return status


def _addresses(pod: Object, observed: PodRecord, facts: Facts, old: Mapping[str, Any]) -> Object:
    found: Object = {}
    if facts.host_ip:
        found = {"hostIP": facts.host_ip, "hostIPs": [{"ip": facts.host_ip}]}
    sandbox = observed.sandbox
    if podspec.is_host_network(pod):
        ip = facts.host_ip
    else:
        ip = sandbox.ip if sandbox else str(old.get("podIP") or "") if facts.terminal else ""
    if ip:
        found |= {"podIP": ip, "podIPs": [{"ip": ip}]}
    return found


def _final_phase(pod: Object, observed: PodRecord, facts: Facts) -> str:
    """The phase of a pod that ends: from its containers' exits, empty while it does not end."""
    if facts.reason:
        return FAILED
    if not facts.terminal:
        return ""
    runs = [observed.latest(c["name"]) for c in podspec.containers(pod)]
    complete = all(r is not None and r.state is State.EXITED and not r.exit_code for r in runs)
    return SUCCEEDED if complete else FAILED


def pod_phase(pod: Object, init: list[Object], main: list[Object]) -> str:
    """Pending, Running, Succeeded or Failed from container statuses (the kubelet's getPhase)."""
    if _initializing(pod, init, main) and not any(_has_run(s) for s in main):
        failed = any(
            "terminated" in s["state"]
            and s["state"]["terminated"]["exitCode"] != 0
            and not podspec.should_restart(pod, c, s["state"]["terminated"]["exitCode"], init=True)
            for c, s in zip(podspec.init_containers(pod), init, strict=True)
            if not podspec.is_sidecar(c)
        )
        return FAILED if failed else PENDING
    by_name = {s["name"]: s for s in main}
    waiting = running = 0
    ended: list[tuple[Object, int]] = []
    for container in podspec.containers(pod):
        status = by_name[container["name"]]
        state = status["state"]
        if "running" in state:
            running += 1
        elif "terminated" in state:
            ended.append((container, state["terminated"]["exitCode"]))
        elif "terminated" in status["lastState"]:
            ended.append((container, status["lastState"]["terminated"]["exitCode"]))
        else:
            waiting += 1
    if waiting:
        return PENDING
    if running or not ended:
        return RUNNING
    if any(podspec.should_restart(pod, c, code) for c, code in ended):
        return RUNNING
    return FAILED if any(code for _, code in ended) else SUCCEEDED


def _initializing(pod: Object, init: list[Object], main: list[Object]) -> bool:
    for container, status in zip(podspec.init_containers(pod), init, strict=True):
        if podspec.is_sidecar(container):
            if not status.get("started"):
                return True
        elif not status["ready"]:
            return True
    return False


def _has_run(status: Object) -> bool:
    return "waiting" not in status["state"] or "terminated" in status["lastState"]


def is_terminal(status: Mapping[str, Any]) -> bool:
    return status.get("phase") in (SUCCEEDED, FAILED)


def exited(record: ContainerRecord | None) -> bool:
    return record is not None and record.state is State.EXITED
