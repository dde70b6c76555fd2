"""Validation of ResourceSlice (pkg/apis/resource/validation upstream)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.kinds.resource.common import each, label, validate_driver_name
from apiserver.kinds.resource.devices import validate_counters, validate_device
from apiserver.kinds.validation.meta import immutable
from apiserver.kinds.validation.selectors import validate_node_selector
from kubeling.api import names
from kubeling.api.fields import ErrorList, Path, invalid, required, too_long

Fields = Mapping[str, Any]

MAX_DEVICES = 128
MAX_ADVANCED_DEVICES = 64
"""Of a slice whose devices have taints or consume counters."""
MAX_COUNTER_SETS = 8
MAX_POOL_NAME = 253
_PLACES = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"


def validate_slice(obj: Fields, old: Fields | None = None) -> ErrorList:
    """``old``: what the slice was before an update; pool, driver and node stay as they are."""
    spec, path = obj.get("spec") or {}, Path("spec")
    errors = validate_driver_name(spec.get("driver") or "", path.child("driver"))
    errors += _pool(spec.get("pool") or {}, path.child("pool"))
    if old is not None:
        errors += _unchanged(spec, old.get("spec") or {}, path)
    errors += _place(spec, path)
    devices = spec.get("devices") or ()
    if spec.get("sharedCounters") is not None and spec.get("devices") is not None:
        errors.append(invalid(path, "", "only one of `sharedCounters` or `devices` is allowed"))
    advanced = any(d.get("taints") or d.get("consumesCounters") for d in devices)
    limit = MAX_ADVANCED_DEVICES if advanced else MAX_DEVICES
    before = {_name(d): d for d in ((old or {}).get("spec") or {}).get("devices") or ()}

    def device(item: Fields, where: Path) -> ErrorList:
        return validate_device(item, where, before.get(_name(item)), places=bool(spec.get("perDeviceNodeSelection")))

    errors += each(devices, device, path.child("devices"), limit=limit, key=_name)
    counters = path.child("sharedCounters")
    return errors + each(spec.get("sharedCounters"), _counter_set, counters, limit=MAX_COUNTER_SETS, key=_name)


def _name(item: Fields) -> str:
    return item.get("name") or ""


def _unchanged(spec: Fields, old: Fields, path: Path) -> ErrorList:
    pool, pool_before = spec.get("pool") or {}, old.get("pool") or {}
    errors = immutable(_name(pool), _name(pool_before), path.child("pool", "name"))
    errors += immutable(spec.get("driver") or "", old.get("driver") or "", path.child("driver"))
    return errors + immutable(spec.get("nodeName"), old.get("nodeName"), path.child("nodeName"))


def validate_pool_name(name: str, path: Path) -> ErrorList:
    """DNS names with slashes between them."""
    errors: ErrorList = []
    if not name:
        errors.append(required(path))
    if len(name) > MAX_POOL_NAME:
        errors.append(too_long(path, MAX_POOL_NAME))
    for part in name.split("/") if name else ():
        errors += [invalid(path, part, m) for m in names.is_dns1123_subdomain(part)]
    return errors


def _pool(pool: Fields, path: Path) -> ErrorList:
    errors = validate_pool_name(_name(pool), path.child("name"))
    count, generation = pool.get("resourceSliceCount") or 0, pool.get("generation") or 0
    if count <= 0:
        errors.append(invalid(path.child("resourceSliceCount"), count, "must be greater than zero"))
    if generation < 0:
        errors.append(invalid(path.child("generation"), generation, "must be greater than or equal to zero"))
    return errors


def _place(spec: Fields, path: Path) -> ErrorList:
    """Where the devices of the slice can be reached from."""
    errors: ErrorList = []
    given: list[str] = []
    node, selector = spec.get("nodeName"), spec.get("nodeSelector")
    if node:
        given.append("`nodeName`")
        errors += [invalid(path.child("nodeName"), node, m) for m in names.is_dns1123_subdomain(node)]
    elif node is not None:
        errors.append(invalid(path.child("nodeName"), node, "must be either unset or set to a non-empty string"))
    if selector is not None:
        given.append("`nodeSelector`")
        errors += _one_term(selector, path.child("nodeSelector"))
    for field in ("allNodes", "perDeviceNodeSelection"):
        if spec.get(field):
            given.append(f"`{field}`")
        elif spec.get(field) is not None:
            errors.append(invalid(path.child(field), False, "must be either unset or set to true"))
    if not given:
        return [*errors, required(path, _PLACES)]
    if len(given) > 1:
        errors.append(invalid(path, f"{{{', '.join(given)}}}", f"{_PLACES}, but multiple fields are set"))
    return errors


def _one_term(selector: Fields, path: Path) -> ErrorList:
    errors = validate_node_selector(selector, path, check_values=False)
    terms = selector.get("nodeSelectorTerms") or []
    if len(terms) != 1:
        errors.append(invalid(path.child("nodeSelectorTerms"), terms, "must have exactly one node selector term"))
    return errors


def _counter_set(counters: Fields, path: Path) -> ErrorList:
    errors = label(_name(counters), path.child("name")) if _name(counters) else [required(path.child("name"))]
    return errors + validate_counters(counters.get("counters"), path.child("counters"))
