"""LimitRange: bounds and defaults of resources in a namespace."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from apiserver.kinds.validation.common import qualified_name
from apiserver.kinds.validation.pod.defaults import round_resources
from apiserver.kinds.validation.pod.requirements import (
    allows_overcommit,
    validate_container_resource_name,
    validate_resource_name,
)
from apiserver.registry.kind import Context, Kind, Strategy
from kubeling.api import fields, quantity
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object
from kubeling.api.quantity import Quantity
from kubeling.api.resources import LIMIT_RANGES

_TYPES = frozenset({"Container", "PersistentVolumeClaim", "Pod"})
_BOUNDS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")
_LIMITS = Path("spec", "limits")
_ONE = quantity.parse("1")
Amounts = dict[str, Quantity]


class LimitRangeStrategy(Strategy):
    allow_create_on_update = True

    def default(self, obj: Object) -> None:
        for item in obj.setdefault("spec", {}).get("limits") or ():
            if item.get("type") == "Container":
                _default_container(item)
            for bound in _BOUNDS:
                round_resources(item, bound)

    def prepare_for_create(self, ctx: Context, obj: Object) -> None:
        """A limit range without a name is named by a UUID."""
        metadata = obj.setdefault("metadata", {})
        if not metadata.get("name"):
            metadata["name"] = str(uuid.uuid4())

    def canonicalize(self, obj: Object) -> None:
        """An empty list becomes null, as upstream's storage makes it."""
        obj["spec"]["limits"] = obj["spec"].get("limits") or None

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        errors: ErrorList = []
        seen = set[str]()
        for i, item in enumerate((obj.get("spec") or {}).get("limits") or ()):
            at, kind = _LIMITS.index(i), item.get("type") or ""
            errors += _validate_type(kind, at.child("type"))
            if kind in seen:
                errors.append(fields.duplicate(at.child("type"), kind))
            seen.add(kind)
            errors += _validate_item(item, kind, at)
        return errors


def _default_container(item: Object) -> None:
    """Bounds of containers complete each other: default from max, defaultRequest from default, then from min."""
    chain = (("default", "max"), ("defaultRequest", "default"), ("defaultRequest", "min"))
    for target, source in chain:
        for name, amount in (item.get(source) or {}).items():
            item.setdefault(target, {}).setdefault(name, amount)


def _validate_type(kind: str, path: Path) -> ErrorList:
    errors = qualified_name(kind, path)
    if errors or "/" in kind or kind in _TYPES:
        return errors
    return [fields.invalid(path, kind, "must be a standard limit type or fully qualified")]


def _validate_item(item: Mapping[str, Any], kind: str, path: Path) -> ErrorList:
    errors: ErrorList = []
    check = validate_container_resource_name if kind in ("Pod", "Container") else validate_resource_name
    amounts: dict[str, Amounts] = {bound: {} for bound in _BOUNDS}
    for bound in _BOUNDS:
        given = item.get(bound) or {}
        if bound == "maxLimitRequestRatio":
            errors += _validate_claim(item, kind, path)
        if kind == "Pod" and bound in ("default", "defaultRequest"):
            if given:
                errors.append(fields.forbidden(path.child(bound), "may not be specified when `type` is 'Pod'"))
            continue
        for name, amount in sorted(given.items()):
            errors += check(name, path.child(bound).key(name))
            amounts[bound][name] = quantity.parse(amount)
    for name in sorted({n for found in amounts.values() for n in found}):
        errors += _validate_amounts(name, {b: found[name] for b, found in amounts.items() if name in found}, path)
    return errors


def _validate_claim(item: Mapping[str, Any], kind: str, path: Path) -> ErrorList:
    if kind != "PersistentVolumeClaim" or any("storage" in (item.get(b) or {}) for b in ("min", "max")):
        return []
    detail = "either minimum or maximum storage value is required, but neither was provided"
    return [fields.required(path.child("limits"), detail)]


_ORDER = (
    # (smaller, larger, field of the error, which of the two is shown, words for both)
    ("min", "max", "min", "min", "min value", "max value"),
    ("min", "defaultRequest", "defaultRequest", "defaultRequest", "min value", "default request value"),
    ("defaultRequest", "max", "defaultRequest", "defaultRequest", "default request value", "max value"),
    ("defaultRequest", "default", "defaultRequest", "defaultRequest", "default request value", "default limit value"),
    ("min", "default", "default", "min", "min value", "default value"),
    ("default", "max", "default", "max", "default value", "max value"),
)


def _validate_amounts(name: str, found: Mapping[str, Quantity], path: Path) -> ErrorList:
    errors: ErrorList = []
    for small, large, field, shown, small_words, large_words in _ORDER:
        if small in found and large in found and found[small].value > found[large].value:
            detail = f"{small_words} {found[small]} is greater than {large_words} {found[large]}"
            errors.append(fields.invalid(path.child(field).key(name), str(found[shown]), detail))
    errors += _validate_ratio(found, path.child("maxLimitRequestRatio").key(name))
    default, request = found.get("default"), found.get("defaultRequest")
    if default and request and default.value != request.value and not allows_overcommit(name):
        detail = f"default value {default} must equal to defaultRequest value {request} in {name}"
        errors.append(fields.invalid(path.child("defaultRequest").key(name), str(request), detail))
    return errors


def _validate_ratio(found: Mapping[str, Quantity], path: Path) -> ErrorList:
    ratio = found.get("maxLimitRequestRatio")
    if ratio is None:
        return []
    errors: ErrorList = []
    if ratio.value < _ONE.value:
        errors.append(fields.invalid(path, str(ratio), f"ratio {ratio} is less than 1"))
    if "min" in found and "max" in found and found["min"].value > 0:
        limit = float(found["max"].value / found["min"].value)
        if float(ratio.value) > limit:
            detail = f"ratio {ratio} is greater than max/min = {limit:f}"
            errors.append(fields.invalid(path, str(ratio), detail))
    return errors


LIMIT_RANGE = Kind(LIMIT_RANGES, LimitRangeStrategy())
