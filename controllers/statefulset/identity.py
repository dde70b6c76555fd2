"""Names, labels and claims of a StatefulSet's pods. Pure.

Source of the rules: the StatefulSet documentation and kubernetes/pkg/controller/statefulset.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from controllers.lib.pods import is_ready, phase_of, pod_from_template
from kubeling.api.meta import Object, is_deleting, labels_of, name_of, namespace_of, owner_reference

REVISION_LABEL = "controller-revision-hash"
POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name"
POD_INDEX_LABEL = "apps.kubernetes.io/pod-index"
_NAME = re.compile(r"(.*)-([0-9]+)$")


def replicas_of(owner: Object) -> int:
    replicas = owner["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)


def start_of(owner: Object) -> int:
    """The first ordinal."""
    return int((owner["spec"].get("ordinals") or {}).get("start") or 0)


def ordinal_of(owner: Object, pod: Object) -> int | None:
    """The pod's ordinal; None for a name that is not of this set."""
    match = _NAME.fullmatch(name_of(pod))
    return int(match.group(2)) if match and match.group(1) == name_of(owner) else None


def pod_name(owner: Object, ordinal: int) -> str:
    return f"{name_of(owner)}-{ordinal}"


def is_created(pod: Object) -> bool:
    return bool((pod.get("status") or {}).get("phase"))


def is_healthy(pod: Object) -> bool:
    """Running, ready, and not on its way out."""
    return phase_of(pod) == "Running" and is_ready(pod) and not is_deleting(pod)


def revision_of(pod: Object) -> str:
    return labels_of(pod).get(REVISION_LABEL, "")


def new_pod(owner: Object, revision_name: str, ordinal: int) -> Object:
    """The pod of an ordinal. ``owner`` carries the template of that revision."""
    pod = pod_from_template(owner, owner["spec"]["template"])
    del pod["metadata"]["generateName"]
    pod["metadata"]["name"] = pod_name(owner, ordinal)
    labels = pod["metadata"].setdefault("labels", {})
    labels[REVISION_LABEL] = revision_name
    pod["spec"]["hostname"] = pod_name(owner, ordinal)
    if owner["spec"].get("serviceName"):
        pod["spec"]["subdomain"] = owner["spec"]["serviceName"]
    return with_identity(owner, pod, ordinal)


def with_identity(owner: Object, pod: Object, ordinal: int) -> Object:
    """The pod with the labels of its ordinal and the volumes of its claims."""
    fixed = deepcopy(pod)
    labels = fixed["metadata"].setdefault("labels", {})
    labels[POD_NAME_LABEL] = pod_name(owner, ordinal)
    labels[POD_INDEX_LABEL] = str(ordinal)
    claims = {template["metadata"]["name"] for template in owner["spec"].get("volumeClaimTemplates") or ()}
    if claims:
        kept = [v for v in fixed["spec"].get("volumes") or () if v["name"] not in claims]
        ours = [
            {"name": name, "persistentVolumeClaim": {"claimName": claim_name(owner, name, ordinal)}}
            for name in sorted(claims)
        ]
        fixed["spec"]["volumes"] = [*ours, *kept]
    return fixed


def identity_matches(owner: Object, pod: Object, ordinal: int) -> bool:
    labels = labels_of(pod)
    return labels.get(POD_NAME_LABEL) == pod_name(owner, ordinal) and labels.get(POD_INDEX_LABEL) == str(ordinal)


def claim_name(owner: Object, template: str, ordinal: int) -> str:
    return f"{template}-{name_of(owner)}-{ordinal}"


def claims_of(owner: Object, ordinal: int) -> list[Object]:
    """The volume claims of an ordinal, as they are to be created."""
    selected = (owner["spec"].get("selector") or {}).get("matchLabels") or {}
    claims = []
    for template in owner["spec"].get("volumeClaimTemplates") or ():
        claim = deepcopy(template)
        claim.pop("status", None)
        metadata = claim["metadata"]
        metadata["labels"] = {**(metadata.get("labels") or {}), **selected}
        metadata["name"] = claim_name(owner, template["metadata"]["name"], ordinal)
        metadata["namespace"] = namespace_of(owner)
        claims.append({"apiVersion": "v1", "kind": "PersistentVolumeClaim", **claim})
    return claims


def claim_owners(owner: Object, claim: Mapping[str, Any], pod: Mapping[str, Any], *, condemned: bool) -> list[Object]:
    """The owner references of a pod's claim under the set's retention policy: the set, the condemned pod, or neither.

    What an earlier set or pod of the name owns, or another controller, is not claimed.
    """
    before: list[Object] = claim["metadata"].get("ownerReferences") or []
    pod = {**pod, "apiVersion": "v1", "kind": "Pod"}
    if is_stale(before, owner) or is_stale(before, pod):
        return before
    policy = owner["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    when_deleted, when_scaled = policy.get("whenDeleted") == "Delete", policy.get("whenScaled") == "Delete"
    others = [o for o in before if not (_refers(o, owner) or _refers(o, pod))]
    wanted: list[Object] = []
    if not ((when_deleted or when_scaled) and any(o.get("controller") for o in others)):
        if when_scaled and condemned:
            wanted = [owner_reference(pod)]
        elif when_deleted:
            wanted = [owner_reference(owner)]
    ours = [o for o in before if o not in others]
    same = [(o["uid"], bool(o.get("controller"))) for o in ours] == [(o["uid"], True) for o in wanted]
    return before if same else [*others, *wanted]


def is_stale(references: Iterable[Object], owner: Mapping[str, Any]) -> bool:
    """True when one of the references names an earlier object of the owner's name."""
    named = (o for o in references if _refers(o, owner))
    return any(o.get("uid") != (owner["metadata"].get("uid") or "") for o in named)


def _refers(reference: Object, owner: Mapping[str, Any]) -> bool:
    told = (reference.get("apiVersion"), reference.get("kind"), reference.get("name"))
    return told == (owner["apiVersion"], owner["kind"], name_of(owner))
