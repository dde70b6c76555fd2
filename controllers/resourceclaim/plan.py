"""What becomes of a pod's claims and of a claim: pure. Source: pkg/controller/resourceclaim."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

from controllers.lib.pods import is_finished
from controllers.lib.ranking import node_of
from kubeling.api.meta import (
    Object,
    annotations_of,
    controller_of,
    is_controlled_by,
    is_deleting,
    name_of,
    namespace_of,
    owner_reference,
    uid_of,
)

FINALIZER = "resource.kubernetes.io/delete-protection"
LONGEST_BASE = 57  # a name has 63 characters, five of them random
POD_CLAIM = "resource.kubernetes.io/pod-claim-name"


def is_done(pod: Object) -> bool:
    """Whether the pod will never (again) use its claims: it has ended, or goes before it got a node."""
    return is_finished(pod) or (is_deleting(pod) and not node_of(pod))


def claim_names(pod: Object) -> dict[str, str]:
    """The claim of each of the pod's entries, as far as it is known; an entry that needs none is left out."""
    statuses = {
        s["name"]: s.get("resourceClaimName") for s in (pod.get("status") or {}).get("resourceClaimStatuses") or ()
    }
    found: dict[str, str] = {}
    for entry in pod["spec"].get("resourceClaims") or ():
        name = entry.get("resourceClaimName") or statuses.get(entry["name"])
        if name:
            found[entry["name"]] = name
    return found


def needless(pod: Object) -> set[str]:
    """The entries for which it was found that no claim is needed."""
    statuses = (pod.get("status") or {}).get("resourceClaimStatuses") or ()
    return {s["name"] for s in statuses if not s.get("resourceClaimName")}


def special_claim_names(pod: Object) -> list[str]:
    """The claim, if any, that the scheduler has made for extended resources."""
    name = ((pod.get("status") or {}).get("extendedResourceClaimStatus") or {}).get("resourceClaimName")
    return [name] if name else []


def made_for(pod: Object, entry: str, claims: Iterable[Object]) -> Object | None:
    """The claim that was made for an entry of the pod."""
    return next((c for c in claims if is_controlled_by(c, pod) and annotations_of(c).get(POD_CLAIM) == entry), None)


def claim_from(pod: Object, entry: str, template: Object) -> Object:
    """The claim for an entry; the server finds its name."""
    spec, base = template["spec"], f"{name_of(pod)}-{entry}-"
    if len(base) > LONGEST_BASE:  # each part gives its share
        pod_part, entry_part = (text[: len(text) * LONGEST_BASE // len(base)] for text in (name_of(pod), entry))
        base = f"{pod_part}-{entry_part}-"
    metadata = {k: deepcopy(v) for k, v in (spec.get("metadata") or {}).items() if k in ("labels", "annotations")}
    return {
        "metadata": {
            **metadata,
            "generateName": base,
            "namespace": namespace_of(pod),
            "annotations": {**(metadata.get("annotations") or {}), POD_CLAIM: entry},
            "ownerReferences": [owner_reference({"apiVersion": "v1", "kind": "Pod", **pod})],
        },
        "spec": deepcopy(spec["spec"]),
    }


def needs_reservation(pod: Object, claim: Object) -> bool:
    """A pod that came to its node without the scheduler: the claim, allocated already, has to be reserved for it."""
    status = claim.get("status") or {}
    reserved = any(r.get("uid") == uid_of(pod) for r in status.get("reservedFor") or ())
    return bool(node_of(pod)) and status.get("allocation") is not None and not reserved


@dataclass(frozen=True, slots=True)
class ClaimPlan:
    """``status``: to write, None to leave; ``unprotect``: take the finalizer away; ``delete``: its pod has ended."""

    status: Object | None = None
    unprotect: bool = False
    delete: bool = False


def consumers(claim: Object, pods: Mapping[str, Object | None]) -> list[Object]:
    """The reservations that still hold. ``pods``: by uid, for every reservation of a pod; None for one that is gone."""
    return [
        reference
        for reference in (claim.get("status") or {}).get("reservedFor") or ()
        if not _is_pod(reference) or ((pod := pods.get(reference["uid"])) is not None and not is_done(pod))
    ]


def _is_pod(reference: Object) -> bool:
    return not reference.get("apiGroup") and reference.get("resource") == "pods"


def pod_references(claim: Object) -> list[Object]:
    return [r for r in (claim.get("status") or {}).get("reservedFor") or () if _is_pod(r)]


def plan_claim(claim: Object, pods: Mapping[str, Object | None], owner: Object | None) -> ClaimPlan:
    """``owner``: the pod that has the name of the one that the claim was made for, if there is one.

    A claim that nobody uses any more gives its devices back: whoever comes next may get better ones elsewhere. The finalizer of
    one that nobody has used yet is left alone: the scheduler sets it first, then the allocation.
    """
    status = claim.get("status") or {}
    before: Sequence[Object] = status.get("reservedFor") or ()
    valid = consumers(claim, pods)
    changed = dict(status)
    protected = FINALIZER in (claim["metadata"].get("finalizers") or ())
    ends = not valid and (bool(before) or is_deleting(claim))
    if valid:
        changed["reservedFor"] = valid
    else:
        changed.pop("reservedFor", None)
    if ends and protected:
        changed.pop("allocation", None)
    ended = owner is not None and (uid_of(owner) != owner_uid(claim) or is_done(owner))
    delete = not valid and not is_deleting(claim) and ended
    return ClaimPlan(changed if changed != status else None, ends and protected, delete)


def owner_uid(claim: Object) -> str:
    """The uid of the pod that the claim was made for, empty for any other claim."""
    owner = controller_of(claim)
    is_pod = owner is not None and owner.get("kind") == "Pod" and owner.get("apiVersion") == "v1"
    return owner["uid"] if owner is not None and is_pod else ""
