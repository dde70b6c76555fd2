"""Rolling back as the old API groups ask for it: an annotation that names a revision. Pure.

Source: k8s.io/kubernetes/pkg/controller/deployment/rollback.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controllers.deployment.revisions import HASH_LABEL, NOT_COPIED, revision_of, same_template
from kubeling.api.meta import Object, annotations_of, name_of

ROLLBACK_TO = "deprecated.deployment.rollback.to"


@dataclass(frozen=True, slots=True)
class Rollback:
    """The deployment as it is to be written, and the event that tells of it."""

    deployment: Object
    event_type: str
    reason: str
    message: str


def wanted_revision(deployment: Object) -> int | None:
    """The revision asked for, 0 for the last one; None when nothing is asked for."""
    text = annotations_of(deployment).get(ROLLBACK_TO, "")
    return int(text) if text.isascii() and text.removeprefix("-").isdecimal() else None


def roll_back(deployment: Object, replica_sets: Sequence[Object]) -> Rollback | None:
    """What becomes of the wish; None when there is none. The wish is gone afterwards, whatever came of it."""
    revision = wanted_revision(deployment)
    if revision is None:
        return None
    name, cleared = name_of(deployment), _without_wish(deployment)
    if revision == 0:
        revision = _last_revision(replica_sets)
        if revision == 0:
            return _warning(cleared, "DeploymentRollbackRevisionNotFound", "Unable to find last revision.")
    found = next((rs for rs in replica_sets if revision_of(rs) == revision), None)
    if found is None:
        text = "Unable to find the revision to rollback to."
        return _warning(cleared, "DeploymentRollbackRevisionNotFound", text)
    if same_template(found["spec"]["template"], deployment["spec"]["template"]):
        text = f'The rollback revision contains the same template as current deployment "{name}"'
        return _warning(cleared, "DeploymentRollbackTemplateUnchanged", text)
    text = f'Rolled back deployment "{name}" to revision {revision}'
    return Rollback(_as_it_was(cleared, found), "Normal", "DeploymentRollback", text)


def _warning(deployment: Object, reason: str, message: str) -> Rollback:
    return Rollback(deployment, "Warning", reason, message)


def _last_revision(replica_sets: Sequence[Object]) -> int:
    """The one before the highest; 0 without one."""
    revisions = sorted((revision_of(rs) for rs in replica_sets), reverse=True)
    return revisions[1] if len(revisions) > 1 else 0


def _without_wish(deployment: Object) -> Object:
    return _annotated(deployment, {k: v for k, v in annotations_of(deployment).items() if k != ROLLBACK_TO})


def _annotated(deployment: Object, annotations: Mapping[str, Any]) -> Object:
    return {**deployment, "metadata": {**deployment["metadata"], "annotations": dict(annotations)}}


def _as_it_was(deployment: Object, replica_set: Object) -> Object:
    """With the template and the annotations of the ReplicaSet; those that are the deployment's own stay."""
    own = {k: v for k, v in annotations_of(deployment).items() if k in NOT_COPIED}
    then = {k: v for k, v in annotations_of(replica_set).items() if k not in NOT_COPIED}
    template = replica_set["spec"]["template"]
    metadata = template.get("metadata") or {}
    labels = {k: v for k, v in (metadata.get("labels") or {}).items() if k != HASH_LABEL}
    spec = {**deployment["spec"], "template": {**template, "metadata": {**metadata, "labels": labels}}}
    return _annotated({**deployment, "spec": spec}, {**own, **then})
