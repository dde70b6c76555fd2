"""Validation of what DeviceClass, ResourceClaim and ResourceClaimTemplate ask for (pkg/apis/resource/validation upstream).

CEL expressions are checked for their length alone: compiling them comes with the CEL engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.kinds.resource.common import each, label, qualified_name, validate_driver_name
from apiserver.kinds.resource.devices import validate_tolerations
from kubeling.api import names
from kubeling.api.cel.declared import Refused, device_selector
from kubeling.api.fields import (
    ErrorList,
    Path,
    go_json,
    invalid,
    not_supported,
    required,
    too_long,
)

Fields = Mapping[str, Any]

MAX_ALTERNATIVES = 8
MAX_EXPRESSION = 10 * 1024
MAX_PARAMETERS = 10 * 1024
_NOT_A_REQUEST = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
_ONE_KIND = "exactly one of `exactly` or `firstAvailable` is required"

RequestNames = Mapping[str, frozenset[str]]
"""The requests of a claim, each with its alternatives."""


def _same(item: Any) -> Any:
    return item


def _name(item: Fields) -> str:
    return item.get("name") or ""


def validate_device_class(obj: Fields) -> ErrorList:
    spec, path = obj.get("spec") or {}, Path("spec")
    errors = each(spec.get("selectors"), _selector, path.child("selectors"))
    errors += each(spec.get("config"), validate_configuration, path.child("config"))
    return errors


def validate_claim_spec(spec: Fields, path: Path) -> ErrorList:
    devices, path = spec.get("devices") or {}, path.child("devices")
    known = request_names(spec)

    def constraint(item: Fields, where: Path) -> ErrorList:
        return _constraint(item, where, known)

    def config(item: Fields, where: Path) -> ErrorList:
        return validate_request_refs(item, where, known) + validate_configuration(item, where)

    errors = each(devices.get("requests"), _request, path.child("requests"), key=_name)
    errors += each(devices.get("constraints"), constraint, path.child("constraints"))
    return errors + each(devices.get("config"), config, path.child("config"))


def request_names(spec: Fields) -> RequestNames:
    requests = (spec.get("devices") or {}).get("requests") or ()
    return {_name(r): frozenset(_name(s) for s in r.get("firstAvailable") or ()) for r in requests}


def _request(request: Fields, path: Path) -> ErrorList:
    errors = label(_name(request), path.child("name")) if _name(request) else [required(path.child("name"))]
    exactly, alternatives = request.get("exactly"), request.get("firstAvailable")
    if exactly is None and not alternatives:
        return [*errors, required(path, _ONE_KIND)]
    if exactly is not None and alternatives:
        return [*errors, invalid(path, None, f"{_ONE_KIND}, but multiple fields are set")]
    if exactly is not None:
        return errors + _devices_wanted(exactly, path.child("exactly"))
    return errors + each(alternatives, _alternative, path.child("firstAvailable"), limit=MAX_ALTERNATIVES, key=_name)


def _alternative(request: Fields, path: Path) -> ErrorList:
    errors = label(_name(request), path.child("name")) if _name(request) else [required(path.child("name"))]
    return errors + _devices_wanted(request, path)


def _devices_wanted(request: Fields, path: Path) -> ErrorList:
    name = request.get("deviceClassName") or ""
    where = path.child("deviceClassName")
    errors: ErrorList = (
        [invalid(where, name, m) for m in names.is_dns1123_subdomain(name)] if name else [required(where)]
    )
    errors += each(request.get("selectors"), _selector, path.child("selectors"))
    mode, count = request.get("allocationMode") or "", request.get("count") or 0
    if mode == "All" and count:
        errors.append(invalid(path.child("count"), count, f"must not be specified when allocationMode is '{mode}'"))
    elif mode == "ExactCount" and count <= 0:
        errors.append(invalid(path.child("count"), count, "must be greater than zero"))
    elif mode not in ("All", "ExactCount"):
        errors.append(not_supported(path.child("allocationMode"), mode, ("All", "ExactCount")))
    return errors + validate_tolerations(request.get("tolerations"), path.child("tolerations"))


def _selector(selector: Fields, path: Path) -> ErrorList:
    cel = selector.get("cel")
    if cel is None:
        return [required(path.child("cel"))]
    if len((cel.get("expression") or "").encode()) > MAX_EXPRESSION:
        return [too_long(path.child("cel", "expression"), MAX_EXPRESSION)]
    try:
        device_selector(cel.get("expression") or "")
    except Refused as refused:
        return [invalid(path.child("cel", "expression"), cel.get("expression") or "", str(refused))]
    return []


def _constraint(constraint: Fields, path: Path, known: RequestNames) -> ErrorList:
    errors = validate_request_refs(constraint, path, known)
    for field in ("matchAttribute", "distinctAttribute"):
        if constraint.get(field) is not None:
            return errors + qualified_name(constraint[field], path.child(field), with_domain=True)
    return [*errors, required(path.child("matchAttribute"))]


def validate_request_refs(holder: Fields, path: Path, known: RequestNames) -> ErrorList:
    """The ``requests`` that a constraint or a configuration is about."""

    def reference(name: str, where: Path) -> ErrorList:
        return request_reference(name, where, known)

    return each(holder.get("requests"), reference, path.child("requests"), key=_same)


def request_reference(name: str, path: Path, known: RequestNames) -> ErrorList:
    parts = name.split("/")
    if len(parts) > 2:
        return [invalid(path, name, _NOT_A_REQUEST)]
    errors = [error for part in parts for error in label(part, path)]
    if parts[0] not in known or (len(parts) > 1 and parts[1] not in known[parts[0]]):
        errors.append(invalid(path, name, _NOT_A_REQUEST))
    return errors


def validate_configuration(config: Fields, path: Path) -> ErrorList:
    """Parameters that a driver is given; only opaque ones exist."""
    opaque, path = config.get("opaque"), path.child("opaque")
    if opaque is None:
        return [required(path)]
    errors = validate_driver_name(opaque.get("driver") or "", path.child("driver"))
    parameters, where = opaque.get("parameters"), path.child("parameters")
    if parameters is None:
        return [*errors, required(where)]
    if not isinstance(parameters, Mapping):
        return [*errors, invalid(where, "<value omitted>", "must be a valid JSON object")]
    if len(go_json(parameters).encode()) > MAX_PARAMETERS:
        errors.append(too_long(where, MAX_PARAMETERS))
    return errors
