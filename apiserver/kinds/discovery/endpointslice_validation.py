"""Validation of EndpointSlices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.kinds.core.service_validation import PROTOCOLS
from apiserver.kinds.validation.common import dns_label, dns_subdomain, qualified_name
from apiserver.kinds.validation.domains import validate_fqdn
from apiserver.kinds.validation.ip import is_ipv6, parse_ip, validate_non_special_ip
from apiserver.kinds.validation.meta import validate_labels
from kubeling.api import fields
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object

Part = Mapping[str, Any]
ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
_MAX_ENDPOINTS, _MAX_ADDRESSES, _MAX_PORTS, _MAX_TOPOLOGY, _MAX_HINTS = 1000, 100, 20000, 16, 8
_TOPOLOGY_KEYS = ("kubernetes.io/hostname",)


def validate_slice(obj: Object) -> ErrorList:
    """Everything wrong with a slice, metadata apart."""
    kind = obj.get("addressType") or ""
    errors: ErrorList = []
    if not kind:
        errors.append(fields.required(Path("addressType")))
    elif kind not in ADDRESS_TYPES:
        errors.append(fields.not_supported(Path("addressType"), kind, ADDRESS_TYPES))
    errors += _validate_endpoints(obj.get("endpoints") or [], kind, Path("endpoints"))
    return errors + _validate_ports(obj.get("ports") or [], Path("ports"))


def _validate_endpoints(endpoints: list[Part], kind: str, path: Path) -> ErrorList:
    if len(endpoints) > _MAX_ENDPOINTS:
        return [fields.too_many(path, len(endpoints), _MAX_ENDPOINTS)]
    return [e for i, endpoint in enumerate(endpoints) for e in _validate_endpoint(endpoint, kind, path.index(i))]


def _validate_endpoint(endpoint: Part, kind: str, path: Path) -> ErrorList:
    addresses, at = list(endpoint.get("addresses") or ()), path.child("addresses")
    errors: ErrorList = []
    if not addresses:
        errors.append(fields.required(at, "must contain at least 1 address"))
    elif len(addresses) > _MAX_ADDRESSES:
        errors.append(fields.too_many(at, len(addresses), _MAX_ADDRESSES))
    for i, address in enumerate(addresses):
        errors += _validate_address(address, kind, at.index(i))
    if endpoint.get("nodeName") is not None:
        errors += dns_subdomain(endpoint["nodeName"], path.child("nodeName"))
    topology = endpoint.get("deprecatedTopology") or {}
    at = path.child("deprecatedTopology")
    if len(topology) > _MAX_TOPOLOGY:
        errors.append(fields.too_many(at, len(topology), _MAX_TOPOLOGY))
    errors += validate_labels(topology, at)
    for key in _TOPOLOGY_KEYS:
        if key in topology:
            errors.append(fields.invalid(at.key(key), key, "may not be set directly: use nodeName instead"))
    if endpoint.get("hostname") is not None:
        errors += dns_label(endpoint["hostname"], path.child("hostname"))
    hints = endpoint.get("hints")
    return errors if hints is None else errors + _validate_hints(hints, path.child("hints"))


def _validate_address(address: str, kind: str, path: Path) -> ErrorList:
    if kind == "FQDN":
        return validate_fqdn(address, path)
    if kind not in ("IPv4", "IPv6"):
        return []
    fits = parse_ip(address) is not None and is_ipv6(address) == (kind == "IPv6")
    errors = [] if fits else [fields.invalid(path, address, f"must be a valid {kind} address")]
    return errors + validate_non_special_ip(address, path)


def _validate_hints(hints: Part, path: Path) -> ErrorList:
    errors: ErrorList = []
    for field, check in (("forZones", qualified_name), ("forNodes", dns_subdomain)):
        items, at = list(hints.get(field) or ()), path.child(field)
        if len(items) > _MAX_HINTS:
            errors.append(fields.too_many(at, len(items), _MAX_HINTS))
            continue
        seen = set[str]()
        for i, item in enumerate(items):
            name, at_name = item.get("name") or "", at.index(i).child("name")
            if name in seen:
                errors.append(fields.duplicate(at_name, name))
            seen.add(name)
            errors += check(name, at_name)
    return errors


def _validate_ports(ports: list[Part], path: Path) -> ErrorList:
    if len(ports) > _MAX_PORTS:
        return [fields.too_many(path, len(ports), _MAX_PORTS)]
    errors: ErrorList = []
    seen = set[str]()
    for i, port in enumerate(ports):
        at, name, protocol = path.index(i), port.get("name") or "", port.get("protocol")
        if name:
            errors += dns_label(name, at.child("name"))
        if name in seen:
            errors.append(fields.duplicate(at.child("name"), name))
        seen.add(name)
        if protocol is None:
            errors.append(fields.required(at.child("protocol")))
        elif protocol not in PROTOCOLS:
            errors.append(fields.not_supported(at.child("protocol"), protocol, PROTOCOLS))
        if port.get("appProtocol") is not None:
            errors += qualified_name(port["appProtocol"], at.child("appProtocol"))
    return errors
