"""Roles and bindings, indexed by subject, following the stored objects.

The index answers "which bindings concern this user" without scanning them all. ``generation`` grows with every change,
so that what was derived from the index can be told stale by one comparison.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from apiserver.authz.rbac.rules import Rule
from apiserver.http.request import User
from apiserver.registry.facade import Registries
from apiserver.serviceaccounts.names import service_account_username
from kubeling.api.meta import Key, Object, key_of
from kubeling.api.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES

_SubjectKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Grant:
    """A binding as it applies to one subject: where, which role, and how an allowing answer describes it."""

    namespace: str
    binding: str
    role_kind: str
    role: str
    position: int
    description: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """The rules of a grant's role; ``error`` says why there are none."""

    grant: Grant
    rules: tuple[Rule, ...]
    error: str = ""


class PolicyIndex:
    """Invariants: ``_bindings`` holds, for each binding, the subject keys under which ``_grants`` lists it."""

    def __init__(self) -> None:
        self.generation = 0
        self._roles: dict[Key, tuple[Rule, ...]] = {}
        self._cluster_roles: dict[str, tuple[Rule, ...]] = {}
        self._grants: dict[_SubjectKey, dict[Key, Grant]] = {}
        self._bindings: dict[Key, tuple[_SubjectKey, ...]] = {}

    def follow(self, registries: Registries) -> None:
        """Keeps the index level with the four kinds from now on."""
        registries.of(ROLES).subscribe(self.role_changed)
        registries.of(CLUSTER_ROLES).subscribe(self.role_changed)
        registries.of(ROLE_BINDINGS).subscribe(self.binding_changed)
        registries.of(CLUSTER_ROLE_BINDINGS).subscribe(self.binding_changed)

    def role_changed(self, old: Object | None, new: Object | None) -> None:
        key = key_of(new or old or {})
        rules = None if new is None else tuple(Rule.compile(r) for r in new.get("rules") or ())
        if key.namespace:
            self._roles.pop(key, None)
            if rules is not None:
                self._roles[key] = rules
        else:
            self._cluster_roles.pop(key.name, None)
            if rules is not None:
                self._cluster_roles[key.name] = rules
        self.generation += 1

    def binding_changed(self, old: Object | None, new: Object | None) -> None:
        key = key_of(new or old or {})
        for subject in self._bindings.pop(key, ()):
            self._grants[subject].pop(key, None)
        if new is not None:
            grants = dict(_grants(key, new))
            for subject, grant in grants.items():
                self._grants.setdefault(subject, {})[key] = grant
            self._bindings[key] = tuple(grants)
        self.generation += 1

    def grants_of(self, user: User) -> list[Grant]:
        """The bindings that name the user: cluster-wide ones first, then by namespace, each by name."""
        found: dict[Key, Grant] = {}
        for subject in (("User", user.name), *(("Group", g) for g in user.groups)):
            for key, grant in self._grants.get(subject, {}).items():
                if key not in found or grant.position < found[key].position:
                    found[key] = grant
        return [found[key] for key in sorted(found)]

    def resolve(self, grant: Grant) -> Resolved:
        rules, error = self.role_rules(grant.role_kind, grant.role, grant.namespace)
        return Resolved(grant, rules, error)

    def role_rules(self, kind: str, name: str, namespace: str) -> tuple[tuple[Rule, ...], str]:
        """The rules of a role reference, or the text of the error that there is no such role."""
        if kind == "ClusterRole":
            rules = self._cluster_roles.get(name)
        elif kind == "Role":
            rules = self._roles.get(Key(namespace, name))
        else:
            return (), f'unsupported role reference kind: "{kind}"'
        if rules is None:
            return (), f'{kind.lower()}.rbac.authorization.k8s.io "{name}" not found'
        return rules, ""


def _grants(key: Key, binding: Object) -> Iterator[tuple[_SubjectKey, Grant]]:
    """The grants of a binding by subject; of a subject named twice the first counts."""
    reference = binding.get("roleRef") or {}
    role_kind, role = reference.get("kind", ""), reference.get("name", "")
    # upstream names the binding as name/namespace
    shown = f'RoleBinding "{key.name}/{key.namespace}"' if key.namespace else f'ClusterRoleBinding "{key.name}"'
    seen: set[_SubjectKey] = set()
    for position, subject in enumerate(binding.get("subjects") or ()):
        kind, name = subject.get("kind", ""), subject.get("name", "")
        described = f'{kind} "{name}"'
        if kind == "ServiceAccount":
            namespace = subject.get("namespace") or key.namespace
            if not namespace:
                continue
            described = f'{kind} "{name}/{namespace}"'
            kind, name = "User", service_account_username(namespace, name)
        if kind not in ("User", "Group") or (kind, name) in seen:
            continue
        seen.add((kind, name))
        description = f'{shown} of {role_kind} "{role}" to {described}'
        yield (kind, name), Grant(key.namespace, key.name, role_kind, role, position, description)
