"""What the objects of a namespace use of a quota. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from controllers.quota import podusage
from controllers.quota.podusage import Usage
from kubeling.api.meta import Object, annotations_of
from kubeling.api.quantity import ZERO, parse

Objects = Callable[[str], Sequence[Object]]
"""The objects of the namespace by resource, as ``deployments.apps`` or ``pods``."""

# plain names that count objects
_COUNTED = ("configmaps", "secrets", "replicationcontrollers", "resourcequotas", "services", "persistentvolumeclaims")
_STORAGE_CLASS = ".storageclass.storage.k8s.io/"
_BETA_CLASS = "volume.beta.kubernetes.io/storage-class"


def kinds_of(hard: Iterable[str]) -> set[str]:
    """The resources that must be known to work out these limits."""
    found = set()
    for name in hard:
        if name.startswith("count/"):
            found.add(name.removeprefix("count/"))
        elif name in _COUNTED:
            found.add(name)
        elif name.startswith("services."):
            found.add("services")
        elif name == "requests.storage" or _STORAGE_CLASS in name:
            found.add("persistentvolumeclaims")
        else:
            found.add("pods")
    return found


def used_of(quota: Object, objects: Objects, now: datetime) -> dict[str, str]:
    """``status.used`` for all limits of the quota's spec."""
    hard = quota["spec"].get("hard") or {}
    used: Usage = dict.fromkeys(hard, ZERO)
    scoped = bool(quota["spec"].get("scopes") or quota["spec"].get("scopeSelector"))
    for kind in kinds_of(hard):
        for obj in objects(kind):
            if scoped and (kind != "pods" or not podusage.in_scopes(obj, quota["spec"])):
                continue
            for name, quantity in _usage(kind, obj, now).items():
                if name in used:
                    used[name] = used[name] + quantity
    return {name: str(quantity) for name, quantity in used.items()}


def _usage(kind: str, obj: Object, now: datetime) -> Usage:
    if kind == "pods":
        return podusage.usage(obj, now)
    used: Usage = {f"count/{kind}": parse(1), kind: parse(1)}
    if kind == "services":
        used.update(_service(obj["spec"]))
    elif kind == "persistentvolumeclaims":
        used.update(_claim(obj))
    return used


def _service(spec: Mapping[str, object]) -> Usage:
    ports = spec.get("ports") or ()
    assert isinstance(ports, list | tuple)
    if spec.get("type") == "NodePort":
        return {"services.nodeports": parse(len(ports))}
    if spec.get("type") == "LoadBalancer":
        allocates = spec.get("allocateLoadBalancerNodePorts") is not False
        number = sum(allocates or bool(p.get("nodePort")) for p in ports)
        return {"services.nodeports": parse(number), "services.loadbalancers": parse(1)}
    return {}


def _claim(claim: Object) -> Usage:
    size = parse(((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage") or 0)
    allocated = ((claim.get("status") or {}).get("allocatedResources") or {}).get("storage")
    if allocated is not None:
        size = max(size, parse(allocated), key=lambda q: q.value)
    storage_class = annotations_of(claim).get(_BETA_CLASS) or claim["spec"].get("storageClassName") or ""
    used: Usage = {"requests.storage": size}
    if storage_class:
        used[f"{storage_class}{_STORAGE_CLASS}requests.storage"] = size
        used[f"{storage_class}{_STORAGE_CLASS}persistentvolumeclaims"] = parse(1)
    return used
