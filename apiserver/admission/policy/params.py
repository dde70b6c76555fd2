"""The parameter objects that a binding brings to its policy."""

from __future__ import annotations

from apiserver.registry.admission import AdmissionAttributes
from kubeling.api.meta import Object
from kubeling.api.selectors import from_label_selector

NOT_FOUND = "no params found for policy binding with `Deny` parameterNotFoundAction"


class NotConfigured(Exception):
    """The policy or the binding asks for parameters that cannot be had."""


def collect(policy: Object, binding: Object, attributes: AdmissionAttributes) -> list[Object | None]:
    """One evaluation each: [None] where there are no parameters, [] where nothing is to be evaluated. Raises NotConfigured."""
    kind, reference = policy["spec"].get("paramKind"), binding["spec"].get("paramRef")
    if kind is None:
        return [None]
    group = kind.get("apiVersion", "").rpartition("/")[0]
    registry = attributes.registries.find_kind(group, kind.get("kind", ""))
    if registry is None:
        shown = f"{kind.get('apiVersion', '')}, Kind={kind.get('kind', '')}"
        raise NotConfigured(f"failed to configure policy: failed to find resource referenced by paramKind: '{shown}'")
    if reference is None:
        return [None]
    namespace = reference.get("namespace") or ""
    if registry.kind.resource.namespaced:
        namespace = namespace or attributes.namespace
        if not namespace:
            why = "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
            raise NotConfigured(f"failed to configure binding: {why}")
    elif namespace:
        why = "paramRef.namespace must not be provided for a cluster-scoped `paramKind`"
        raise NotConfigured(f"failed to configure binding: {why}")
    if reference.get("name"):
        one = registry.cached(reference["name"], namespace)
        found = [] if one is None else [one]
    else:
        found = registry.cached_list(namespace, from_label_selector(reference.get("selector") or {}))
    if not found and reference.get("parameterNotFoundAction") != "Allow":
        raise NotConfigured(f"failed to configure binding: {NOT_FOUND}")
    return list(found)
