"""Which flow schema a request belongs to.

Source: flowcontrol.apiserver.k8s.io/v1 FlowSchema and k8s.io/apiserver/pkg/util/flowcontrol/rule.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from apiserver.http.request import RequestInfo, User
from apiserver.serviceaccounts.names import service_account_of
from kubeling.api.meta import Object

_ALL = "*"


def precedence(schema: Object) -> tuple[int, str]:
    """Sort key: the lowest comes first; equal ones go by name."""
    return int((schema.get("spec") or {}).get("matchingPrecedence") or 1000), schema["metadata"]["name"]


def matches(schema: Object, user: User, info: RequestInfo) -> bool:
    """Whether one of the schema's rules is about both the user and what is asked."""
    for rule in (schema.get("spec") or {}).get("rules") or ():
        if any(_is(subject, user) for subject in rule.get("subjects") or ()) and _about(rule, info):
            return True
    return False


def _is(subject: Mapping[str, Any], user: User) -> bool:
    match subject.get("kind"):
        case "User":
            return _one(subject["user"]["name"], user.name)
        case "Group":
            wanted = subject["group"]["name"]
            return wanted == _ALL or wanted in user.groups
        case "ServiceAccount":
            account, found = subject["serviceAccount"], service_account_of(user.name)
            return found is not None and found[0] == account["namespace"] and _one(account["name"], found[1])
    return False


def _one(wanted: str, value: str) -> bool:
    return wanted in (_ALL, value)


def _about(rule: Mapping[str, Any], info: RequestInfo) -> bool:
    if info.is_resource:
        return any(_about_resource(r, info) for r in rule.get("resourceRules") or ())
    return any(
        _among(r.get("verbs"), info.verb) and _about_path(r.get("nonResourceURLs") or (), info.path)
        for r in rule.get("nonResourceRules") or ()
    )


def _about_resource(rule: Mapping[str, Any], info: RequestInfo) -> bool:
    combined = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    if not (_among(rule.get("verbs"), info.verb) and _among(rule.get("apiGroups"), info.group)):
        return False
    if not _among(rule.get("resources"), combined):
        return False
    if not info.namespace:
        return bool(rule.get("clusterScope"))
    return _among(rule.get("namespaces"), info.namespace)


def _among(wanted: Iterable[str] | None, value: str) -> bool:
    return any(w in (_ALL, value) for w in wanted or ())


def _about_path(wanted: Sequence[str], path: str) -> bool:
    return any(w in (_ALL, path) or (w.endswith("*") and path.startswith(w[:-1])) for w in wanted)


def distinguisher(schema: Object, user: User, info: RequestInfo) -> str:
    """What tells the flows of a schema apart: user, namespace or nothing."""
    match ((schema.get("spec") or {}).get("distinguisherMethod") or {}).get("type"):
        case "ByUser":
            return user.name
        case "ByNamespace":
            return info.namespace
    return ""
