"""Questions about pods, and pods from templates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

from kubeling.api.meta import Object, condition_of, is_deleting, name_of, namespace_of, owner_reference, parse_time
from kubeling.api.names import is_dns1123_subdomain

FINISHED = ("Succeeded", "Failed")


def phase_of(pod: Mapping[str, Any]) -> str:
    return (pod.get("status") or {}).get("phase") or "Pending"


def is_finished(pod: Mapping[str, Any]) -> bool:
    """True for Succeeded and Failed pods."""
    return phase_of(pod) in FINISHED


def is_active(pod: Mapping[str, Any]) -> bool:
    """True for pods that run or may yet run: neither finished nor being deleted."""
    return not is_finished(pod) and not is_deleting(pod)


def is_terminating(pod: Mapping[str, Any]) -> bool:
    """True for pods that are being deleted and have not finished."""
    return not is_finished(pod) and is_deleting(pod)


def is_ready(pod: Mapping[str, Any]) -> bool:
    condition = condition_of(pod, "Ready")
    return condition is not None and condition.get("status") == "True"


def ready_since(pod: Mapping[str, Any]) -> datetime | None:
    """When the pod became ready; None when it is not."""
    condition = condition_of(pod, "Ready")
    if condition is None or condition.get("status") != "True" or not condition.get("lastTransitionTime"):
        return None
    return parse_time(condition["lastTransitionTime"])


def is_available(pod: Mapping[str, Any], min_ready_seconds: int, now: datetime) -> bool:
    """Ready for at least ``min_ready_seconds``."""
    if not is_ready(pod):
        return False
    if not min_ready_seconds:
        return True
    since = ready_since(pod)
    return since is not None and since + timedelta(seconds=min_ready_seconds) <= now


def next_available_in(pods: Iterable[Object], min_ready_seconds: int, now: datetime) -> float | None:
    """Seconds until the next ready pod becomes available; None when none is on its way there."""
    waits = []
    for pod in pods:
        since = ready_since(pod)
        if since is not None and not is_available(pod, min_ready_seconds, now):
            waits.append((since + timedelta(seconds=min_ready_seconds) - now).total_seconds())
    return min(waits, default=None)


def name_prefix(owner_name: str) -> str:
    """The generateName of an owner's pods: ``web-``, or the name alone where that would be no valid prefix."""
    prefix = f"{owner_name}-"
    return owner_name if is_dns1123_subdomain(prefix + "x") else prefix  # a list of what is wrong


def pod_from_template(owner: Object, template: Mapping[str, Any], *, owned: bool = True) -> Object:
    """A pod for the template of an owner, to be named by the server."""
    source = template.get("metadata") or {}
    metadata: Object = {"namespace": namespace_of(owner), "generateName": name_prefix(name_of(owner))}
    for field in ("labels", "annotations", "finalizers"):
        if source.get(field):
            metadata[field] = deepcopy(source[field])
    if owned:
        metadata["ownerReferences"] = [owner_reference(owner)]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": deepcopy(template.get("spec") or {})}
