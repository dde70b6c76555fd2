"""Ingress: defaults, strategy and columns; its rules are in ``ingress_validation``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.kinds.networking.ingress_validation import (
    CLASS_ANNOTATION,
    validate_ingress,
    validate_ingress_status,
    validate_ingress_update,
)
from apiserver.kinds.printing import AGE, NAME, NONE, age_of, column
from apiserver.kinds.strategies import StatusStrategy, keep
from apiserver.kinds.validation.ip import warnings_for_ip
from apiserver.registry.kind import Context, Kind, Printer, Strategy
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, annotations_of, name_of
from kubeling.api.resources import INGRESSES


class IngressStrategy(Strategy):
    has_generation = True

    def default(self, obj: Object) -> None:
        obj.setdefault("spec", {})
        obj.setdefault("status", {}).setdefault("loadBalancer", {})

    def prepare_for_create(self, ctx: Context, obj: Object) -> None:
        obj["status"] = {"loadBalancer": {}}

    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        keep(obj, old, "status")

    def canonicalize(self, obj: Object) -> None:
        """Validation tells an empty list of rules from none; what is stored does not."""
        if not obj["spec"].get("rules"):
            obj["spec"].pop("rules", None)

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return validate_ingress(obj)

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return validate_ingress_update(obj, old)

    def warnings_on_create(self, ctx: Context, obj: Object) -> list[str]:
        if CLASS_ANNOTATION not in annotations_of(obj):
            return []
        return [f"annotation \"{CLASS_ANNOTATION}\" is deprecated, please use 'spec.ingressClassName' instead"]


class IngressStatusStrategy(StatusStrategy):
    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return validate_ingress_status(obj)

    def warnings_on_update(self, ctx: Context, obj: Object, old: Object) -> list[str]:
        at = Path("status", "loadBalancer", "ingress")
        points = enumerate(obj["status"]["loadBalancer"].get("ingress") or ())
        return [w for i, p in points if p.get("ip") for w in warnings_for_ip(p["ip"], at.index(i).child("ip"))]


def _hosts(obj: Object) -> str:
    """At most three hosts; ``*`` when no rule names one."""
    found = [rule["host"] for rule in obj["spec"].get("rules") or () if rule.get("host")]
    if not found:
        return "*"
    shown = ",".join(found[:3])
    return f"{shown} + {len(found) - 3} more..." if len(found) > 3 else shown


def _addresses(obj: Object) -> str:
    points = (obj.get("status") or {}).get("loadBalancer", {}).get("ingress") or ()
    return ",".join(p.get("ip") or p.get("hostname") or "" for p in points if p.get("ip") or p.get("hostname"))


def _row(obj: Object, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    ports = "80, 443" if spec.get("tls") else "80"
    name = spec.get("ingressClassName")
    return [name_of(obj), NONE if name is None else name, _hosts(obj), _addresses(obj), ports, age_of(obj, now)]


_COLUMNS = (
    NAME,
    column("Class", "The name of the IngressClass resource that should be used for additional configuration"),
    column("Hosts", "Hosts that incoming requests are matched against before the ingress rule"),
    column("Address", "Address is a list containing ingress points for the load-balancer"),
    column("Ports", "Ports of TLS configurations that open"),
    AGE,
)
_STRATEGY = IngressStrategy()
INGRESS = Kind(INGRESSES, _STRATEGY, Printer(_COLUMNS, _row), status=IngressStatusStrategy(_STRATEGY), key="ingress")
