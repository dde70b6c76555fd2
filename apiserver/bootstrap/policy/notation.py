"""The one-line notation of the policy declarations and the objects it stands for.

A rule reads ``VERBS GROUPS: RESOURCES [NAMES]``; verbs, groups, resources and names are separated by commas, ``core`` is the group
without a name, ``url`` in the group's place makes the resources non-resource URLs::

    get,list,watch core: pods, pods/log
    get,update coordination.k8s.io: leases [kube-scheduler]
    get url: /healthz, /livez

``READ``, ``WRITE``, ``ALL`` and ``CHANGE`` stand for groups of verbs. Every list is sorted, as upstream's rule builder does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from kubeling.api.meta import Object

RBAC_GROUP = "rbac.authorization.k8s.io"
RBAC_VERSION = f"{RBAC_GROUP}/v1"
AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
"""Annotation: ``true`` lets the server repair the object on start."""
EVENTS = "create,patch,update core,events.k8s.io: events"
"""The rule of everyone who records events."""

_VERBS = {
    "READ": ("get", "list", "watch"),
    "WRITE": ("create", "update", "patch", "delete", "deletecollection"),
    "ALL": ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"),
    "CHANGE": ("get", "list", "watch", "update", "patch"),
}
_RULE = re.compile(r"(?P<verbs>\S+) (?P<groups>\S+): (?P<resources>[^\[]+?)(?: \[(?P<names>[^\]]+)\])?")


def _split(text: str) -> list[str]:
    return [item.strip() for item in text.split(",")]


def rule(text: str) -> Object:
    """The ``PolicyRule`` a line stands for. Raises ValueError when it is none."""
    match = _RULE.fullmatch(text)
    if match is None:
        raise ValueError(f"no policy rule: {text!r}")
    verbs = sorted(v for word in _split(match["verbs"]) for v in _VERBS.get(word, (word,)))
    if match["groups"] == "url":
        return {"verbs": verbs, "nonResourceURLs": sorted(_split(match["resources"]))}
    found: Object = {
        "verbs": verbs,
        "apiGroups": sorted("" if g == "core" else g for g in _split(match["groups"])),
        "resources": sorted(_split(match["resources"])),
    }
    if match["names"]:
        found["resourceNames"] = sorted(_split(match["names"]))
    return found


def _metadata(name: str, namespace: str = "", labels: Mapping[str, str] | None = None) -> Object:
    metadata: Object = {
        "name": name,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults", **(labels or {})},
        "annotations": {AUTOUPDATE: "true"},
    }
    if namespace:
        metadata["namespace"] = namespace
    return metadata


def cluster_role(name: str, rules: Iterable[str], labels: Mapping[str, str] | None = None) -> Object:
    return {
        "apiVersion": RBAC_VERSION,
        "kind": "ClusterRole",
        "metadata": _metadata(name, labels=labels),
        "rules": [rule(r) for r in rules],
    }


def aggregate(name: str, label: str, labels: Mapping[str, str] | None = None) -> Object:
    """A ClusterRole whose rules the aggregation controller gathers from the roles with ``label: "true"``."""
    return {
        "apiVersion": RBAC_VERSION,
        "kind": "ClusterRole",
        "metadata": _metadata(name, labels=labels),
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {label: "true"}}]},
        "rules": None,
    }


def role(namespace: str, name: str, rules: Iterable[str]) -> Object:
    return {
        "apiVersion": RBAC_VERSION,
        "kind": "Role",
        "metadata": _metadata(name, namespace),
        "rules": [rule(r) for r in rules],
    }


def subject(text: str) -> Object:
    """A subject from ``user:NAME``, ``group:NAME`` or ``sa:NAMESPACE/NAME``."""
    kind, _, name = text.partition(":")
    if kind == "sa":
        namespace, _, account = name.partition("/")
        return {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    return {"kind": {"user": "User", "group": "Group"}[kind], "apiGroup": RBAC_GROUP, "name": name}


def binding(role_kind: str, role_name: str, subjects: Sequence[str], *, name: str = "", namespace: str = "") -> Object:
    """A ClusterRoleBinding, or with ``namespace`` a RoleBinding; it bears the role's name unless told otherwise."""
    found: Object = {
        "apiVersion": RBAC_VERSION,
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": _metadata(name or role_name, namespace),
        "roleRef": {"apiGroup": RBAC_GROUP, "kind": role_kind, "name": role_name},
    }
    if subjects:
        found["subjects"] = [subject(s) for s in subjects]
    return found
