"""What a ResourceClaim takes from a ResourceQuota: devices by class, and the extended resources that the classes offer. Pure.

Source: documentation "Resource Quotas" (Quota for DRA resource claims), k8s.io/kubernetes/pkg/quota/v1/evaluator/core.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from kubeling.api.meta import Object, annotations_of, controller_of, name_of, namespace_of, uid_of
from kubeling.api.podresources import Resources, add, largest
from kubeling.api.quantity import ZERO, Quantity

CLAIMS = "resourceclaims.resource.k8s.io"
DEVICES = ".deviceclass.resource.k8s.io/devices"
IMPLICIT = "deviceclass.resource.kubernetes.io/"
"""Before a class's name: the extended resource that every class offers."""
ALL_DEVICES = 32
"""What a request for all devices of a class may come to: no claim is given more."""
FOR_EXTENDED = "resource.kubernetes.io/extended-resource-claim"
"""The annotation, ``true`` on claims that the scheduler makes for pods that ask for extended resources."""


@dataclass(frozen=True, slots=True)
class Around:
    """What there is besides a claim: all device classes, a pod by namespace and name, the claims of a namespace."""

    classes: Callable[[], Iterable[Object]]
    pod: Callable[[str, str], Object | None]
    claims: Callable[[str], Iterable[Object]]


NOTHING = Around(lambda: (), lambda namespace, name: None, lambda namespace: ())


def devices(claim: Object) -> Resources:
    """By class the most devices that the claim can come to; of alternatives the largest counts."""
    found: Resources = {}
    for request in ((claim.get("spec") or {}).get("devices") or {}).get("requests") or ():
        worst: Resources = {}
        for one in request.get("firstAvailable") or [request.get("exactly") or request]:
            worst = largest(worst, {f"{one.get('deviceClassName', '')}{DEVICES}": _number(one)})
        found = add(found, worst)
    return found


def _number(request: Mapping[str, Any]) -> Quantity:
    if request.get("allocationMode") == "All":
        return Quantity(Decimal(ALL_DEVICES))
    return Quantity(Decimal(int(request.get("count") or 1)))


def as_extended(taken: Resources, classes: Iterable[Object], counted: Resources) -> Resources:
    """The same devices as extended resources, by the names of their classes; less what the pod is ``counted`` for already."""
    offers = {name_of(c): (c.get("spec") or {}).get("extendedResourceName") for c in classes}
    found: Resources = {}
    for name, amount in taken.items():
        of_class = name.removesuffix(DEVICES)
        offered = [IMPLICIT + of_class, *filter(None, (offers.get(of_class),))]
        found |= {f"requests.{resource}": amount for resource in offered}
    left = {name: amount - counted.get(name, ZERO) for name, amount in found.items()}
    return {name: amount for name, amount in left.items() if amount.value > 0}


def asker_of(claim: Object, around: Around) -> Object | None:
    """The pod for whose extended resources the claim was made, as long as it is that pod's only one, or its first."""
    owner = _owner(claim)
    if owner is None:
        return None
    pod = around.pod(namespace_of(claim), owner["name"])
    if pod is None or uid_of(pod) != owner["uid"]:
        return None
    told = (pod.get("status") or {}).get("extendedResourceClaimStatus")
    if told is not None:
        return pod if told.get("resourceClaimName") == name_of(claim) else None
    others = [c for c in around.claims(namespace_of(claim)) if (_owner(c) or {}).get("uid") == owner["uid"]]
    return None if any(_age(other) < _age(claim) for other in others) else pod


def _owner(claim: Object) -> Mapping[str, Any] | None:
    owner = controller_of(claim) if annotations_of(claim).get(FOR_EXTENDED) == "true" else None
    return owner if owner is not None and (owner["apiVersion"], owner["kind"]) == ("v1", "Pod") else None


def _age(claim: Object) -> tuple[str, str]:
    return claim["metadata"].get("creationTimestamp") or "", name_of(claim)
