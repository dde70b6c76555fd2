"""Validation of a ResourceClaim's status: the allocation, who uses it, what drivers say of the devices."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from functools import partial
from typing import Any

from apiserver.kinds.resource.claims import (
    RequestNames,
    request_names,
    request_reference,
    validate_configuration,
    validate_request_refs,
)
from apiserver.kinds.resource.common import MAX_LIST, each, label, validate_driver_name
from apiserver.kinds.resource.devices import validate_binding_conditions, validate_tolerations
from apiserver.kinds.resource.slices import validate_pool_name
from apiserver.kinds.validation.conditions import validate_conditions
from apiserver.kinds.validation.meta import immutable
from apiserver.kinds.validation.selectors import validate_node_selector
from kubeling.api.fields import (
    ErrorList,
    FieldError,
    Path,
    forbidden,
    go_json,
    invalid,
    not_supported,
    required,
    too_long,
    too_many,
)
from kubeling.api.meta import Object, is_deleting

Fields = Mapping[str, Any]

MAX_RESERVED_FOR = 256
MAX_RESULTS = 32
MAX_CONDITIONS = 8
MAX_DATA = 10 * 1024
MAX_IPS = 16
MAX_INTERFACE_NAME = 256
MAX_HARDWARE_ADDRESS = 128
_SOURCES = ("FromClaim", "FromClass")


def drop_returned(obj: dict[str, Any], old: Object) -> None:
    """What drivers said of devices goes with the allocation that held them."""
    status = obj.get("status") or {}
    returned = _allocated(old.get("status") or {}) - _allocated(status)
    if returned and status.get("devices"):
        left = [d for d in status["devices"] if _device_id(d) not in returned]
        status.pop("devices")
        if left:
            status["devices"] = left


def _allocated(status: Fields) -> set[str]:
    return {_device_id(r) for r in ((status.get("allocation") or {}).get("devices") or {}).get("results") or ()}


def validate_claim_status(obj: Object, old: Object) -> ErrorList:
    status, before, path = obj.get("status") or {}, old.get("status") or {}, Path("status")
    allocation, reserved = status.get("allocation"), status.get("reservedFor") or []
    errors = each(
        reserved, _consumer, path.child("reservedFor"), limit=MAX_RESERVED_FOR, key=lambda c: c.get("uid") or ""
    )
    results = ((allocation or {}).get("devices") or {}).get("results") or ()
    allocated = {_device_id(result) for result in results}
    devices = status.get("devices") or ()
    errors += each(
        devices, partial(_device_status, allocated=allocated), path.child("devices"), limit=len(devices), key=_device_id
    )
    if reserved and allocation is None:
        errors.append(forbidden(path.child("reservedFor"), "may not be specified when `allocated` is not set"))
    elif reserved and is_deleting(obj) and any(r not in (before.get("reservedFor") or ()) for r in reserved):
        why = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
        errors.append(forbidden(path.child("reservedFor"), why))
    if allocation is None:
        return errors
    if before.get("allocation") is not None:
        return errors + immutable(allocation, before["allocation"], path.child("allocation"))
    return errors + _allocation(allocation, path.child("allocation"), request_names(obj.get("spec") or {}))


def _consumer(consumer: Fields, path: Path) -> ErrorList:
    return [required(path.child(field)) for field in ("resource", "name", "uid") if not consumer.get(field)]


def _allocation(allocation: Fields, path: Path, known: RequestNames) -> ErrorList:
    devices, at = allocation.get("devices") or {}, path.child("devices")

    def result(item: Fields, where: Path) -> ErrorList:
        return _result(item, where, known)

    def config(item: Fields, where: Path) -> ErrorList:
        source = item.get("source") or ""
        errors: ErrorList = []
        if not source:
            errors.append(required(where.child("source")))
        elif source not in _SOURCES:
            errors.append(not_supported(where.child("source"), source, _SOURCES))
        return errors + validate_request_refs(item, where, known) + validate_configuration(item, where)

    errors = each(devices.get("results"), result, at.child("results"), limit=MAX_RESULTS)
    errors += each(devices.get("config"), config, at.child("config"), limit=2 * MAX_LIST)
    if allocation.get("nodeSelector") is not None:
        errors += validate_node_selector(allocation["nodeSelector"], path.child("nodeSelector"), check_values=False)
    return errors


def _result(result: Fields, path: Path, known: RequestNames) -> ErrorList:
    errors = request_reference(result.get("request") or "", path.child("request"), known)
    errors += _identity(result, path)
    errors += validate_binding_conditions(result, path)
    return errors + validate_tolerations(result.get("tolerations"), path.child("tolerations"))


def _identity(device: Fields, path: Path) -> ErrorList:
    errors = validate_driver_name(device.get("driver") or "", path.child("driver"))
    errors += validate_pool_name(device.get("pool") or "", path.child("pool"))
    return errors + label(device.get("device") or "", path.child("device"))


def _device_id(device: Fields) -> str:
    parts = [device.get(field) or "" for field in ("driver", "pool", "device")]
    return "/".join([*parts, device["shareID"]] if device.get("shareID") else parts)


def _device_status(device: Fields, path: Path, *, allocated: set[str]) -> ErrorList:
    errors = _identity(device, path)
    found = _device_id(device)
    if found not in allocated:  # the value prints itself, and so comes without quotes
        why = "must be an allocated device in the claim"
        errors.append(FieldError("FieldValueInvalid", "Invalid value", str(path), found, why))
    conditions, at = device.get("conditions") or (), path.child("conditions")
    if len(conditions) > MAX_CONDITIONS:
        errors.append(too_many(at, len(conditions), MAX_CONDITIONS))
    errors += validate_conditions(conditions, at)
    if device.get("data") is not None:
        errors += _data(device["data"], path.child("data"))
    return errors + _network(device.get("networkData") or {}, path.child("networkData"))


def _data(data: Any, path: Path) -> ErrorList:
    if len(go_json(data).encode()) > MAX_DATA:
        return [too_long(path, MAX_DATA)]
    if not isinstance(data, Mapping):
        return [invalid(path, "<value omitted>", "must be a valid JSON object")]
    return []


def _network(network: Fields, path: Path) -> ErrorList:
    errors: ErrorList = []
    for field, limit in (("interfaceName", MAX_INTERFACE_NAME), ("hardwareAddress", MAX_HARDWARE_ADDRESS)):
        if len((network.get(field) or "").encode()) > limit:
            errors.append(too_long(path.child(field), limit))
    return errors + each(network.get("ips"), _interface_address, path.child("ips"), limit=MAX_IPS, key=lambda ip: ip)


def _interface_address(text: str, path: Path) -> ErrorList:
    """An address and the length of its network's prefix, both as they are usually written."""
    try:
        if "/" not in text:
            raise ValueError(text)
        found = ipaddress.ip_interface(text)
    except ValueError:
        why = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)"
        return [invalid(path, text, why)]
    if str(found) != text:
        return [invalid(path, text, f'must be in canonical form ("{found}")')]
    return []
