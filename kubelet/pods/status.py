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
from kubelet.pods.ended import close_statuses
from kubelet.pods.in_force import told_of_pod
from kubelet.pods.phase import FAILED, RUNNING, final_phase, is_terminal, pod_phase
from kubelet.pods.qos import qos_class
from kubelet.pods.rounds import to_renew
from kubelet.runtime.records import ImageRecord, PodRecord
from kubeling.api.meta import Object, rfc3339


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
    pod; ``disruption`` is why it has to make room, ``refused``: it never ran here; ``conditions`` are those told at times;
    ``restarting``: all containers are about to run anew; ``terminal``: they have ended for good.
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
    restarting: bool = False
    terminal: bool = False
    refused: bool = False
    start_time: str = ""


def pod_status(pod: Object, observed: PodRecord, facts: Facts) -> Object:
    """The whole ``status``; conditions of others are kept as the pod has them.

    The phase may be terminal before all containers have ended: see ``not_yet_terminal``.
    """
    old: Mapping[str, Any] = pod.get("status") or {}
    if facts.refused or (is_terminal(old) and not old.get("containerStatuses") and not observed.containers):
        return _refused(pod, facts, old)
    init = [container_status(pod, c, observed, facts, init=True) for c in podspec.init_containers(pod)]
    main = [container_status(pod, c, observed, facts) for c in podspec.containers(pod)]
    extra = [container_status(pod, c, observed, facts) for c in podspec.ephemeral_containers(pod)]
    if facts.terminal:
        close_statuses(pod, init, main)
    phase = _phase(pod, observed, init, main, facts)
    status: Object = {"phase": phase}
    if generation := (pod.get("metadata") or {}).get("generation"):
        status["observedGeneration"] = generation
    status["conditions"] = conditions.for_pod(
        pod, observed, init, main, phase, facts.now, ending=facts.terminal, extra=_extra_conditions(pod, facts, phase)
    )
    same = old.get("phase") in (None, "", phase)
    for name, value in (("message", facts.message), ("reason", facts.reason)):
        if kept := value or (old.get(name) if same else ""):
            status[name] = kept
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


def _phase(pod: Object, observed: PodRecord, init: list[Object], main: list[Object], facts: Facts) -> str:
    """A terminal phase stays for ever."""
    old: Mapping[str, Any] = pod.get("status") or {}
    if is_terminal(old):
        return str(old["phase"])
    if facts.reason:
        return FAILED
    if facts.terminal:
        return final_phase(pod, main)
    names, sandbox = {c["name"] for c in podspec.containers(pod)}, observed.sandbox
    begun = sandbox is not None and any(r.sandbox_id == sandbox.id and r.name in names for r in observed.containers)
    return pod_phase(pod, init, main, to_renew(pod, observed), begun=begun)


def _extra_conditions(pod: Object, facts: Facts, phase: str) -> dict[str, Verdict]:
    found = dict(facts.conditions)
    if facts.disruption:
        found["DisruptionTarget"] = ("True", "TerminationByKubelet", facts.disruption)
    if any(podspec.may_restart_all(c) for c in [*podspec.init_containers(pod), *podspec.containers(pod)]):
        found["AllContainersRestarting"] = conditions.all_restarting(phase, facts.restarting)
    return found


def not_yet_terminal(status: Object, old: Mapping[str, Any]) -> Object:
    """The status while some container may still run: phase, reason and message stay as they were."""
    held = {k: v for k, v in status.items() if k not in ("phase", "reason", "message")}
    kept = {k: old[k] for k in ("reason", "message") if old.get(k)}
    return {"phase": old.get("phase") or RUNNING, **held, **kept}


def _refused(pod: Object, facts: Facts, old: Mapping[str, Any]) -> Object:
    """Of a pod that never ran here, under this kubelet or an earlier one."""
    status: Object = {"phase": old["phase"] if is_terminal(old) else FAILED}
    if generation := (pod.get("metadata") or {}).get("generation"):
        status["observedGeneration"] = generation
    if old.get("conditions"):
        status["conditions"] = list(old["conditions"])
    for name, value in (("message", facts.message), ("reason", facts.reason)):
        if told := value or old.get(name):
            status[name] = told
    status["startTime"] = old.get("startTime") or facts.start_time or rfc3339(facts.now)
    status["qosClass"] = old.get("qosClass") or qos_class(pod)
    return status


def _addresses(pod: Object, observed: PodRecord, facts: Facts, old: Mapping[str, Any]) -> Object:
    """A pod keeps its address until it gets another one."""
    found: Object = {}
    if facts.host_ip:
        found = {"hostIP": facts.host_ip, "hostIPs": [{"ip": facts.host_ip}]}
    sandbox = observed.sandbox
    ip = facts.host_ip if podspec.is_host_network(pod) else sandbox.ip if sandbox else ""
    if ip := ip or str(old.get("podIP") or ""):
        found |= {"podIP": ip, "podIPs": [{"ip": ip}]}
    return found
