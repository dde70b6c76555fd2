"""Which ReplicaSet carries the current template, its name, and the annotations that hold the history. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from controllers.deployment import sizes
from controllers.lib.hashing import pod_template_hash
from kubeling.api.meta import (
    Object,
    annotations_of,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    owner_reference,
    uid_of,
)

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
HISTORY_CHARACTERS = 2000
MAX_NAME = 253
NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        "deprecated.deployment.rollback.to",
        REVISION,
        HISTORY,
        sizes.DESIRED,
        sizes.MAX,
        "deployment.kubernetes.io/replicaset-replicas-before-scale",
    }
)


def revision_of(obj: Object) -> int:
    """The revision annotation; 0 where it is missing or no number."""
    text = annotations_of(obj).get(REVISION, "")
    return int(text) if text.lstrip("-").isdigit() else 0


def same_template(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """True when two pod templates differ in nothing but the hash label."""
    return _without_hash(a) == _without_hash(b)


def _without_hash(template: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = template.get("metadata") or {}
    labels = {k: v for k, v in (metadata.get("labels") or {}).items() if k != HASH_LABEL}
    cleaned = {k: v for k, v in metadata.items() if k not in ("labels", "creationTimestamp") and v}
    return {**template, "metadata": {**cleaned, "labels": labels}}


def find_new(deployment: Object, replica_sets: Iterable[Object]) -> Object | None:
    """The oldest ReplicaSet with the deployment's template, or None."""
    template = deployment["spec"]["template"]
    return next((rs for rs in sizes.by_age(replica_sets) if same_template(rs["spec"]["template"], template)), None)


def next_revision(old: Iterable[Object]) -> int:
    return max((revision_of(rs) for rs in old), default=0) + 1


def annotated(deployment: Object, rs: Object, revision: int) -> Object:
    """The ReplicaSet with the deployment's annotations and the revision, its earlier revisions kept as history."""
    before = annotations_of(rs)
    after = {**before, **{k: v for k, v in annotations_of(deployment).items() if k not in NOT_COPIED}}
    if revision_of(rs) < revision:
        after[REVISION] = str(revision)
        if before.get(REVISION):
            after[HISTORY] = _longer_history(before.get(HISTORY, ""), before[REVISION])
    return rs if after == before else {**rs, "metadata": {**rs["metadata"], "annotations": after}}


def _longer_history(history: str, revision: str) -> str:
    known = history.split(",") if history else []
    known.append(revision)
    while len(",".join(known)) > HISTORY_CHARACTERS and len(known) > 1:
        known.pop(0)
    return ",".join(known)


def with_size(deployment: Object, rs: Object, replicas: int) -> Object:
    """The ReplicaSet with that size and the annotations that proportional scaling needs."""
    wanted = sizes.size(deployment)
    marks = {sizes.DESIRED: str(wanted), sizes.MAX: str(wanted + sizes.max_surge(deployment))}
    return {
        **rs,
        "metadata": {**rs["metadata"], "annotations": {**annotations_of(rs), **marks}},
        "spec": {**rs["spec"], "replicas": replicas},
    }


def new_replica_set(deployment: Object, old: Sequence[Object]) -> Object:
    """The ReplicaSet for the deployment's template, as it is to be created."""
    spec = deployment["spec"]
    template = deepcopy(spec["template"])
    hashed = pod_template_hash(template, (deployment.get("status") or {}).get("collisionCount"))
    template["metadata"] = {**(template.get("metadata") or {})}
    template["metadata"]["labels"] = {**(template["metadata"].get("labels") or {}), HASH_LABEL: hashed}
    selector = deepcopy(spec["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: hashed}
    rs: Object = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{name_of(deployment)[: MAX_NAME - len(hashed) - 1]}-{hashed}",
            "namespace": namespace_of(deployment),
            "labels": dict(labels_of({"metadata": template["metadata"]})),
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": {"selector": selector, "template": template},
    }
    if spec.get("minReadySeconds"):
        rs["spec"]["minReadySeconds"] = spec["minReadySeconds"]
    replicas = sizes.size_of_new(deployment, [*old], None)
    return with_size(deployment, annotated(deployment, rs, next_revision(old)), replicas)


def old_ones(replica_sets: Iterable[Object], new: Object | None) -> list[Object]:
    return [rs for rs in replica_sets if new is None or uid_of(rs) != uid_of(new)]


def disposable(old: Sequence[Object], limit: int) -> list[Object]:
    """Old ReplicaSets beyond the history limit, lowest revision first, that are empty and settled."""
    living = [rs for rs in old if not is_deleting(rs)]
    surplus = len(living) - limit
    if surplus <= 0:
        return []
    ordered = sorted(sizes.by_age(living), key=revision_of)
    return [rs for rs in ordered[:surplus] if _is_settled_and_empty(rs)]


def _is_settled_and_empty(rs: Object) -> bool:
    return sizes.count(rs, "replicas") == 0 and sizes.size(rs) == 0 and sizes.is_observed(rs)
