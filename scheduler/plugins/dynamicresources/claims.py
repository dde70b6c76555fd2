"""The claims of a pod: which they are, whether it can have them at all, and where one that is allocated is no use. Pure."""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime, timedelta

from kubeling.api.meta import Object, controller_of, is_deleting, name_of, parse_time, uid_of
from scheduler.framework.status import Rejection, reject
from scheduler.model.node import NodeInfo
from scheduler.model.pod import PodInfo
from scheduler.model.snapshot import Listers, Snapshot
from scheduler.plugins.dynamicresources.binding import readiness_of, waits_for_binding
from scheduler.plugins.dynamicresources.devices import selects

MOST_CONSUMERS = 256


def allocation_in(claim: Object) -> Object | None:
    found: Object | None = (claim.get("status") or {}).get("allocation")
    return found


def made_claims(pod: PodInfo) -> dict[str, str | None]:
    """The claims that were made from the pod's templates, by the name of its entry."""
    statuses = (pod.obj.get("status") or {}).get("resourceClaimStatuses") or ()
    return {s["name"]: s.get("resourceClaimName") for s in statuses}


def not_made(pod: PodInfo) -> Rejection:
    return reject(f'pod "{pod.namespace}/{pod.key.name}": ResourceClaim not created yet', final=True)


def claims_of(pod: PodInfo, snapshot: Snapshot, pending: Container[str]) -> list[Object] | Rejection:
    """The pod's claims, or why it has to wait. ``pending``: uids of claims that are being allocated for other pods."""
    found = existing_claims(pod, snapshot.listers)
    if isinstance(found, Rejection):
        return found
    return next((p for p in (_unusable(claim, pod, pending) for claim in found) if p is not None), found)


def existing_claims(pod: PodInfo, listers: Listers) -> list[Object] | Rejection:
    """The pod's claims, or which of them it has to wait for."""
    made = made_claims(pod)
    found: list[Object] = []
    for entry in pod.spec.get("resourceClaims") or ():
        name = entry.get("resourceClaimName") or made.get(entry["name"])
        if not name and entry["name"] in made:
            continue  # the template's controller found that none is needed
        if not name:
            return not_made(pod)
        claim = listers.get("ResourceClaim", name, pod.namespace)
        if claim is None:
            return reject(f'resourceclaim.resource.k8s.io "{name}" not found', final=True)
        if is_deleting(claim):
            return reject(f'resourceclaim "{name}" is being deleted', final=True)
        if not entry.get("resourceClaimName") and not _is_made_for(claim, pod):
            text = f"ResourceClaim {pod.namespace}/{name} was not created for pod {pod.namespace}/{pod.key.name} "
            return reject(f"{text}(pod is not owner)", final=True)
        found.append(claim)
    return found


def _is_made_for(claim: Object, pod: PodInfo) -> bool:
    owner = controller_of(claim)
    return owner is not None and owner.get("uid") == pod.uid


def _unusable(claim: Object, pod: PodInfo, pending: Container[str]) -> Rejection | None:
    if allocation_in(claim) is None:
        if uid_of(claim) in pending:
            text = f"resource claim {pod.namespace}/{name_of(claim)} is in the process of being allocated"
            return reject(text, final=True)
        return None
    users = _users(claim)
    if pod.uid not in users and len(users) >= MOST_CONSUMERS:
        return reject("resourceclaim in use", final=True)
    return None


def _users(claim: Object) -> list[str]:
    return [r.get("uid", "") for r in (claim.get("status") or {}).get("reservedFor") or ()]


def is_free_for(claim: Object, pod: PodInfo) -> bool:
    """Whether nobody else uses the claim, so that its devices may be given back."""
    return not set(_users(claim)) - {pod.uid}


def is_unavailable(claim: Object, node: NodeInfo, now: datetime, patience: float) -> bool:
    """Whether what the claim has is of no use on the node: it is elsewhere, cannot be made ready, or takes too long to be."""
    allocation = allocation_in(claim)
    if allocation is None:
        return False
    if allocation.get("nodeSelector") and not selects(allocation["nodeSelector"], node):
        return True
    found = readiness_of([claim])
    return bool(found.failure) or (not found.ready and is_late(allocation, now, patience))


def is_late(allocation: Object, now: datetime, patience: float) -> bool:
    """Whether the allocation's devices had their time to become ready (seconds)."""
    since = allocation.get("allocationTimestamp")
    if not since or not waits_for_binding(allocation):
        return False
    return parse_time(since) + timedelta(seconds=patience) < now
