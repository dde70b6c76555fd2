"""A deployment's conditions: Available, Progressing, ReplicaFailure, with upstream's reasons and texts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from controllers.deployment import sizes
from kubeling.api.meta import Object, condition_of, name_of, parse_time, rfc3339

NEVER = 2**31 - 1
TIMED_OUT = "ProgressDeadlineExceeded"
COMPLETE = "NewReplicaSetAvailable"
PAUSED, RESUMED = "DeploymentPaused", "DeploymentResumed"


def deadline_of(deployment: Object) -> int | None:
    """``progressDeadlineSeconds``; None when there is none."""
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    return None if seconds is None or seconds == NEVER else int(seconds)


def put(status: Object, type_: str, value: str, reason: str, message: str, now: datetime) -> None:
    """Sets a condition in the status; the same status and reason change nothing."""
    at = rfc3339(now)
    times = {"lastUpdateTime": at, "lastTransitionTime": at}
    _place(status, {"type": type_, "status": value, **times, "reason": reason, "message": message})


def _place(status: Object, made: Object) -> None:
    conditions: list[Object] = status.setdefault("conditions", [])
    current = next((c for c in conditions if c["type"] == made["type"]), None)
    if current is not None and (current["status"], current.get("reason")) == (made["status"], made.get("reason")):
        return
    if current is not None and current["status"] == made["status"] and current.get("lastTransitionTime"):
        made = {**made, "lastTransitionTime": current["lastTransitionTime"]}
    drop(status, made["type"])
    status["conditions"].append(made)


def drop(status: Object, type_: str) -> None:
    status["conditions"] = [c for c in status.get("conditions") or () if c["type"] != type_]


def pause_condition(deployment: Object, status: Object, now: datetime) -> None:
    """Marks a pause and its end in Progressing, so that the time of the pause counts for no deadline."""
    if deadline_of(deployment) is None:
        return
    current = condition_of({"status": status}, "Progressing")
    reason = current.get("reason") if current else ""
    if reason == TIMED_OUT:
        return
    paused = bool(deployment["spec"].get("paused"))
    if paused and reason != PAUSED:
        put(status, "Progressing", "Unknown", PAUSED, "Deployment is paused", now)
    elif not paused and reason == PAUSED:
        put(status, "Progressing", "Unknown", RESUMED, "Deployment is resumed", now)


def availability(deployment: Object, status: Object, now: datetime) -> None:
    """Sets Available from the status's own figures."""
    least = sizes.size(deployment) - sizes.max_unavailable(deployment)
    if int(status.get("availableReplicas") or 0) >= least:
        text = "Deployment has minimum availability."
        put(status, "Available", "True", "MinimumReplicasAvailable", text, now)
    else:
        text = "Deployment does not have minimum availability."
        put(status, "Available", "False", "MinimumReplicasUnavailable", text, now)


def progress(deployment: Object, status: Object, new: Object | None, now: datetime) -> None:
    """Sets Progressing: done, going on, or out of time."""
    if deadline_of(deployment) is None:
        drop(status, "Progressing")
        return
    current = condition_of({"status": status}, "Progressing")
    updated = int(status.get("updatedReplicas") or 0)
    settled = int(status.get("replicas") or 0) == updated and current is not None and current["reason"] == COMPLETE
    if settled:
        return
    what = f'ReplicaSet "{name_of(new)}"' if new is not None else f'Deployment "{name_of(deployment)}"'
    if is_complete(deployment, status):
        put(status, "Progressing", "True", COMPLETE, f"{what} has successfully progressed.", now)
    elif is_progressing(deployment, status):
        since = current.get("lastTransitionTime") if current is not None and current["status"] == "True" else None
        drop(status, "Progressing")
        put(status, "Progressing", "True", "ReplicaSetUpdated", f"{what} is progressing.", now)
        if since:
            status["conditions"][-1]["lastTransitionTime"] = since
    elif is_timed_out(deployment, status, now):
        put(status, "Progressing", "False", TIMED_OUT, f"{what} has timed out progressing.", now)


def failures(status: Object, new: Object | None, old: Sequence[Object]) -> None:
    """Carries over ReplicaFailure of the new ReplicaSet, else of an old one."""
    found = [c for rs in ([new] if new is not None else []) if (c := condition_of(rs, "ReplicaFailure"))]
    found = found or [c for rs in old if (c := condition_of(rs, "ReplicaFailure"))]
    if not found:
        drop(status, "ReplicaFailure")
        return
    _place(status, {**found[0], "lastUpdateTime": found[0].get("lastTransitionTime")})


def is_complete(deployment: Object, status: Object) -> bool:
    """All replicas are of the new template and available, and no other is left."""
    wanted = sizes.size(deployment)
    figures = {int(status.get(f) or 0) for f in ("updatedReplicas", "replicas", "availableReplicas")}
    observed = int(status.get("observedGeneration") or 0)
    return figures == {wanted} and observed >= int(deployment["metadata"].get("generation") or 0)


def is_progressing(deployment: Object, status: Object) -> bool:
    """True when the new status is nearer to the end than the deployment's own."""
    old = deployment.get("status") or {}

    def grew(field: str) -> bool:
        return int(status.get(field) or 0) > int(old.get(field) or 0)

    def outdated(of: Object) -> int:
        return int(of.get("replicas") or 0) - int(of.get("updatedReplicas") or 0)

    return (
        grew("updatedReplicas")
        or outdated(status) < outdated(old)
        or grew("readyReplicas")
        or grew("availableReplicas")
    )


def is_timed_out(deployment: Object, status: Object, now: datetime) -> bool:
    condition = condition_of({"status": status}, "Progressing")
    seconds = deadline_of(deployment)
    if condition is None or seconds is None or condition["reason"] == COMPLETE:
        return False
    if condition["reason"] == TIMED_OUT:
        return True
    return parse_time(condition["lastUpdateTime"]) + timedelta(seconds=seconds) < now


def seconds_to_deadline(deployment: Object, status: Object, now: datetime) -> float | None:
    """When to look again at a rollout that may run out of time; None when it is done or has already."""
    condition = condition_of({"status": status}, "Progressing")
    seconds = deadline_of(deployment)
    if condition is None or seconds is None or condition["reason"] in (COMPLETE, TIMED_OUT):
        return None
    due = parse_time(condition["lastUpdateTime"]) + timedelta(seconds=seconds)
    return max((due - now).total_seconds() + 1.0, 1.0)
