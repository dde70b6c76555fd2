"""RoleBinding and ClusterRoleBinding: who is granted a role.

Source: k8s.io/kubernetes/pkg/apis/rbac/{v1/defaults,validation}.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from apiserver.kinds.printing import AGE, NAME, age_of, column, described
from apiserver.kinds.strategies import default_to
from apiserver.registry.kind import Column, Context, Kind, Printer, Strategy
from kubeling.api import fields, names
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, name_of
from kubeling.api.resources import CLUSTER_ROLE_BINDINGS, ROLE_BINDINGS

_GROUP = "rbac.authorization.k8s.io"
_SUBJECT_KINDS = ("ServiceAccount", "User", "Group")
_ROLE_REF = Path("roleRef")


class BindingStrategy(Strategy):
    allow_create_on_update = True
    namespaced = True
    role_kinds: tuple[str, ...] = ("Role", "ClusterRole")

    def default(self, obj: Object) -> None:
        default_to(obj.setdefault("roleRef", {}), "apiGroup", _GROUP)
        for subject in obj.get("subjects") or ():
            if subject.get("kind") in ("User", "Group"):
                default_to(subject, "apiGroup", _GROUP)

    def validate_name(self, name: str) -> list[str]:
        return names.is_path_segment_name(name)

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        reference = obj.get("roleRef") or {}
        errors: ErrorList = []
        if reference.get("apiGroup") != _GROUP:
            errors.append(fields.not_supported(_ROLE_REF.child("apiGroup"), reference.get("apiGroup", ""), (_GROUP,)))
        if reference.get("kind") not in self.role_kinds:
            errors.append(fields.not_supported(_ROLE_REF.child("kind"), reference.get("kind", ""), self.role_kinds))
        name = reference.get("name") or ""
        if not name:
            errors.append(fields.required(_ROLE_REF.child("name")))
        else:
            errors += [fields.invalid(_ROLE_REF.child("name"), name, m) for m in names.is_path_segment_name(name)]
        for i, subject in enumerate(obj.get("subjects") or ()):
            errors += _validate_subject(subject, self.namespaced, Path("subjects").index(i))
        return errors

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        errors = self.validate(ctx, obj)
        if obj.get("roleRef") != old.get("roleRef"):
            reference = obj.get("roleRef") or {}
            shown = {field[0].upper() + field[1:]: reference.get(field, "") for field in ("kind", "name")}
            value = {"APIGroup": reference.get("apiGroup", ""), **shown}
            errors.append(fields.invalid(_ROLE_REF, value, "cannot change roleRef"))
        return errors


class ClusterBindingStrategy(BindingStrategy):
    namespaced = False
    role_kinds = ("ClusterRole",)


def _validate_subject(subject: Mapping[str, Any], namespaced: bool, path: Path) -> ErrorList:
    errors: ErrorList = []
    kind, name, group = subject.get("kind", ""), subject.get("name") or "", subject.get("apiGroup") or ""
    if not name:
        errors.append(fields.required(path.child("name")))
    match kind:
        case "ServiceAccount":
            if name:
                errors += [fields.invalid(path.child("name"), name, m) for m in names.is_dns1123_subdomain(name)]
            if group:
                errors.append(fields.not_supported(path.child("apiGroup"), group, ("",)))
            if not namespaced and not subject.get("namespace"):
                errors.append(fields.required(path.child("namespace")))
        case "User" | "Group":
            if group != _GROUP:
                errors.append(fields.not_supported(path.child("apiGroup"), group, (_GROUP,)))
        case _:
            errors.append(fields.not_supported(path.child("kind"), kind, _SUBJECT_KINDS))
    return errors


def _subjects(obj: Object, kind: str) -> str:
    found = [s for s in obj.get("subjects") or () if s.get("kind") == kind]
    if kind == "ServiceAccount":
        return ", ".join(f"{s.get('namespace', '')}/{s.get('name', '')}" for s in found)
    return ", ".join(s.get("name", "") for s in found)


def _row(obj: Object, now: datetime) -> list[Any]:
    reference = obj.get("roleRef") or {}
    role = f"{reference.get('kind', '')}/{reference.get('name', '')}"
    return [
        name_of(obj),
        role,
        age_of(obj, now),
        *(_subjects(obj, kind) for kind in ("User", "Group", "ServiceAccount")),
    ]


def _columns(kind: str, shown: str) -> tuple[Column, ...]:
    wide = (column(name, f"{name} in the {shown}", priority=1) for name in ("Users", "Groups", "ServiceAccounts"))
    # the printer speaks of an older version, whose field may change
    role = described(f"rbac.v1.{kind}", "roleRef").removesuffix(" This field is immutable.")
    return (NAME, column("Role", role), AGE, *wide)


ROLE_BINDING = Kind(ROLE_BINDINGS, BindingStrategy(), Printer(_columns("RoleBinding", "roleBinding"), _row))
CLUSTER_ROLE_BINDING = Kind(
    CLUSTER_ROLE_BINDINGS,
    ClusterBindingStrategy(),
    Printer(_columns("ClusterRoleBinding", "clusterRoleBinding"), _row),
)
