"""RBACEscalation: nobody hands out rights that they do not hold themselves.

Upstream checks this in the storage of the RBAC kinds; here it is the last mutating step, always on where RBAC authorizes.
Source: "Privilege escalation prevention and bootstrapping" of the RBAC reference.
"""

from __future__ import annotations

from apiserver.authz.rbac.authorizer import RbacAuthorizer, aggregate
from apiserver.authz.rbac.escalation import escalation
from apiserver.http.protocols import Attributes, Authorizer
from apiserver.registry.admission import AdmissionAttributes, NoAdmission
from kubeling.api import errors
from kubeling.api.meta import Object

_GROUP = "rbac.authorization.k8s.io"
_ROLES = ("roles", "clusterroles")
_BINDINGS = ("rolebindings", "clusterrolebindings")
_FULL_AUTHORITY: list[Object] = [
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
]


class RbacEscalation(NoAdmission):
    name = "RBACEscalation"

    def __init__(self, authorizer: Authorizer, rbac: RbacAuthorizer) -> None:
        self._authorizer = authorizer
        self._rbac = rbac

    def handles(self, attributes: AdmissionAttributes) -> bool:
        return (
            attributes.resource.group == _GROUP
            and attributes.operation in ("CREATE", "UPDATE")
            and "system:masters" not in attributes.user.groups
        )

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        if attributes.obj is None or _same_rights(attributes.obj, attributes.old_obj):
            return
        if attributes.resource.plural in _ROLES:
            await self._role(attributes, attributes.obj)
        elif attributes.resource.plural in _BINDINGS:
            await self._binding(attributes, attributes.obj)

    async def _role(self, attributes: AdmissionAttributes, role: Object) -> None:
        name = "" if attributes.operation == "CREATE" else attributes.name  # the request's path names no object yet
        if await self._may(attributes, "escalate", attributes.resource.plural, name):
            return
        self._confirm(attributes, role.get("rules") or [])
        if any(obj and obj.get("aggregationRule") for obj in (role, attributes.old_obj)):
            self._confirm(attributes, _FULL_AUTHORITY, "must have cluster-admin privileges to use an aggregationRule: ")

    async def _binding(self, attributes: AdmissionAttributes, binding: Object) -> None:
        reference = binding.get("roleRef") or {}
        kind, name = reference.get("kind", ""), reference.get("name", "")
        if await self._may(attributes, "bind", "clusterroles" if kind == "ClusterRole" else "roles", name):
            return
        rules, problem = self._rbac.index.role_rules(kind, name, attributes.namespace)
        if problem:
            raise errors.not_found(_GROUP, f"{kind.lower()}s", name)
        self._confirm(attributes, [rule.source for rule in rules])

    async def _may(self, attributes: AdmissionAttributes, verb: str, resource: str, name: str) -> bool:
        question = Attributes(
            attributes.user,
            verb,
            group=_GROUP,
            version="*",
            resource=resource,
            namespace=attributes.namespace,
            name=name,
        )
        return (await self._authorizer.authorize(question)).allowed

    def _confirm(self, attributes: AdmissionAttributes, rules: list[Object], prefix: str = "") -> None:
        owned, problems = self._rbac.resolve(attributes.user, attributes.namespace)
        found = aggregate([p.replace("role.rbac", "roles.rbac", 1) for p in problems])
        why = escalation(attributes.user, owned, [found] if found else [], rules)
        if why:
            name = ((attributes.obj or {}).get("metadata") or {}).get("name") or attributes.name
            raise errors.forbidden(_GROUP, attributes.resource.plural, name, prefix + why)


def _same_rights(new: Object, old: Object | None) -> bool:
    """Whether an update leaves everything but metadata alone, as the garbage collector's do."""
    if old is None:
        return False
    return all(new.get(k) == old.get(k) for k in (new.keys() | old.keys()) - {"metadata", "apiVersion", "kind"})
