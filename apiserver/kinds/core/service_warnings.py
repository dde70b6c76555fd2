"""Warnings about Services (``GetWarningsForService``)."""

from __future__ import annotations

from apiserver.kinds.core.service_fields import EXTERNAL_NAME, HEADLESS
from apiserver.kinds.validation.ip import warnings_for_cidr, warnings_for_ip
from kubeling.api.fields import Path
from kubeling.api.meta import Object, annotations_of

TOPOLOGY_HINTS, TOPOLOGY_MODE = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
_SPEC = Path("spec")


def service_warnings(obj: Object) -> list[str]:
    spec = obj.get("spec") or {}
    warnings: list[str] = []
    if TOPOLOGY_HINTS in annotations_of(obj):
        warnings.append(f"annotation {TOPOLOGY_HINTS} is deprecated, please use {TOPOLOGY_MODE} instead")
    addresses = spec.get("clusterIPs") or ()
    headless = spec.get("type") == "ClusterIP" and spec.get("clusterIP") == HEADLESS
    if spec.get("type") != EXTERNAL_NAME and HEADLESS not in addresses:
        for i, address in enumerate(addresses):
            warnings += warnings_for_ip(address, _SPEC.child("clusterIPs").index(i))
    if headless:
        warnings += _ignored_when_headless(spec)
    external = spec.get("externalIPs") or ()
    for i, address in enumerate(external):
        warnings += warnings_for_ip(address, _SPEC.child("externalIPs").index(i))
    if external and not headless and spec.get("type") != EXTERNAL_NAME:
        warnings.append("spec.externalIPs is deprecated and may no longer be implemented in some clusters")
    if spec.get("loadBalancerIP"):
        warnings += warnings_for_ip(spec["loadBalancerIP"], _SPEC.child("loadBalancerIP"))
    for i, value in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        warnings += warnings_for_cidr(value, _SPEC.child("loadBalancerSourceRanges").index(i))
    if external and spec.get("type") == EXTERNAL_NAME:
        warnings.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
    if spec.get("externalName") and spec.get("type") != EXTERNAL_NAME:
        warnings.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.get("trafficDistribution") == "PreferClose":
        warnings.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return warnings


def _ignored_when_headless(spec: Object) -> list[str]:
    ignored = (
        ("loadBalancerIP", bool(spec.get("loadBalancerIP"))),
        ("externalIPs", bool(spec.get("externalIPs"))),
        ("SessionAffinity", spec.get("sessionAffinity") != "None"),
    )
    return [f"spec.{field} is ignored for headless services" for field, is_set in ignored if is_set]
