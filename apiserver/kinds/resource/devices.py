"""Tolerations, taints and binding conditions of devices, and the devices of a slice (pkg/apis/resource/validation upstream)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from apiserver.kinds.resource.common import each, label, qualified_name
from apiserver.kinds.validation.conditions import label_name
from apiserver.kinds.validation.selectors import validate_node_selector
from kubeling.api import names
from kubeling.api.fields import ErrorList, Path, duplicate, invalid, not_supported, required, too_long, too_many
from kubeling.api.meta import rfc3339

Fields = Mapping[str, Any]

MAX_TAINTS = 16
MAX_TOLERATIONS = 16
MAX_BINDING_CONDITIONS = 4
MAX_ATTRIBUTES_AND_CAPACITIES = 32
MAX_COUNTERS = 32
MAX_CONSUMPTIONS = 2
MAX_ATTRIBUTE = 64
_EFFECTS = ("NoExecute", "NoSchedule", "None")
_OPERATORS = ("Equal", "Exists")
_VALUES = {"int": "IntValue", "bool": "BoolValue", "string": "StringValue", "version": "VersionValue"}
_ONE_VALUE = "exactly one value must be specified"
_PLACES = (
    "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in "
    "the ResourceSlice spec"
)
_NO_PLACES = (
    "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the "
    "ResourceSlice spec"
)
_NUMBER, _BUILD = r"(0|[1-9]\d*)", "[0-9a-zA-Z-]+"
_PRE = r"(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_SEMVER = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_PRE}(\.{_PRE})*)?(\+{_BUILD}(\.{_BUILD})*)?", re.ASCII
)  # the grammar of semver.org


def _label_value(value: str, path: Path) -> ErrorList:
    return [invalid(path, value, message) for message in names.is_label_value(value)]


def validate_toleration(toleration: Fields, path: Path) -> ErrorList:
    errors = label_name(toleration["key"], path.child("key")) if toleration.get("key") else []
    operator, value = toleration.get("operator") or "", toleration.get("value") or ""
    if operator == "Exists":
        if value:
            errors.append(invalid(path.child("value"), value, "must be empty for operator `Exists`"))
    elif operator == "Equal":
        errors += _label_value(value, path.child("value"))
    elif not operator:
        errors.append(required(path.child("operator")))
    else:
        errors.append(not_supported(path.child("operator"), operator, _OPERATORS))
    effect = toleration.get("effect") or ""
    if effect and effect not in _EFFECTS:
        errors.append(not_supported(path.child("effect"), effect, _EFFECTS))
    return errors


def validate_tolerations(tolerations: Sequence[Fields] | None, path: Path) -> ErrorList:
    return each(tolerations, validate_toleration, path, limit=MAX_TOLERATIONS)


def stamp_taints(taints: Iterable[dict[str, Any]], now: datetime) -> None:
    """A taint is added when it is first seen."""
    for taint in taints:
        if taint.get("timeAdded") is None:
            taint["timeAdded"] = rfc3339(now)


def validate_taint(taint: Fields, path: Path) -> ErrorList:
    errors = label_name(taint.get("key") or "", path.child("key"))
    if taint.get("value"):
        errors += _label_value(taint["value"], path.child("value"))
    effect = taint.get("effect") or ""
    if not effect:
        errors.append(required(path.child("effect")))
    elif effect not in _EFFECTS:
        errors.append(not_supported(path.child("effect"), effect, _EFFECTS))
    return errors


def validate_binding_conditions(holder: Fields, path: Path) -> ErrorList:
    """``bindingConditions`` and ``bindingFailureConditions``: both or neither, all different."""
    wanted, failing = holder.get("bindingConditions") or [], holder.get("bindingFailureConditions") or []
    at, at_failing = path.child("bindingConditions"), path.child("bindingFailureConditions")
    errors = each(wanted, label_name, at, limit=MAX_BINDING_CONDITIONS)
    errors += each(failing, label_name, at_failing, limit=MAX_BINDING_CONDITIONS)
    errors += [duplicate(at.index(i), c) for i, c in enumerate(wanted) if c in wanted[:i]]
    for i, condition in enumerate(failing):
        if condition in failing[:i]:
            errors.append(duplicate(at_failing.index(i), condition))
        if condition in wanted:
            why = "bindingFailureConditions must not overlap with bindingConditions"
            errors.append(invalid(at_failing.index(i), condition, why))
    if failing and not wanted:
        errors.append(invalid(at, wanted, "bindingConditions are required to use bindingFailureConditions"))
    if wanted and not failing:
        errors.append(invalid(at_failing, failing, "bindingFailureConditions are required to use bindingConditions"))
    return errors


def validate_device(device: Fields, path: Path, old: Fields | None, *, places: bool) -> ErrorList:
    """``old``: the device before an update; ``places``: each device of the slice says where it can be reached from."""
    errors = label(device.get("name") or "", path.child("name"))
    attributes, capacity = device.get("attributes") or {}, device.get("capacity") or {}
    if len(attributes) + len(capacity) > MAX_ATTRIBUTES_AND_CAPACITIES:
        why = f"the total number of attributes and capacities must not exceed {MAX_ATTRIBUTES_AND_CAPACITIES}"
        errors.append(invalid(path, len(attributes) + len(capacity), why))
    for key, attribute in sorted(attributes.items()):
        where = path.child("attributes")
        errors += qualified_name(key, where.key(key)) + _attribute(attribute or {}, where.key(key))
    for key in sorted(capacity):
        errors += qualified_name(key, path.child("capacity").key(key))
    if old is None or old.get("taints") != device.get("taints"):
        errors += each(device.get("taints"), validate_taint, path.child("taints"), limit=MAX_TAINTS)
    consumes = path.child("consumesCounters")
    errors += each(
        device.get("consumesCounters"),
        _consumption,
        consumes,
        limit=MAX_CONSUMPTIONS,
        key=lambda c: c.get("counterSet"),
    )
    errors += _place(device, path) if places else _no_place(device, path)
    return errors + validate_binding_conditions(device, path)


def _attribute(attribute: Fields, path: Path) -> ErrorList:
    given = [field for field in _VALUES if attribute.get(field) is not None]
    if not given:
        return [required(path, _ONE_VALUE)]
    errors: ErrorList = []
    version = attribute.get("version")
    if version is not None and not _SEMVER.fullmatch(version):
        errors.append(invalid(path.child("version"), version, "must be a string compatible with semver.org spec 2.0.0"))
    for field in ("string", "version"):
        if len(str(attribute.get(field) or "").encode()) > MAX_ATTRIBUTE:
            errors.append(too_long(path.child(field), MAX_ATTRIBUTE))
    if len(given) > 1:
        shown = {name: attribute.get(field) for field, name in _VALUES.items()}
        errors.append(invalid(path, shown, _ONE_VALUE))
    return errors


def _consumption(consumption: Fields, path: Path) -> ErrorList:
    name, where = consumption.get("counterSet") or "", path.child("counterSet")
    errors = label(name, where) if name else [required(where)]
    return errors + validate_counters(consumption.get("counters"), path.child("counters"))


def validate_counters(counters: Fields | None, path: Path) -> ErrorList:
    """Counters by their names."""
    if not counters:
        return [required(path)]
    if len(counters) > MAX_COUNTERS:
        return [too_many(path, len(counters), MAX_COUNTERS)]
    return [error for key in sorted(counters) for error in label(key, path)]


def _place(device: Fields, path: Path) -> ErrorList:
    errors: ErrorList = []
    given: list[str] = []
    node, everywhere = device.get("nodeName"), device.get("allNodes")
    if node:
        given.append("`nodeName`")
        errors += [invalid(path.child("nodeName"), node, m) for m in names.is_dns1123_subdomain(node)]
    elif node is not None:
        errors.append(invalid(path.child("nodeName"), node, "must not be empty"))
    if device.get("nodeSelector") is not None:
        given.append("`nodeSelector`")
        errors += validate_node_selector(device["nodeSelector"], path.child("nodeSelector"), check_values=False)
    if everywhere:
        given.append("`allNodes`")
    elif everywhere is not None:
        errors.append(invalid(path.child("allNodes"), everywhere, "must be either unset or set to true"))
    if not given:
        return [*errors, required(path, _PLACES)]
    if len(given) > 1:
        errors.append(invalid(path, f"{{{', '.join(given)}}}", _PLACES))
    return errors


def _no_place(device: Fields, path: Path) -> ErrorList:
    if all(device.get(field) is None for field in ("nodeName", "nodeSelector", "allNodes")):
        return []
    return [invalid(path, None, _NO_PLACES)]
