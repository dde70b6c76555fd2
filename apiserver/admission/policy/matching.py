"""Which requests a policy or a binding is about.

Source: k8s.io/apiserver/pkg/admission/plugin/policy/matching and webhook/predicates.
"""

from __future__ import annotations

from typing import Any

from apiserver.registry.admission import AdmissionAttributes
from kubeling.api.meta import Object
from kubeling.api.resources import NAMESPACES
from kubeling.api.selectors import from_label_selector

_CONFIGURATIONS = frozenset(
    (
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
        "mutatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "validatingwebhookconfigurations",
    )
)


def exempt(attributes: AdmissionAttributes) -> bool:
    """Admission's own configuration is judged by no policy, so that a bad one can be taken away."""
    resource = attributes.resource
    return resource.group == "admissionregistration.k8s.io" and resource.plural in _CONFIGURATIONS


def namespace_of(attributes: AdmissionAttributes) -> Object | None:
    """The namespace of a namespaced request, as far as it is known."""
    if not attributes.namespace or _is_namespace(attributes):
        return None
    return attributes.registries.of(NAMESPACES).cached(attributes.namespace)


def _is_namespace(attributes: AdmissionAttributes) -> bool:
    return not attributes.resource.group and attributes.resource.plural == "namespaces"


def matches(match: Object | None, attributes: AdmissionAttributes) -> bool:
    """``matchConstraints`` of a policy or ``matchResources`` of a binding; nothing said matches everything."""
    if match is None:
        return True
    if not _selected(match, attributes):
        return False
    exact = match.get("matchPolicy") == "Exact"
    if any(_rule(r, attributes, exact) for r in match.get("excludeResourceRules") or ()):
        return False
    rules = match.get("resourceRules")
    return not rules or any(_rule(r, attributes, exact) for r in rules)


def _selected(match: Object, attributes: AdmissionAttributes) -> bool:
    wanted = from_label_selector(match.get("namespaceSelector") or {})
    if not wanted.empty:
        if _is_namespace(attributes):
            if not wanted.matches(_labels(attributes.obj or attributes.old_obj)):
                return False
        elif attributes.namespace and not wanted.matches(_labels(namespace_of(attributes))):
            return False
    selector = from_label_selector(match.get("objectSelector") or {})
    if selector.empty:
        return True
    objects = [o for o in (attributes.obj, attributes.old_obj) if o is not None]
    return any(selector.matches(_labels(o)) for o in objects)


def _labels(obj: Object | None) -> dict[str, str]:
    return ((obj or {}).get("metadata") or {}).get("labels") or {}


def _any(values: Any, *wanted: str) -> bool:
    return any(v == "*" or v in wanted for v in values or ())


def _rule(rule: Object, attributes: AdmissionAttributes, exact: bool) -> bool:
    resource, subresource = attributes.resource, attributes.subresource
    names = rule.get("resourceNames")
    if names and attributes.name not in names:
        return False
    if not _any(rule.get("operations"), attributes.operation) or not _any(rule.get("apiGroups"), resource.group):
        return False
    if exact and not _any(rule.get("apiVersions"), resource.version):
        return False
    scope = rule.get("scope") or "*"
    namespaced = bool(attributes.namespace) and not _is_namespace(attributes)
    if scope != "*" and (scope == "Namespaced") != namespaced:
        return False
    return any(_resource(pattern, resource.plural, subresource) for pattern in rule.get("resources") or ())


def _resource(pattern: str, plural: str, subresource: str) -> bool:
    wanted, _, sub = pattern.partition("/")
    return wanted in ("*", plural) and (sub == subresource or (sub == "*"))
