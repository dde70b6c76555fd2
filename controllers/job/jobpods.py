"""A job's pods: their indexes, failure counts and end, and how new ones are made. Pure.

Source of names and rules: the Job documentation and the batch/v1 API reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from datetime import datetime
from typing import Any, NamedTuple

from controllers.lib.pods import phase_of, pod_from_template
from kubeling.api.meta import Object, annotations_of, is_deleting, labels_of, name_of, parse_time

FINALIZER = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED_FAILURES = "batch.kubernetes.io/job-index-ignored-failure-count"
MAX_HOSTNAME, MAX_GENERATED_BASE = 63, 58


def is_indexed(job: Mapping[str, Any]) -> bool:
    return bool(job["spec"].get("completionMode") == "Indexed")


def per_index_limit(job: Mapping[str, Any]) -> int | None:
    """``backoffLimitPerIndex``; None when failures are counted for the whole job."""
    limit = job["spec"].get("backoffLimitPerIndex")
    return int(limit) if is_indexed(job) and limit is not None else None


def has_finalizer(pod: Mapping[str, Any]) -> bool:
    return FINALIZER in (pod["metadata"].get("finalizers") or ())


def index_of(pod: Mapping[str, Any]) -> int | None:
    text = annotations_of(pod).get(INDEX) or labels_of(pod).get(INDEX) or ""
    return int(text) if text.isdigit() else None


class Failures(NamedTuple):
    """How often an index had failed before its pod: failures that count, and ones that a policy ignores."""

    counted: int = 0
    ignored: int = 0

    @property
    def all(self) -> int:
        return self.counted + self.ignored


NO_FAILURES = Failures()


def failures_of(pod: Mapping[str, Any]) -> Failures:
    texts = (annotations_of(pod).get(name, "") for name in (FAILURES, IGNORED_FAILURES))
    return Failures(*(int(text) if text.isdigit() else 0 for text in texts))


def only_replaces_failed(job: Mapping[str, Any]) -> bool:
    """True when a pod is replaced only once it has ended, not as soon as it is being deleted."""
    return job["spec"].get("podReplacementPolicy") == "Failed" or bool(job["spec"].get("podFailurePolicy"))


def has_failed(job: Mapping[str, Any], pod: Mapping[str, Any]) -> bool:
    """True for failed pods, and for those being deleted where these are replaced at once."""
    if phase_of(pod) == "Failed":
        return True
    return phase_of(pod) != "Succeeded" and is_deleting(pod) and not only_replaces_failed(job)


def finished_at(pod: Mapping[str, Any], now: datetime) -> datetime:
    """When the pod ended: its last container's end, else its last change of readiness, else now."""
    status = pod.get("status") or {}
    statuses = [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]
    ends = [e for s in statuses if (e := ((s.get("state") or {}).get("terminated") or {}).get("finishedAt"))]
    ends = ends or [c["lastTransitionTime"] for c in status.get("conditions") or () if c.get("lastTransitionTime")]
    deleted = pod["metadata"].get("deletionTimestamp")
    ends = ends or ([deleted] if deleted else [])
    return max((parse_time(e) for e in ends), default=now)


def new_pod(job: Object, index: int | None, failures: Failures = NO_FAILURES) -> Object:
    """A pod of the job, for an index of an indexed one, after so many failures of that index."""
    pod = pod_from_template(job, job["spec"]["template"])
    metadata = pod["metadata"]
    metadata["finalizers"] = [*(metadata.get("finalizers") or []), FINALIZER]
    if index is None:
        return pod
    suffix = f"-{index}-"
    metadata["generateName"] = name_of(job)[: MAX_GENERATED_BASE - len(suffix)] + suffix
    metadata.setdefault("labels", {})[INDEX] = str(index)
    annotations = metadata.setdefault("annotations", {})
    annotations[INDEX] = str(index)
    if per_index_limit(job) is not None:
        annotations[FAILURES] = str(failures.counted)
        if failures.ignored:
            annotations[IGNORED_FAILURES] = str(failures.ignored)
    if len(hostname := f"{name_of(job)}-{index}") <= MAX_HOSTNAME:
        pod["spec"]["hostname"] = hostname
    for field in ("initContainers", "containers"):
        for container in pod["spec"].get(field) or ():
            _add_index_variable(container)
    return pod


def _add_index_variable(container: Object) -> None:
    env = container.setdefault("env", [])
    if not any(e.get("name") == "JOB_COMPLETION_INDEX" for e in env):
        source = {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX}']"}}
        env.append({"name": "JOB_COMPLETION_INDEX", "valueFrom": deepcopy(source)})
