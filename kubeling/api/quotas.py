"""What objects take from a ResourceQuota, and which quotas are about them. Pure: admission and the controller count alike.

Resources are named as quotas name them: ``pods``, ``deployments.apps``. Source: documentation "Resource Quotas"; names and
rules of k8s.io/kubernetes/pkg/quota/v1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from kubeling.api import devicequotas, quantity
from kubeling.api.devicequotas import CLAIMS, NOTHING, Around
from kubeling.api.meta import Object, annotations_of, parse_time
from kubeling.api.podresources import Resources, pod_level, pod_limits, pod_requests
from kubeling.api.quantity import ZERO, Quantity
from kubeling.api.selectors import Requirement

ONE = Quantity(Decimal(1))

_STANDARD = ("cpu", "memory", "ephemeral-storage")
_COUNTED = (
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
)
_UNCOUNTED = ("events", "events.events.k8s.io")
_SERVICES = ("services.nodeports", "services.loadbalancers")
_STORAGE_CLASS = ".storageclass.storage.k8s.io/"
_CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"


def kinds_of(name: str) -> tuple[str, ...]:
    """The resources whose objects a limit of this name is about; none where nothing is counted by that name."""
    if name.startswith("count/"):
        kind = name.removeprefix("count/")
        return () if kind in _UNCOUNTED else (kind,)
    if name in _COUNTED:
        return (name,)
    if name in _SERVICES:
        return ("services",)
    if name == "requests.storage" or _STORAGE_CLASS in name:
        return ("persistentvolumeclaims",)
    if name.endswith(devicequotas.DEVICES):
        return (CLAIMS,)
    sort, _, resource = name.partition(".")
    if sort == "requests" and _is_extended(resource):
        return ("pods", CLAIMS)
    return ("pods",) if _is_of_pods(sort, resource, name) else ()


def _is_of_pods(sort: str, resource: str, name: str) -> bool:
    if name in _STANDARD or (sort in ("requests", "limits") and resource in _STANDARD):
        return True
    return name.removeprefix("requests.").startswith("hugepages-")


def _is_extended(resource: str) -> bool:
    return resource.startswith(devicequotas.IMPLICIT) or ("/" in resource and "kubernetes.io/" not in resource)


def usage(kind: str, obj: Object, now: datetime, around: Around = NOTHING) -> Resources:
    """Everything that the object takes; for claims, ``around`` tells of the classes and of the pod that it is for."""
    if kind in _UNCOUNTED:
        return {}
    found: Resources = {f"count/{kind}": ONE}
    if kind == "pods" and not _counts(obj, now):
        return found  # it takes its place in the store and nothing else
    if kind in _COUNTED:
        found[kind] = ONE
    match kind:
        case "pods":
            found |= _pod(obj)
        case "persistentvolumeclaims":
            found |= _volume_claim(obj)
        case "services":
            found |= _service(obj.get("spec") or {})
        case _ if kind == CLAIMS:
            taken = devicequotas.devices(obj)
            pod = devicequotas.asker_of(obj, around)
            counted = usage("pods", pod, now) if pod is not None else {}
            found |= taken | devicequotas.as_extended(taken, around.classes(), counted)
    return found


def _counts(pod: Object, now: datetime) -> bool:
    """True until the pod has finished, or should have, long after it was deleted."""
    if (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded"):
        return False
    deleted, grace = pod["metadata"].get("deletionTimestamp"), pod["metadata"].get("deletionGracePeriodSeconds")
    return not deleted or grace is None or parse_time(deleted) + timedelta(seconds=int(grace)) >= now


def _pod(pod: Object) -> Resources:
    found: Resources = {}
    for name, value in pod_requests(pod, observed=True).items():
        if name in _STANDARD or name.startswith("hugepages-"):
            found[name] = found[f"requests.{name}"] = value
        elif _is_extended(name):
            found[f"requests.{name}"] = value
    limits = pod_limits(pod, observed=True)
    return found | {f"limits.{name}": limits[name] for name in _STANDARD if name in limits}


def _volume_claim(claim: Object) -> Resources:
    found: Resources = {}
    spec = claim.get("spec") or {}
    name = annotations_of(claim).get(_CLASS_ANNOTATION, spec.get("storageClassName")) or ""
    if name:
        found[f"{name}{_STORAGE_CLASS}persistentvolumeclaims"] = ONE
    storage = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if storage is not None:
        allocated = ((claim.get("status") or {}).get("allocatedResources") or {}).get("storage")
        size = max(quantity.parse(storage), quantity.parse(allocated or 0), key=lambda q: q.value)
        found["requests.storage"] = size
        if name:
            found[f"{name}{_STORAGE_CLASS}requests.storage"] = size
    return found


def _service(spec: Mapping[str, Any]) -> Resources:
    ports = spec.get("ports") or ()
    if spec.get("type") == "NodePort":
        return {"services.nodeports": Quantity(Decimal(len(ports))), "services.loadbalancers": ZERO}
    if spec.get("type") != "LoadBalancer":
        return {"services.nodeports": ZERO, "services.loadbalancers": ZERO}
    allocates = spec.get("allocateLoadBalancerNodePorts") is not False
    number = sum(allocates or bool(port.get("nodePort")) for port in ports)
    return {"services.nodeports": Quantity(Decimal(number)), "services.loadbalancers": ONE}


def in_scopes(spec: Mapping[str, Any], kind: str, obj: Object) -> bool:
    """Whether the scopes of a quota's spec take the object in; scopes are about pods and, by class, volume claims."""
    named = [{"scopeName": scope, "operator": "Exists"} for scope in spec.get("scopes") or ()]
    chosen = (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    scopes = [*named, *chosen]
    if kind == "pods":
        return all(_takes_pod(scope, obj) for scope in scopes)
    if kind == "persistentvolumeclaims":
        return all(_takes_claim(scope, obj) for scope in scopes)
    return not scopes


def _takes_pod(scope: Mapping[str, Any], pod: Object) -> bool:
    spec = pod.get("spec") or {}
    match scope.get("scopeName"):
        case "Terminating":
            return spec.get("activeDeadlineSeconds") is not None
        case "NotTerminating":
            return spec.get("activeDeadlineSeconds") is None
        case "BestEffort":
            return _is_best_effort(pod)
        case "NotBestEffort":
            return not _is_best_effort(pod)
        case "PriorityClass":
            return _selects(scope, filter(None, [spec.get("priorityClassName")]))
        case "CrossNamespacePodAffinity":
            return _crosses_namespaces(spec)
    return False


def _takes_claim(scope: Mapping[str, Any], claim: Object) -> bool:
    """The classes of a claim: the one it wants, the one it has, and the one it is about to get."""
    if scope.get("scopeName") != "VolumeAttributesClass":
        return False
    status = claim.get("status") or {}
    classes = (
        (claim.get("spec") or {}).get("volumeAttributesClassName"),
        status.get("currentVolumeAttributesClassName"),
        (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName"),
    )
    return _selects(scope, filter(None, classes))


_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


def _selects(scope: Mapping[str, Any], values: Iterable[str]) -> bool:
    requirement = Requirement(
        "class", _OPERATORS.get(scope.get("operator", ""), "in"), tuple(scope.get("values") or ())
    )
    found: list[dict[str, str]] = [{"class": value} for value in values]
    return any(requirement.matches(labels) for labels in found or [{}])


def _is_best_effort(pod: Object) -> bool:
    if known := (pod.get("status") or {}).get("qosClass"):
        return bool(known == "BestEffort")
    spec = pod.get("spec") or {}
    whole = [pod_level(pod, field) for field in ("requests", "limits")]
    if any(whole):
        return not any(given[name].value for given in whole for name in _STANDARD[:2] if name in given)
    containers = (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
    given = [(c.get("resources") or {}).get(field) or {} for c in containers for field in ("requests", "limits")]
    return not any(quantity.parse(g[name]).value for g in given for name in _STANDARD[:2] if name in g)


def _crosses_namespaces(spec: Mapping[str, Any]) -> bool:
    affinity = spec.get("affinity") or {}
    for field in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(field) or {}
        terms = list(rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        preferred = rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [weighted.get("podAffinityTerm") or {} for weighted in preferred]
        if any(t.get("namespaces") or t.get("namespaceSelector") is not None for t in terms):
            return True
    return False
