"""Validation of Services (``ValidateService``, ``ValidateServiceUpdate`` and the rules of the address fields)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.kinds.core.service_fields import (
    CLUSTER_IP,
    EXTERNAL_NAME,
    HEADLESS,
    LOAD_BALANCER,
    NODE_PORT,
    externally_accessible,
    is_headless,
    needs_health_check,
)
from apiserver.kinds.validation.ip import is_ipv6, validate_cidr, validate_ip, validate_non_special_ip
from apiserver.kinds.validation.meta import validate_labels
from kubeling.api import fields, names
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, annotations_of

Spec = Mapping[str, Any]
SPEC = Path("spec")
PROTOCOLS = ("SCTP", "TCP", "UDP")
TYPES = (CLUSTER_IP, EXTERNAL_NAME, LOAD_BALANCER, NODE_PORT)
AFFINITIES, POLICIES = ("ClientIP", "None"), ("Cluster", "Local")
FAMILIES = ("IPv4", "IPv6")
FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
_MAX_AFFINITY_SECONDS = 86400
_ONLY_LOAD_BALANCER = "may only be used when `type` is 'LoadBalancer'"


def validate_service(obj: Object) -> ErrorList:
    """Everything wrong with a service whose addresses and ports are allocated, metadata apart."""
    spec: Spec = obj.get("spec") or {}
    errors: ErrorList = []
    if not spec.get("ports") and not is_headless(spec) and spec.get("type") != EXTERNAL_NAME:
        errors.append(fields.required(SPEC.child("ports")))
    errors += _validate_for_type(spec)
    errors += _validate_ports(spec)
    errors += validate_labels(spec.get("selector"), SPEC.child("selector"))
    errors += _validate_affinity(spec)
    errors += validate_cluster_ips(spec)
    for i, address in enumerate(spec.get("externalIPs") or ()):
        at = SPEC.child("externalIPs").index(i)
        errors += validate_ip(address, at) or validate_non_special_ip(address, at)
    if not spec.get("type"):
        errors.append(fields.required(SPEC.child("type")))
    elif spec["type"] not in TYPES:
        errors.append(fields.not_supported(SPEC.child("type"), spec["type"], TYPES))
    errors += _validate_port_sets(spec)
    errors += _validate_source_ranges(obj, spec)
    errors += _validate_load_balancer(spec)
    errors += _validate_traffic(spec)
    return errors


def _validate_for_type(spec: Spec) -> ErrorList:
    kind = spec.get("type")
    if kind in (LOAD_BALANCER, NODE_PORT) and is_headless(spec):
        detail = f"may not be set to 'None' for {kind} services"
        return [fields.invalid(SPEC.child("clusterIPs").index(0), HEADLESS, detail)]
    if kind != EXTERNAL_NAME:
        return []
    errors = [
        fields.forbidden(SPEC.child(field), "may not be set for ExternalName services")
        for field in ("clusterIPs", "ipFamilies", "ipFamilyPolicy")
        if spec.get(field)
    ]
    name = (spec.get("externalName") or "").removesuffix(".")
    at = SPEC.child("externalName")
    if not name:
        return [*errors, fields.required(at)]
    return errors + [fields.invalid(at, name, m) for m in names.is_dns1123_subdomain(name)]


def _validate_ports(spec: Spec) -> ErrorList:
    errors: ErrorList = []
    ports, seen = spec.get("ports") or (), set[str]()
    for i, port in enumerate(ports):
        at = SPEC.child("ports").index(i)
        name = port.get("name") or ""
        if name:
            errors += [fields.invalid(at.child("name"), name, m) for m in names.is_dns1123_label(name)]
            if name in seen:
                errors.append(fields.duplicate(at.child("name"), name))
            seen.add(name)
        elif len(ports) > 1:
            errors.append(fields.required(at.child("name")))
        errors += validate_port_number(port.get("port", 0), at.child("port"))
        errors += validate_protocol(port.get("protocol", ""), at.child("protocol"))
        errors += validate_port_or_name(port.get("targetPort", 0), at.child("targetPort"))
        protocol = port.get("appProtocol")
        if protocol is not None:
            errors += [fields.invalid(at.child("appProtocol"), protocol, m) for m in names.is_qualified_name(protocol)]
    return errors


def validate_port_number(port: int, path: Path) -> ErrorList:
    return [fields.invalid(path, port, m) for m in names.is_port_number(port)]


def validate_port_or_name(port: int | str, path: Path) -> ErrorList:
    if isinstance(port, str):
        return [fields.invalid(path, port, m) for m in names.is_port_name(port)]
    return validate_port_number(port, path)


def validate_protocol(protocol: str, path: Path) -> ErrorList:
    if not protocol:
        return [fields.required(path)]
    return [] if protocol in PROTOCOLS else [fields.not_supported(path, protocol, PROTOCOLS)]


def _validate_affinity(spec: Spec) -> ErrorList:
    affinity, config = spec.get("sessionAffinity"), spec.get("sessionAffinityConfig")
    at, at_config = SPEC.child("sessionAffinity"), SPEC.child("sessionAffinityConfig")
    if not affinity:
        return [fields.required(at)]
    if affinity not in AFFINITIES:
        return [fields.not_supported(at, affinity, AFFINITIES)]
    if affinity == "None":
        detail = "must not be set when session affinity is None"
        return [fields.forbidden(at_config, detail)] if config else []
    if not config:
        return [fields.required(at_config, "when session affinity type is ClientIP")]
    client_ip = config.get("clientIP")
    if not client_ip:
        return [fields.required(at_config.child("clientIP"), "when session affinity type is ClientIP")]
    at_timeout = at_config.child("clientIP").child("timeoutSeconds")
    seconds = client_ip.get("timeoutSeconds")
    if seconds is None:
        return [fields.required(at_timeout, "when session affinity type is ClientIP")]
    if not 0 < seconds <= _MAX_AFFINITY_SECONDS:
        detail = f"must be greater than 0 and less than {_MAX_AFFINITY_SECONDS}"
        return [fields.invalid(at_timeout, seconds, detail)]
    return []


def validate_cluster_ips(spec: Spec) -> ErrorList:
    """``clusterIP(s)``, ``ipFamilies`` and ``ipFamilyPolicy``; the allocator asks this before it gives anything out."""
    if spec.get("type") == EXTERNAL_NAME:
        return []
    addresses, first = list(spec.get("clusterIPs") or ()), spec.get("clusterIP") or ""
    at = SPEC.child("clusterIPs")
    errors: ErrorList = []
    if first and not addresses:
        errors.append(fields.required(at))
    elif first and addresses[0] != first:
        errors.append(fields.invalid(at, addresses, "first value must match `clusterIP`"))
    elif not first and addresses:
        errors.append(fields.invalid(at, addresses, "must be empty when `clusterIP` is not specified"))
    errors += _validate_families(spec)
    bad = _validate_addresses(addresses, at)
    errors += bad
    if len(addresses) > 2:
        errors.append(fields.invalid(at, addresses, "may only hold up to 2 values"))
    if bad:
        return errors
    if len(addresses) > 1 and not _dual(addresses):
        errors.append(fields.invalid(at, addresses, "may specify no more than one IP for each IP family"))
    if not is_headless(spec):
        for i, (address, family) in enumerate(zip(addresses, spec.get("ipFamilies") or (), strict=False)):
            if family in FAMILIES and (family == "IPv6") != is_ipv6(address):
                detail = f"expected an {family} value as indicated by `ipFamilies[{i}]`"
                errors.append(fields.invalid(at.index(i), address, detail))
    return errors


def _dual(addresses: list[str]) -> bool:
    return len({is_ipv6(a) for a in addresses}) == 2


def _validate_families(spec: Spec) -> ErrorList:
    errors: ErrorList = []
    seen = set[str]()
    for i, family in enumerate(spec.get("ipFamilies") or ()):
        at = SPEC.child("ipFamilies").index(i)
        if family not in FAMILIES:
            errors.append(fields.not_supported(at, family, FAMILIES))
        if family in seen:
            errors.append(fields.duplicate(at, family))
        seen.add(family)
    policy = spec.get("ipFamilyPolicy")
    if policy is not None and policy not in FAMILY_POLICIES:
        errors.append(fields.not_supported(SPEC.child("ipFamilyPolicy"), policy, FAMILY_POLICIES))
    return errors


def _validate_addresses(addresses: list[str], path: Path) -> ErrorList:
    errors: ErrorList = []
    for i, address in enumerate(addresses):
        if i == 0 and address == HEADLESS:
            if len(addresses) > 1:
                errors.append(fields.invalid(path, addresses, "'None' must be the first and only value"))
            continue
        errors += validate_ip(address, path.index(i))
    return errors


def _validate_port_sets(spec: Spec) -> ErrorList:
    errors: ErrorList = []
    ports = list(enumerate(spec.get("ports") or ()))
    at = SPEC.child("ports")
    if spec.get("type") == CLUSTER_IP:
        detail = "may not be used when `type` is 'ClusterIP'"
        errors += [fields.forbidden(at.index(i).child("nodePort"), detail) for i, p in ports if p.get("nodePort")]
    taken = set[tuple[str, int]]()
    for i, port in ports:
        node_port = port.get("nodePort") or 0
        key = (port.get("protocol", ""), node_port)
        if node_port and key in taken:
            errors.append(fields.duplicate(at.index(i).child("nodePort"), node_port))
        taken.add(key)
    taken = set()
    for i, port in ports:
        key = (port.get("protocol", ""), port.get("port", 0))
        if key in taken:
            errors.append(fields.duplicate(at.index(i), _internal_port(*key)))
        taken.add(key)
    return errors


def _internal_port(protocol: str, port: int) -> Object:
    """A port as Go prints upstream's internal type, with nothing but what tells ports apart."""
    return {"Name": "", "Protocol": protocol, "AppProtocol": None, "Port": port, "TargetPort": 0, "NodePort": 0}


