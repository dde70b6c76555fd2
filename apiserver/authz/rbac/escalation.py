"""Whether someone may hand out the rules of a role: only those that they hold themselves.

Source: "Privilege escalation prevention and bootstrapping" of the RBAC reference; the wording of the error is that of
k8s.io/kubernetes/pkg/registry/rbac/validation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import product

from apiserver.authz.rbac.rules import Rule
from apiserver.http.request import User
from kubeling.api.meta import Object

_FIELDS = (
    ("APIGroups", "apiGroups"),
    ("Resources", "resources"),
    ("NonResourceURLs", "nonResourceURLs"),
    ("ResourceNames", "resourceNames"),
    ("Verbs", "verbs"),
)


def breakdown(rule: Object) -> Iterable[Object]:
    """The rule's smallest parts: one group, resource, verb and name each, or one URL and verb."""
    names: Sequence[str | None] = rule.get("resourceNames") or (None,)
    groups, resources = rule.get("apiGroups") or (), rule.get("resources") or ()
    for group, resource, verb, name in product(groups, resources, rule.get("verbs") or (), names):
        part: Object = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
        if name is not None:
            part["resourceNames"] = [name]
        yield part
    for url, verb in product(rule.get("nonResourceURLs") or (), rule.get("verbs") or ()):
        yield {"nonResourceURLs": [url], "verbs": [verb]}


def _covers(owner: Rule, part: Object) -> bool:
    verb = part["verbs"][0]
    if not owner.covers_verb(verb):
        return False
    if "nonResourceURLs" in part:
        return _covers_url(owner, part["nonResourceURLs"][0])
    group, (resource, _, subresource) = part["apiGroups"][0], part["resources"][0].partition("/")
    if not owner.covers_resource(verb, group, resource, subresource):
        return False
    return owner.names is None or ("resourceNames" in part and part["resourceNames"][0] in owner.names)


def _covers_url(owner: Rule, url: str) -> bool:
    return url in owner.urls or any(url.startswith(prefix) for prefix in owner.url_prefixes)


def missing(owners: Sequence[Rule], wanted: Iterable[Object]) -> list[Object]:
    """The parts of the wanted rules that no owned rule covers."""
    return [p for rule in wanted for p in breakdown(rule) if not any(_covers(owner, p) for owner in owners)]


def _compact(parts: Sequence[Object]) -> list[Object]:
    """Parts that differ in their verb alone, drawn together."""
    merged: dict[tuple[str, ...], Object] = {}
    found: list[Object] = []
    for part in parts:
        if "nonResourceURLs" in part:
            found.append(part)
            continue
        key = (part["apiGroups"][0], part["resources"][0], *part.get("resourceNames", ()))
        if key in merged:
            merged[key]["verbs"] += part["verbs"]
        else:
            merged[key] = {**part, "verbs": list(part["verbs"])}
            found.append(merged[key])
    return found


def _list(values: Iterable[str]) -> str:
    return "[" + " ".join(json.dumps(v, ensure_ascii=False) for v in values) + "]"


def _describe(rule: Object) -> str:
    return "{" + ", ".join(f"{shown}:{_list(rule[field])}" for shown, field in _FIELDS if rule.get(field)) + "}"


def escalation(user: User, owned: Sequence[Rule], problems: Sequence[str], wanted: Iterable[Object]) -> str:
    """Why the user may not grant the wanted rules; empty when they may."""
    lacking = missing(owned, wanted)
    if not lacking:
        return ""
    described = "\n".join(sorted({_describe(rule) for rule in _compact(lacking)}))
    name = json.dumps(user.name, ensure_ascii=False)
    text = f"user {name} (groups={_list(user.groups)}) is attempting to grant RBAC permissions not currently held:\n{described}"
    if problems:
        text += f"; resolution errors: [{' '.join(problems)}]"
    return text
