"""Endpoints: subsets of addresses and ports (deprecated in favour of EndpointSlice)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from apiserver.kinds.core.service_validation import validate_port_number, validate_protocol
from apiserver.kinds.printing import AGE, NAME, age_of, column, joined
from apiserver.kinds.strategies import default_to
from apiserver.kinds.validation.common import dns_label, dns_subdomain, qualified_name
from apiserver.kinds.validation.ip import validate_ip, validate_non_special_ip, warnings_for_ip
from apiserver.registry.kind import Context, Kind, Printer, Strategy
from kubeling.api import fields
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, name_of
from kubeling.api.resources import ENDPOINTS as RESOURCE

_SUBSETS = Path("subsets")
_ADDRESSES = ("addresses", "notReadyAddresses")


class EndpointsStrategy(Strategy):
    allow_create_on_update = True

    def default(self, obj: Object) -> None:
        for subset in obj.get("subsets") or ():
            for port in subset.get("ports") or ():
                default_to(port, "protocol", "TCP")

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        errors: ErrorList = []
        for i, subset in enumerate(obj.get("subsets") or ()):
            errors += _validate_subset(subset, _SUBSETS.index(i))
        return errors

    def warnings_on_create(self, ctx: Context, obj: Object) -> list[str]:
        return _warnings(obj)

    def warnings_on_update(self, ctx: Context, obj: Object, old: Object) -> list[str]:
        return _warnings(obj)


def _validate_subset(subset: Mapping[str, Any], path: Path) -> ErrorList:
    errors: ErrorList = []
    if not any(subset.get(field) for field in _ADDRESSES):
        errors.append(fields.required(path, "must specify `addresses` or `notReadyAddresses`"))
    for field in _ADDRESSES:
        for i, address in enumerate(subset.get(field) or ()):
            errors += _validate_address(address, path.child(field).index(i))
    ports = subset.get("ports") or ()
    for i, port in enumerate(ports):
        errors += _validate_port(port, len(ports) > 1, path.child("ports").index(i))
    return errors


def _validate_address(address: Mapping[str, Any], path: Path) -> ErrorList:
    text = address.get("ip") or ""
    errors = validate_ip(text, path.child("ip"))
    if address.get("hostname"):
        errors += dns_label(address["hostname"], path.child("hostname"))
    if address.get("nodeName") is not None:
        errors += dns_subdomain(address["nodeName"], path.child("nodeName"))
    return errors + validate_non_special_ip(text, path.child("ip"))


def _validate_port(port: Mapping[str, Any], named: bool, path: Path) -> ErrorList:
    name = port.get("name") or ""
    errors = dns_label(name, path.child("name")) if name else []
    if named and not name:
        errors.append(fields.required(path.child("name")))
    errors += validate_port_number(port.get("port") or 0, path.child("port"))
    errors += validate_protocol(port.get("protocol") or "", path.child("protocol"))
    if port.get("appProtocol") is not None:
        errors += qualified_name(port["appProtocol"], path.child("appProtocol"))
    return errors


def _warnings(obj: Object) -> list[str]:
    return [
        warning
        for i, subset in enumerate(obj.get("subsets") or ())
        for field in _ADDRESSES
        for j, address in enumerate(subset.get(field) or ())
        for warning in warnings_for_ip(address.get("ip", ""), _SUBSETS.index(i).child(field).index(j).child("ip"))
    ]


def _shown(obj: Object) -> Iterator[str]:
    for subset in obj.get("subsets") or ():
        addresses = [a.get("ip", "") for a in subset.get("addresses") or ()]
        ports = subset.get("ports") or ()
        if not ports:
            yield from addresses
        for port in ports:
            yield from (_host_port(a, port.get("port", 0)) for a in addresses)


def _host_port(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _row(obj: Object, now: datetime) -> list[Any]:
    return [name_of(obj), joined(_shown(obj)), age_of(obj, now)]


ENDPOINTS = Kind(
    RESOURCE,
    EndpointsStrategy(),
    Printer((NAME, column("Endpoints", "core.v1.Endpoints:subsets"), AGE), _row),
    key="services/endpoints",
    deprecation="v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
)
