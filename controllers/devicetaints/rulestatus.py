"""What a DeviceTaintRule's status says: how many pods have to leave devices because of it, or would. Pure.

Source: pkg/controller/devicetainteviction and the API reference of DeviceTaintRuleStatus.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controllers.devicetaints.plan import (
    NO_EXECUTE,
    Tainted,
    allocated,
    claims_of,
    devices_of,
    effect_of,
    eviction_of,
    selects,
)
from controllers.lib.ranking import node_of
from kubeling.api.meta import Object, condition_of, is_deleting, namespace_of, parse_time, rfc3339, uid_of

CONDITION = "EvictionInProgress"
PERIOD = 10.0
"""The least time between two reports of a rule, in seconds."""
_NOTHING_ELSE = (
    "if the effect was NoExecute. This information will not be updated again. "
    "Recreate the DeviceTaintRule to trigger an update."
)


@dataclass(frozen=True, slots=True)
class Seen:
    """The objects that a rule's report is made from."""

    pods: Iterable[Object]
    claims: Iterable[Object]
    slices: Iterable[Object]


def wait_for_report(rule: Object, now: datetime) -> float:
    """Seconds until the rule may be reported on again; 0: now. A changed rule does not wait."""
    known = condition_of(rule, CONDITION)
    if known is None or known.get("observedGeneration") != rule["metadata"].get("generation"):
        return 0.0
    return max(0.0, PERIOD - (now - parse_time(known["lastTransitionTime"])).total_seconds())


def report(rule: Object, seen: Seen, evicted: int, now: datetime) -> Object | None:
    """The condition to write, None where it is right already. ``evicted``: pods that left because of the rule so far."""
    status, reason, message = _judged(rule, seen, evicted, now)
    if evicted:
        message = f"{message} " if message else ""
        message += f"{_counted(evicted, 'pod', 'pods')} evicted since starting the controller."
    wanted = {
        "type": CONDITION,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": rule["metadata"].get("generation"),
    }
    known = condition_of(rule, CONDITION)
    if known is not None and {k: known.get(k) for k in wanted} == wanted:
        return None
    return {**wanted, "lastTransitionTime": rfc3339(now)}


def _judged(rule: Object, seen: Seen, evicted: int, now: datetime) -> tuple[str, str, str]:
    effect = effect_of(rule)
    if effect == NO_EXECUTE:
        pods, where = _pending(rule, seen, now)
        if pods:
            needs = _counted(pods, "pod needs", "pods need")
            return "True", "PodsPendingEviction", f"{needs} to be evicted in {_namespaces(where)}."
        return "False", "Completed" if evicted else "NotStarted", ""
    if effect == "None":
        return "False", "NoEffect", _what_if(rule, seen, now)
    return "False", "OtherEffect", "Eviction only happens for the NoExecute effect."


def _what_if(rule: Object, seen: Seen, now: datetime) -> str:
    """What the rule would do if it evicted."""
    spec = rule["spec"]
    evicting = {**rule, "spec": {**spec, "taint": {**spec["taint"], "effect": NO_EXECUTE}}}
    pods, where = _pending(evicting, seen, now)
    published = sum(selects(rule, device) for device, _ in devices_of(seen.slices))
    used = sum(selects(rule, device) for claim in seen.claims for device, _ in allocated(claim))
    return (
        f"{_counted(published, 'published device', 'published devices')} selected. "
        f"{_counted(used, 'allocated device', 'allocated devices')} selected. "
        f"{_counted(pods, 'pod', 'pods')} would be evicted in {_namespaces(where)} {_NOTHING_ELSE}"
    )


def _pending(rule: Object, seen: Seen, now: datetime) -> tuple[int, int]:
    """How many pods have to go because of the rule, now or later, and in how many namespaces."""
    tainted, claims = Tainted({}, [rule]), list(seen.claims)
    by_pod: dict[Any, list[Object]] = {}
    for claim in claims:
        for reference in (claim.get("status") or {}).get("reservedFor") or ():
            by_pod.setdefault(reference.get("uid"), []).append(claim)
    pending = [
        namespace_of(pod)
        for pod in seen.pods
        if uid_of(pod) in by_pod
        and node_of(pod)
        and not is_deleting(pod)
        and eviction_of(claims_of(pod, by_pod[uid_of(pod)]), tainted, now) is not None
    ]
    return len(pending), len(set(pending))


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _namespaces(number: int) -> str:
    return _counted(number, "namespace", "different namespaces")
