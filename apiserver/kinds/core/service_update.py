"""What an update of a Service may not change, and its status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.kinds.core.service_fields import EXTERNAL_NAME, LOAD_BALANCER, is_headless, needs_health_check
from apiserver.kinds.core.service_validation import SPEC, validate_service
from apiserver.kinds.validation.ip import parse_ip, validate_ip
from kubeling.api import fields, names
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object

Spec = Mapping[str, Any]
_ONCE = "may not change once set"
_STATUS = Path("status", "loadBalancer")


def validate_service_update(obj: Object, old: Object) -> ErrorList:
    new_spec: Spec = obj.get("spec") or {}
    old_spec: Spec = old.get("spec") or {}
    errors: ErrorList = []
    if EXTERNAL_NAME not in (new_spec.get("type"), old_spec.get("type")):
        errors += _addresses_update(new_spec, old_spec)
        errors += _families_update(new_spec, old_spec)
    errors += _class_update(new_spec, old_spec)
    if needs_health_check(new_spec) and needs_health_check(old_spec):
        field = "healthCheckNodePort"
        if (new_spec.get(field) or 0) != (old_spec.get(field) or 0):
            errors.append(fields.forbidden(SPEC.child(field), "field is immutable"))
    return errors + validate_service(obj)


def _addresses_update(new_spec: Spec, old_spec: Spec) -> ErrorList:
    if is_headless(new_spec) and is_headless(old_spec):
        return []
    new, old = list(new_spec.get("clusterIPs") or ()), list(old_spec.get("clusterIPs") or ())
    at = SPEC.child("clusterIPs")
    if len(new) == len(old):
        return [
            fields.invalid(at.index(i), new, _ONCE) for i, (a, b) in enumerate(zip(new, old, strict=True)) if a != b
        ]
    errors: ErrorList = []
    if len(new) < len(old) and not new:
        errors.append(fields.invalid(at.index(0), new or None, "primary clusterIP can not be unset"))
    if new and old and new[0] != old[0]:
        errors.append(fields.invalid(at.index(0), new, _ONCE))
    if len(new) == 1 and len(old) > 1:
        errors += _single_stack(new_spec, "clusterIP")
    return errors


def _families_update(new_spec: Spec, old_spec: Spec) -> ErrorList:
    if is_headless(new_spec) or is_headless(old_spec):
        return []
    new, old = list(new_spec.get("ipFamilies") or ()), list(old_spec.get("ipFamilies") or ())
    at = SPEC.child("ipFamilies").index(0)
    if len(new) == len(old):
        return [fields.invalid(at, new, _ONCE) for a, b in zip(new, old, strict=True) if a != b]
    errors: ErrorList = []
    addresses = list(new_spec.get("clusterIPs") or ())
    if len(new) < len(old) and not addresses:
        errors.append(fields.invalid(at, new or None, "primary ipFamily can not be unset"))
    if new and old and new[0] != old[0]:
        errors.append(fields.invalid(at, addresses, _ONCE))
    if len(new) == 1 and len(old) > 1:
        errors += _single_stack(new_spec, "ipFamily")
    return errors


def _single_stack(spec: Spec, what: str) -> ErrorList:
    policy = spec.get("ipFamilyPolicy")
    if policy == "SingleStack":
        return []
    detail = f"must be set to 'SingleStack' when releasing the secondary {what}"
    return [fields.invalid(SPEC.child("ipFamilyPolicy"), policy, detail)]


def _class_update(new_spec: Spec, old_spec: Spec) -> ErrorList:
    """Upstream also checks the form here, so that a malformed class is told twice."""
    name, at = new_spec.get("loadBalancerClass"), SPEC.child("loadBalancerClass")
    errors: ErrorList = []
    both = new_spec.get("type") == LOAD_BALANCER == old_spec.get("type")
    if both and name != old_spec.get("loadBalancerClass"):
        errors.append(fields.invalid(at, name, _ONCE))
    if name is None:
        return errors
    if new_spec.get("type") != LOAD_BALANCER:
        return [*errors, fields.forbidden(at, "may only be used when `type` is 'LoadBalancer'")]
    return errors + [fields.invalid(at, name, m) for m in names.is_qualified_name(name)]


def validate_load_balancer_status(status: Mapping[str, Any], spec: Spec) -> ErrorList:
    """``status.loadBalancer`` of a Service."""
    errors: ErrorList = []
    ingress = status.get("ingress") or ()
    if spec.get("type") != LOAD_BALANCER and ingress:
        errors.append(fields.forbidden(_STATUS.child("ingress"), "may only be used when `spec.type` is 'LoadBalancer'"))
        return errors
    for i, point in enumerate(ingress):
        at = _STATUS.child("ingress").index(i)
        address, mode = point.get("ip") or "", point.get("ipMode")
        if address:
            errors += validate_ip(address, at.child("ip"))
            if mode is None:
                errors.append(fields.required(at.child("ipMode"), "must be specified when `ip` is set"))
        elif mode is not None:
            errors.append(fields.forbidden(at.child("ipMode"), "may not be specified when `ip` is not set"))
        if mode is not None and mode not in ("Proxy", "VIP"):
            errors.append(fields.not_supported(at.child("ipMode"), mode, ("Proxy", "VIP")))
        errors += validate_ingress_hostname(point.get("hostname") or "", at.child("hostname"))
    return errors


def validate_ingress_hostname(hostname: str, path: Path) -> ErrorList:
    """A load balancer's host name, in the status of services and ingresses."""
    if not hostname:
        return []
    errors = [fields.invalid(path, hostname, m) for m in names.is_dns1123_subdomain(hostname)]
    if parse_ip(hostname) is not None:
        errors.append(fields.invalid(path, hostname, "must be a DNS name, not an IP address"))
    return errors
