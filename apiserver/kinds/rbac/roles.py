"""Role and ClusterRole: rules about resources and, cluster-wide, URLs.

Source: k8s.io/kubernetes/pkg/apis/rbac/validation. Who may write which rules is the admission plugin RBACEscalation's affair.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.kinds.validation.selectors import validate_label_selector
from apiserver.registry.kind import Context, Kind, Strategy
from kubeling.api import fields, names
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object
from kubeling.api.resources import CLUSTER_ROLES, ROLES

_RULES = Path("rules")


class RoleStrategy(Strategy):
    allow_create_on_update = True
    namespaced = True

    def default(self, obj: Object) -> None:
        if not obj.get("rules"):
            obj["rules"] = None  # the field is no optional one: without rules it shows as null

    def validate_name(self, name: str) -> list[str]:
        return names.is_path_segment_name(name)

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return [
            error
            for i, rule in enumerate(obj.get("rules") or ())
            for error in validate_rule(rule, self.namespaced, _RULES.index(i))
        ]


class ClusterRoleStrategy(RoleStrategy):
    namespaced = False

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return super().validate(ctx, obj) + _validate_aggregation(obj)


def validate_rule(rule: Mapping[str, Any], namespaced: bool, path: Path) -> ErrorList:
    """Everything wrong with a policy rule; ``namespaced`` forbids URLs."""
    errors: ErrorList = []
    if not rule.get("verbs"):
        errors.append(fields.required(path.child("verbs"), "verbs must contain at least one value"))
    urls = rule.get("nonResourceURLs")
    if urls:
        at = path.child("nonResourceURLs")
        if namespaced:
            errors.append(fields.invalid(at, urls, "namespaced rules cannot apply to non-resource URLs"))
        if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
            errors.append(
                fields.invalid(at, urls, "rules cannot apply to both regular resources and non-resource URLs")
            )
        return errors
    if not rule.get("apiGroups"):
        errors.append(fields.required(path.child("apiGroups"), "resource rules must supply at least one api group"))
    if not rule.get("resources"):
        errors.append(fields.required(path.child("resources"), "resource rules must supply at least one resource"))
    return errors


def _validate_aggregation(obj: Object) -> ErrorList:
    if obj.get("aggregationRule") is None:
        return []
    path = Path("aggregationRule", "clusterRoleSelectors")
    selectors = obj["aggregationRule"].get("clusterRoleSelectors")
    if not selectors:
        return [fields.required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil")]
    errors: ErrorList = []
    for i, selector in enumerate(selectors):
        found = validate_label_selector(selector, path.index(i))
        errors += found
        if found:
            errors.append(fields.invalid(path.index(i), None, "invalid label selector."))
    return errors


# neither has columns of its own
ROLE = Kind(ROLES, RoleStrategy())
CLUSTER_ROLE = Kind(CLUSTER_ROLES, ClusterRoleStrategy())
