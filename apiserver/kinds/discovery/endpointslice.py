"""EndpointSlice: a part of a service's endpoints."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.kinds.discovery.endpointslice_validation import validate_slice
from apiserver.kinds.printing import AGE, NAME, UNSET, age_of, column
from apiserver.kinds.strategies import default_to
from apiserver.kinds.validation.ip import warnings_for_ip
from apiserver.kinds.validation.meta import immutable
from apiserver.registry.kind import Context, Kind, Printer, Strategy
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, name_of
from kubeling.api.resources import ENDPOINT_SLICES

_FQDN_WARNING = "addressType: FQDN endpoints are deprecated"


class EndpointSliceStrategy(Strategy):
    has_generation = True

    def default(self, obj: Object) -> None:
        for port in obj.get("ports") or ():
            if port.get("name") is None:
                port["name"] = ""
            default_to(port, "protocol", "TCP")

    def prepare_for_create(self, ctx: Context, obj: Object) -> None:
        _drop_topology(obj)

    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        if obj.get("endpoints") != old.get("endpoints"):
            _drop_topology(obj)

    def generation_changed(self, obj: Object, old: Object) -> bool:
        def rest(of: Object) -> Object:
            return {k: v for k, v in of.items() if k != "metadata"}

        return rest(obj) != rest(old) or (obj["metadata"].get("labels") or {}) != (old["metadata"].get("labels") or {})

    def canonicalize(self, obj: Object) -> None:
        """An empty list becomes null, as upstream's storage makes it."""
        for field in ("endpoints", "ports"):
            obj[field] = obj.get(field) or None

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return validate_slice(obj)

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        new, before = obj.get("addressType") or "", old.get("addressType") or ""
        return validate_slice(obj) + immutable(new, before, Path("addressType"))

    def warnings_on_create(self, ctx: Context, obj: Object) -> list[str]:
        return _warnings(obj)

    def warnings_on_update(self, ctx: Context, obj: Object, old: Object) -> list[str]:
        return _warnings(obj)


def _drop_topology(obj: Object) -> None:
    """The field of v1beta1 cannot be written through v1."""
    for endpoint in obj.get("endpoints") or ():
        endpoint.pop("deprecatedTopology", None)


def _warnings(obj: Object) -> list[str]:
    if obj.get("addressType") == "FQDN":
        return [_FQDN_WARNING]
    return [
        warning
        for i, endpoint in enumerate(obj.get("endpoints") or ())
        for j, address in enumerate(endpoint.get("addresses") or ())
        for warning in warnings_for_ip(address, Path("endpoints").index(i).child("addresses").index(j))
    ]


def _ports(ports: list[Object]) -> str:
    if not ports:
        return UNSET
    texts = ["*" if p.get("port") is None else str(p["port"]) for p in ports]
    shown = ",".join(texts[:3])
    return f"{shown} + {len(texts) - 3} more..." if len(texts) > 3 else shown


def _endpoints(endpoints: list[Object]) -> str:
    addresses = [a for e in endpoints for a in e.get("addresses") or ()]
    if not addresses:
        return UNSET
    shown = ",".join(addresses[:3])
    return f"{shown} + {len(addresses) - 3} more..." if len(addresses) > 3 else shown


def _row(obj: Object, now: datetime) -> list[Any]:
    ports, endpoints = obj.get("ports") or [], obj.get("endpoints") or []
    return [name_of(obj), obj.get("addressType", ""), _ports(ports), _endpoints(endpoints), age_of(obj, now)]


_SLICE = "discovery.v1.EndpointSlice:"
_COLUMNS = (
    NAME,
    column("AddressType", _SLICE + "addressType"),
    column("Ports", _SLICE + "ports"),
    column("Endpoints", _SLICE + "endpoints"),
    AGE,
)
ENDPOINT_SLICE = Kind(ENDPOINT_SLICES, EndpointSliceStrategy(), Printer(_COLUMNS, _row))
