"""What an object takes from a quota, and whether a quota is about it.

Source: documentation "Resource Quotas"; names and wording of k8s.io/kubernetes/pkg/quota/v1.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from kubeling.api import quantity
from kubeling.api.meta import Object, annotations_of
from kubeling.api.podresources import Resources, add, of_container, pod_limits, pod_requests
from kubeling.api.quantity import Quantity
from kubeling.api.selectors import Requirement

ONE = Quantity(Decimal(1))
_STANDARD = ("cpu", "memory", "ephemeral-storage")
_LEGACY_COUNTS = frozenset(
    (
        "configmaps",
        "persistentvolumeclaims",
        "pods",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "services",
    )
)
_CLAIM_CLASS = "volume.beta.kubernetes.io/storage-class"


def count_name(group: str, plural: str) -> str:
    """``count/deployments.apps``, ``count/pods``."""
    return f"count/{plural}.{group}" if group else f"count/{plural}"


def usage(group: str, plural: str, obj: Object) -> Resources:
    """Everything the object takes, by the names that quotas use."""
    found: Resources = {count_name(group, plural): ONE}
    if group:
        return found
    if plural == "pods" and not _counts(obj):
        return found  # a finished pod takes its place in the store and nothing else
    if plural in _LEGACY_COUNTS:
        found[plural] = ONE
    match plural:
        case "pods":
            found |= _pod_usage(obj)
        case "persistentvolumeclaims":
            found |= _claim_usage(obj)
        case "services":
            found |= _service_usage(obj)
    return found


def _counts(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") not in ("Failed", "Succeeded")


def _pod_usage(pod: Object) -> Resources:
    found: Resources = {}
    for name, value in pod_requests(pod).items():
        found[f"requests.{name}"] = value
        if name in _STANDARD or name.startswith("hugepages-"):
            found[name] = value
    for name, value in pod_limits(pod).items():
        found[f"limits.{name}"] = value
    return found


def _claim_class(claim: Object) -> str:
    return annotations_of(claim).get(_CLAIM_CLASS) or (claim.get("spec") or {}).get("storageClassName") or ""


def _claim_usage(claim: Object) -> Resources:
    found: Resources = {}
    storage = (((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}).get("storage")
    prefix = f"{_claim_class(claim)}.storageclass.storage.k8s.io/" if _claim_class(claim) else ""
    if prefix:
        found[prefix + "persistentvolumeclaims"] = ONE
    if storage is not None:
        found["requests.storage"] = quantity.parse(storage)
        if prefix:
            found[prefix + "requests.storage"] = found["requests.storage"]
    return found


def _service_usage(service: Object) -> Resources:
    spec = service.get("spec") or {}
    ports = Quantity(Decimal(len(spec.get("ports") or ())))
    zero = Quantity(Decimal(0))
    found = {"services.nodeports": zero, "services.loadbalancers": zero}
    if spec.get("type") == "NodePort":
        found["services.nodeports"] = ports
    elif spec.get("type") == "LoadBalancer":
        found["services.loadbalancers"] = ONE
        if spec.get("allocateLoadBalancerNodePorts", True):
            found["services.nodeports"] = ports
    return found


def missing_values(pod: Object, names: Iterable[str]) -> str:
    """What the pod's containers must state because a quota limits it: ``limits.memory for: c; requests.cpu for: c``."""
    lacking: dict[str, list[str]] = {}
    spec = pod.get("spec") or {}
    given = (spec.get("resources") or {}).get
    for name in names:
        kind, _, resource = name.partition(".")
        if resource not in ("cpu", "memory") or kind not in ("requests", "limits"):
            if name not in ("cpu", "memory"):
                continue
            kind, resource = "requests", name
        if resource in (given(kind) or {}):
            continue
        for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
            if resource not in of_container(container, kind):
                lacking.setdefault(name, []).append(container.get("name", ""))
    return "; ".join(f"{name} for: {','.join(sorted(set(lacking[name])))}" for name in sorted(lacking))


def in_scopes(quota: Object, plural: str, obj: Object) -> bool:
    """Whether the quota's scopes take the object in; scopes are about pods (and, by class, claims)."""
    spec = quota.get("spec") or {}
    expressions = [{"scopeName": scope, "operator": "Exists"} for scope in spec.get("scopes") or ()]
    expressions += (spec.get("scopeSelector") or {}).get("matchExpressions") or []
    if not expressions:
        return True
    if plural == "pods":
        return all(_pod_in_scope(obj, e) for e in expressions)
    if plural == "persistentvolumeclaims":
        return all(_claim_in_scope(obj, e) for e in expressions)
    return False


def _pod_in_scope(pod: Object, expression: Object) -> bool:
    spec = pod.get("spec") or {}
    match expression.get("scopeName"):
        case "Terminating":
            return (spec.get("activeDeadlineSeconds") or -1) >= 0
        case "NotTerminating":
            return spec.get("activeDeadlineSeconds") is None
        case "BestEffort":
            return _best_effort(pod)
        case "NotBestEffort":
            return not _best_effort(pod)
        case "PriorityClass":
            return _selects(expression, spec.get("priorityClassName") or "")
        case "CrossNamespacePodAffinity":
            return _crosses_namespaces(spec)
    return False


def _claim_in_scope(claim: Object, expression: Object) -> bool:
    if expression.get("scopeName") != "VolumeAttributesClass":
        return False
    return _selects(expression, (claim.get("spec") or {}).get("volumeAttributesClassName") or "")


def _selects(expression: Object, value: str) -> bool:
    operator = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}.get(
        expression.get("operator", ""), "in"
    )
    requirement = Requirement("class", operator, tuple(expression.get("values") or ()))
    return requirement.matches({"class": value} if value else {})


def _best_effort(pod: Object) -> bool:
    total = add(pod_requests(pod), pod_limits(pod))
    return not any(total.get(name) and total[name].value for name in ("cpu", "memory"))


def _crosses_namespaces(spec: Object) -> bool:
    affinity = spec.get("affinity") or {}
    for field in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(field) or {}
        terms = list(rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        preferred = rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [weighted.get("podAffinityTerm") or {} for weighted in preferred]
        if any(t.get("namespaces") or t.get("namespaceSelector") is not None for t in terms):
            return True
    return False