def _validate_source_ranges(obj: Object, spec: Spec) -> ErrorList:
    ranges = spec.get("loadBalancerSourceRanges") or ()
    if ranges:
        at = SPEC.child("LoadBalancerSourceRanges")
        where = [(value.strip(), at.index(i)) for i, value in enumerate(ranges)]
    elif SOURCE_RANGES in annotations_of(obj):
        at = Path("metadata", "annotations").key(SOURCE_RANGES)
        text = annotations_of(obj)[SOURCE_RANGES].strip()
        where = [(value.strip(), at) for value in text.split(",")] if text else []
    else:
        return []
    errors = [] if spec.get("type") == LOAD_BALANCER else [fields.forbidden(at, _ONLY_LOAD_BALANCER)]
    return errors + [e for value, path in where for e in validate_cidr(value, path)]


def _validate_load_balancer(spec: Spec) -> ErrorList:
    errors: ErrorList = []
    balanced, allocate = spec.get("type") == LOAD_BALANCER, spec.get("allocateLoadBalancerNodePorts")
    if allocate is not None and not balanced:
        errors.append(fields.forbidden(SPEC.child("allocateLoadBalancerNodePorts"), _ONLY_LOAD_BALANCER))
    if allocate is None and balanced:
        errors.append(fields.required(Path("allocateLoadBalancerNodePorts")))
    return errors + _validate_class(spec)


