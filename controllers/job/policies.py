"""podFailurePolicy and successPolicy: what a failed pod means, and when a job has succeeded early. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from controllers.job import indexes
from kubeling.api.meta import Object, name_of, namespace_of


class Match(NamedTuple):
    """``action``: FailJob, FailIndex, Ignore or Count; ``message`` tells why the job fails."""

    action: str
    message: str = ""


COUNT = Match("Count")


def match_failure(job: Mapping[str, Any], pod: Object) -> Match:
    """The first rule of the job's podFailurePolicy that the failed pod matches."""
    rules = (job["spec"].get("podFailurePolicy") or {}).get("rules") or ()
    for number, rule in enumerate(rules):
        what = _exit_code(rule, pod) if rule.get("onExitCodes") else _condition(rule, pod)
        if what:
            return Match(rule["action"], f"{what} matching {rule['action']} rule at index {number}")
    return COUNT


def _exit_code(rule: Mapping[str, Any], pod: Object) -> str:
    wanted, status = rule["onExitCodes"], pod.get("status") or {}
    statuses = [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]
    for container in statuses:
        code = ((container.get("state") or {}).get("terminated") or {}).get("exitCode") or 0
        if code == 0 or wanted.get("containerName", container["name"]) != container["name"]:
            continue
        if (code in wanted["values"]) == (wanted["operator"] == "In"):
            where = f"{namespace_of(pod)}/{name_of(pod)}"
            return f"Container {container['name']} for pod {where} failed with exit code {code}"
    return ""


def _condition(rule: Mapping[str, Any], pod: Object) -> str:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    for pattern in rule.get("onPodConditions") or ():
        for condition in conditions:
            if (condition["type"], condition["status"]) == (pattern["type"], pattern.get("status") or "True"):
                return f"Pod {namespace_of(pod)}/{name_of(pod)} has condition {condition['type']}"
    return ""


def match_success(job: Mapping[str, Any], succeeded: set[int]) -> str:
    """``Matched rules at index N`` for the first rule of the successPolicy that holds; else empty."""
    completions = int(job["spec"].get("completions") or 0)
    for number, rule in enumerate((job["spec"].get("successPolicy") or {}).get("rules") or ()):
        counted = succeeded
        enough = rule.get("succeededCount")
        if rule.get("succeededIndexes") is not None:
            wanted = indexes.parse(rule["succeededIndexes"], completions)
            counted = succeeded & wanted
            enough = len(wanted) if enough is None else enough
        if enough is not None and len(counted) >= int(enough):
            return f"Matched rules at index {number}"
    return ""
