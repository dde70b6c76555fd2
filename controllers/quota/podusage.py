"""What a pod uses of a quota, and which scopes it is in. Pure.

Source of the rules: the ResourceQuota documentation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from controllers.lib.pods import is_finished
from kubeling.api.meta import Object, parse_time
from kubeling.api.quantity import ZERO, Quantity, parse

Usage = dict[str, Quantity]
_PLAIN = ("cpu", "memory", "ephemeral-storage")


def counts(pod: Object, now: datetime) -> bool:
    """True until the pod has finished, or should have, long after it was deleted."""
    if is_finished(pod):
        return False
    deleted, grace = pod["metadata"].get("deletionTimestamp"), pod["metadata"].get("deletionGracePeriodSeconds")
    if deleted and grace is not None:
        return parse_time(deleted) + timedelta(seconds=int(grace)) > now
    return True


def usage(pod: Object, now: datetime) -> Usage:
    """The pod's part of every resource that a quota can limit."""
    used: Usage = {"count/pods": parse(1)}
    if not counts(pod, now):
        return used
    used["pods"] = parse(1)
    requests, limits = total(pod["spec"], "requests"), total(pod["spec"], "limits")
    for name, quantity in requests.items():
        used[f"requests.{name}"] = quantity
        if name in _PLAIN or name.startswith("hugepages-"):
            used[name] = quantity
    used.update({f"limits.{name}": quantity for name, quantity in limits.items()})
    return used


def total(spec: Mapping[str, Any], kind: str) -> Usage:
    """A pod's requests or limits: its containers and sidecars together, or its largest moment of initialisation."""
    running = _sum(_of(c, kind) for c in spec.get("containers") or ())
    sidecars: Usage = {}
    largest: Usage = {}
    for container in spec.get("initContainers") or ():
        own = _of(container, kind)
        if container.get("restartPolicy") == "Always":
            sidecars = _sum([sidecars, own])
            largest = _max(largest, sidecars)
        else:
            largest = _max(largest, _sum([sidecars, own]))
    found = _max(_sum([running, sidecars]), largest)
    for name, value in ((spec.get("resources") or {}).get(kind) or {}).items():
        found[name] = parse(value)
    overhead = {name: parse(value) for name, value in (spec.get("overhead") or {}).items()}
    return _sum([found, {n: q for n, q in overhead.items() if kind == "requests" or n in found}])


def _of(container: Mapping[str, Any], kind: str) -> Usage:
    return {n: parse(q) for n, q in ((container.get("resources") or {}).get(kind) or {}).items()}


def _sum(parts: Iterable[Usage]) -> Usage:
    found: defaultdict[str, Quantity] = defaultdict(lambda: ZERO)
    for part in parts:
        for name, quantity in part.items():
            found[name] = found[name] + quantity
    return dict(found)


def _max(a: Usage, b: Usage) -> Usage:
    return {n: max(a.get(n, ZERO), b.get(n, ZERO), key=lambda q: q.value) for n in {*a, *b}}


def in_scopes(pod: Object, quota_spec: Mapping[str, Any]) -> bool:
    """True when the pod is in all of the quota's scopes."""
    named = [{"scopeName": s, "operator": "Exists"} for s in quota_spec.get("scopes") or ()]
    chosen = (quota_spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    return all(_matches(pod, requirement) for requirement in [*named, *chosen])


def _matches(pod: Object, requirement: Mapping[str, Any]) -> bool:
    spec = pod["spec"]
    match requirement["scopeName"]:
        case "Terminating":
            return spec.get("activeDeadlineSeconds") is not None
        case "NotTerminating":
            return spec.get("activeDeadlineSeconds") is None
        case "BestEffort":
            return _is_best_effort(spec)
        case "NotBestEffort":
            return not _is_best_effort(spec)
        case "PriorityClass":
            return _value_matches(spec.get("priorityClassName") or "", requirement)
        case "CrossNamespacePodAffinity":
            return _crosses_namespaces(spec)
    return False


def _is_best_effort(spec: Mapping[str, Any]) -> bool:
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ()), spec]
    kinds = ("requests", "limits")
    return not any((c.get("resources") or {}).get(k, {}).get(n) for c in containers for k in kinds for n in _PLAIN[:2])


def _value_matches(value: str, requirement: Mapping[str, Any]) -> bool:
    values = requirement.get("values") or ()
    match requirement["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return bool(value)
        case "DoesNotExist":
            return not value
    return False


def _crosses_namespaces(spec: Mapping[str, Any]) -> bool:
    affinity = spec.get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        found = affinity.get(kind) or {}
        terms = list(found.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        weighted = found.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [w["podAffinityTerm"] for w in weighted]
        if any(t.get("namespaces") or t.get("namespaceSelector") is not None for t in terms):
            return True
    return False