def _validate_class(spec: Spec) -> ErrorList:
    name, at = spec.get("loadBalancerClass"), SPEC.child("loadBalancerClass")
    if name is None:
        return []
    if spec.get("type") != LOAD_BALANCER:
        return [fields.forbidden(at, _ONLY_LOAD_BALANCER)]
    return [fields.invalid(at, name, m) for m in names.is_qualified_name(name)]


def _validate_traffic(spec: Spec) -> ErrorList:
    errors: ErrorList = []
    external, at = spec.get("externalTrafficPolicy") or "", SPEC.child("externalTrafficPolicy")
    if not externally_accessible(spec):
        if external:
            errors.append(fields.invalid(at, external, "may only be set for externally-accessible services"))
    elif not external:
        errors.append(fields.required(at))
    elif external not in POLICIES:
        errors.append(fields.not_supported(at, external, POLICIES))
    port, at = spec.get("healthCheckNodePort") or 0, SPEC.child("healthCheckNodePort")
    if not needs_health_check(spec):
        if port:
            detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
            errors.append(fields.invalid(at, port, detail))
    elif not port:
        errors.append(fields.required(at))
    else:
        errors += validate_port_number(port, at)
    internal, at = spec.get("internalTrafficPolicy"), SPEC.child("internalTrafficPolicy")
    if internal is None and spec.get("type") in (CLUSTER_IP, NODE_PORT, LOAD_BALANCER):
        errors.append(fields.required(at))
    elif internal is not None and internal not in POLICIES:
        errors.append(fields.not_supported(at, internal, POLICIES))
    distribution = spec.get("trafficDistribution")
    if distribution is not None and distribution not in DISTRIBUTIONS:
        errors.append(fields.not_supported(SPEC.child("trafficDistribution"), distribution, DISTRIBUTIONS))
    return errors
