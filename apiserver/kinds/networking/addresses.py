"""IPAddress and ServiceCIDR: what the allocator of service addresses keeps its books in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.kinds.printing import AGE, NAME, age_of, column
from apiserver.kinds.strategies import OwnMetadataStatusStrategy, SpecStrategy
from apiserver.kinds.validation.common import dns_subdomain
from apiserver.kinds.validation.ip import family_of_cidr, validate_strict_cidr, validate_strict_ip
from apiserver.kinds.validation.meta import IMMUTABLE
from apiserver.registry.kind import Context, Kind, Printer, Strategy
from kubeling.api import fields, names
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, name_of
from kubeling.api.resources import IP_ADDRESSES, SERVICE_CIDRS

_PARENT, _CIDRS = Path("spec", "parentRef"), Path("spec", "cidrs")
_SEGMENTS = (("resource", True), ("name", True), ("namespace", False))


class IPAddressStrategy(Strategy):
    def default(self, obj: Object) -> None:
        obj.setdefault("spec", {})

    def validate_name(self, name: str) -> list[str]:
        """An address in canonical form."""
        return [e.detail for e in validate_strict_ip(name, Path(""))]

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        parent = obj["spec"].get("parentRef")
        if parent is None:
            return [fields.required(_PARENT)]
        errors = dns_subdomain(parent["group"], _PARENT.child("group")) if parent.get("group") else []
        for field, needed in _SEGMENTS:
            value, at = parent.get(field) or "", _PARENT.child(field)
            if needed and not value:
                errors.append(fields.required(at))
            errors += [fields.invalid(at, value, m) for m in names.is_path_segment_name(value)]
        return errors

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        new, before = (o["spec"].get("parentRef") for o in (obj, old))
        changed = [] if new == before else [fields.invalid(_PARENT, _internal_parent(new), IMMUTABLE)]
        return self.validate(ctx, obj) + changed


def _internal_parent(parent: Object | None) -> Object | None:
    """As Go prints upstream's internal type."""
    if parent is None:
        return None
    return {f.capitalize(): parent.get(f, "") for f in ("group", "resource", "namespace", "name")}


def _parent(obj: Object) -> str:
    """``services/default/web``, ``things.example.com/x/y``."""
    parent = (obj.get("spec") or {}).get("parentRef")
    if not parent:
        return ""
    resource = parent.get("resource", "")
    group = parent.get("group")
    return "/".join([f"{resource}.{group}" if group else resource, parent.get("namespace", ""), parent.get("name", "")])


def _address_row(obj: Object, now: datetime) -> list[Any]:
    return [name_of(obj), _parent(obj), age_of(obj, now)]


class ServiceCIDRStrategy(SpecStrategy):
    empty_status = {}

    def default(self, obj: Object) -> None:
        obj.setdefault("spec", {})
        obj.setdefault("status", {})

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return _validate_cidrs(obj["spec"])

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return _validate_cidrs(obj["spec"]) + self._changes(obj, old)

    def _changes(self, obj: Object, old: Object) -> ErrorList:
        """A second family may be added, nothing else."""
        new, before = list(obj["spec"].get("cidrs") or ()), list(old["spec"].get("cidrs") or ())
        if len(new) == len(before):
            changed = [i for i, (a, b) in enumerate(zip(new, before, strict=True)) if a != b]
            return [fields.invalid(_CIDRS.index(i), new[i], IMMUTABLE) for i in changed]
        if (len(before), len(new)) != (1, 2):
            return [fields.invalid(_CIDRS, new or None, IMMUTABLE)]
        errors = [] if new[0] == before[0] else [fields.invalid(_CIDRS.index(0), new[0], IMMUTABLE)]
        return errors + _validate_cidrs(obj["spec"])


def _validate_cidrs(spec: Object) -> ErrorList:
    cidrs = list(spec.get("cidrs") or ())
    if not cidrs:
        return [fields.required(_CIDRS, "at least one CIDR required")]
    if len(cidrs) > 2:
        return [fields.invalid(_CIDRS, {"CIDRs": cidrs}, "may only hold up to 2 values")]
    errors = [e for i, cidr in enumerate(cidrs) for e in validate_strict_cidr(cidr, _CIDRS.index(i))]
    families = [family_of_cidr(c) for c in cidrs]
    if len(cidrs) == 2 and families[0] == families[1] != 0:
        detail = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        errors.append(fields.invalid(_CIDRS, cidrs, detail))
    return errors


def _cidr_row(obj: Object, now: datetime) -> list[Any]:
    return [name_of(obj), ",".join((obj.get("spec") or {}).get("cidrs") or ()), age_of(obj, now)]


IP_ADDRESS = Kind(
    IP_ADDRESSES,
    IPAddressStrategy(),
    # upstream declares no Age column, though its rows have the cell
    Printer((NAME, column("ParentRef", "networking.v1.IPAddressSpec:parentRef")), _address_row),
)
_STRATEGY = ServiceCIDRStrategy()
SERVICE_CIDR = Kind(
    SERVICE_CIDRS,
    _STRATEGY,
    Printer((NAME, column("CIDRs", "networking.v1.ServiceCIDRSpec:cidrs"), AGE), _cidr_row),
    status=OwnMetadataStatusStrategy(_STRATEGY),
)
