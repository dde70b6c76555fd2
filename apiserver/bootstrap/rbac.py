"""Bringing stored roles and bindings up to the default policy: what is missing is added, what was added by others stays.

Source: documentation "Auto-reconciliation" of the RBAC reference.
"""

from __future__ import annotations

from collections.abc import Mapping

from apiserver.authz.rbac.escalation import missing
from apiserver.authz.rbac.rules import Rule
from apiserver.bootstrap.policy.notation import AUTOUPDATE
from kubeling.api.meta import Object, annotations_of


def reconciled_role(stored: Object, wanted: Object) -> Object | None:
    """The stored role with the default's labels, annotations, rules and selectors; None when nothing is missing."""
    if _protected(stored):
        return None
    changed = {**stored, "metadata": _metadata(stored, wanted)}
    selectors = (wanted.get("aggregationRule") or {}).get("clusterRoleSelectors") or []
    if selectors:
        present = (stored.get("aggregationRule") or {}).get("clusterRoleSelectors") or []
        changed["aggregationRule"] = {"clusterRoleSelectors": present + [s for s in selectors if s not in present]}
    else:
        present = stored.get("rules") or []
        owned = [Rule.compile(rule) for rule in present]
        lacking = [rule for rule in wanted.get("rules") or [] if missing(owned, [rule])]
        changed["rules"] = [*present, *lacking]
        if not changed["rules"]:
            changed["rules"] = stored.get("rules")
    return None if changed == stored else changed


def reconciled_binding(stored: Object, wanted: Object) -> Object | None:
    """The stored binding with the default's subjects; None when nothing is missing.

    A binding to another role cannot be changed (see ``replaces_role``).
    """
    if _protected(stored):
        return None
    present = stored.get("subjects") or []
    subjects = present + [s for s in wanted.get("subjects") or [] if s not in present]
    changed = {**stored, "metadata": _metadata(stored, wanted)}
    if subjects:
        changed["subjects"] = subjects
    return None if changed == stored else changed


def replaces_role(stored: Object, wanted: Object) -> bool:
    """Whether a binding must be made anew because it refers to another role than the default does."""
    return not _protected(stored) and stored.get("roleRef") != wanted.get("roleRef")


def _protected(stored: Object) -> bool:
    return annotations_of(stored).get(AUTOUPDATE) == "false"


def _metadata(stored: Object, wanted: Object) -> Object:
    metadata: Object = dict(stored["metadata"])
    for field in ("labels", "annotations"):
        defaults: Mapping[str, str] = wanted["metadata"].get(field) or {}
        metadata[field] = {**defaults, **(metadata.get(field) or {})}
    return metadata
