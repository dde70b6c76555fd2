"""StorageClass and VolumeAttributesClass: how volumes are provisioned and tuned."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from apiserver.kinds.printing import AGE, NAME, age_of, column, name_status_age
from apiserver.kinds.strategies import default_to
from apiserver.kinds.validation.common import qualified_name
from apiserver.kinds.validation.meta import immutable, validate_label_name
from apiserver.kinds.validation.pod.warnings import node_label_warning
from apiserver.registry.kind import Context, Kind, Printer, Strategy
from kubeling.api import fields
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, annotations_of, name_of
from kubeling.api.resources import STORAGE_CLASSES, VOLUME_ATTRIBUTES_CLASSES

_DEFAULTS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
_MAX_PARAMETERS, _MAX_SIZE = 512, 256 * 1024
_BINDING_MODES, _RECLAIM_POLICIES = ("Immediate", "WaitForFirstConsumer"), ("Delete", "Retain")


class StorageClassStrategy(Strategy):
    def default(self, obj: Object) -> None:
        obj.setdefault("provisioner", "")
        default_to(obj, "reclaimPolicy", "Delete")
        default_to(obj, "volumeBindingMode", "Immediate")

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        errors = validate_driver(obj.get("provisioner") or "", Path("provisioner"))
        errors += validate_parameters(obj.get("parameters") or {}, Path("parameters"), required=False)
        policy, mode = obj.get("reclaimPolicy"), obj.get("volumeBindingMode")
        if policy not in _RECLAIM_POLICIES:
            errors.append(fields.not_supported(Path("reclaimPolicy"), policy, _RECLAIM_POLICIES))
        if mode not in _BINDING_MODES:
            errors.append(fields.not_supported(Path("volumeBindingMode"), mode, _BINDING_MODES))
        return errors + _validate_topologies(obj.get("allowedTopologies") or (), Path("allowedTopologies"))

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        errors = self.validate(ctx, obj)
        for name in ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"):
            errors += immutable(obj.get(name) or None, old.get(name) or None, Path(name))
        return errors

    def warnings_on_create(self, ctx: Context, obj: Object) -> list[str]:
        return _topology_warnings(obj)

    def warnings_on_update(self, ctx: Context, obj: Object, old: Object) -> list[str]:
        return _topology_warnings(obj)


class VolumeAttributesClassStrategy(Strategy):
    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        errors = validate_driver(obj.get("driverName") or "", Path("driverName"))
        return errors + validate_parameters(obj.get("parameters") or {}, Path("parameters"), required=True)

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        found = self.validate(ctx, obj)
        return found + _forbidden_changes(obj, old, "driverName", "parameters") + found  # upstream validates twice


def validate_driver(name: str, path: Path) -> ErrorList:
    """A provisioner or driver: a qualified name in any case; messages show it in lower case."""
    return qualified_name(name.lower(), path) if name else [fields.required(path)]


def validate_parameters(parameters: Mapping[str, str], path: Path, *, required: bool) -> ErrorList:
    if len(parameters) > _MAX_PARAMETERS:
        return [fields.too_long(path, _MAX_PARAMETERS)]
    errors = [fields.invalid(path, key, "field can not be empty.") for key in parameters if not key]
    if sum(len(k.encode()) + len(v.encode()) for k, v in parameters.items()) > _MAX_SIZE:
        errors.append(fields.too_long(path, _MAX_SIZE))
    if required and not parameters:
        errors.append(fields.required(path, "must contain at least one key/value pair"))
    return errors


def _forbidden_changes(obj: Object, old: Object, *names: str) -> ErrorList:
    return [
        fields.forbidden(Path(name), f"updates to {name} are forbidden.")
        for name in names
        if (obj.get(name) or None) != (old.get(name) or None)
    ]


def _validate_topologies(terms: Any, path: Path) -> ErrorList:
    errors: ErrorList = []
    seen: list[Any] = []
    for i, term in enumerate(terms):
        at, values = path.index(i), {}
        for j, expression in enumerate(term.get("matchLabelExpressions") or ()):
            at_expression = at.child("matchLabelExpressions").index(j)
            errors += _validate_expression(expression, at_expression)
            key = expression.get("key", "")
            if key in values:
                errors.append(fields.duplicate(at_expression.child("key"), key))
            values[key] = frozenset(expression.get("values") or ())
        if values in seen:
            errors.append(fields.duplicate(at.child("matchLabelExpressions"), ""))
        seen.append(values)
    return errors


def _validate_expression(expression: Mapping[str, Any], path: Path) -> ErrorList:
    values, at = list(expression.get("values") or ()), path.child("values")
    errors = [] if values else [fields.required(at)]
    errors += [fields.duplicate(at.index(i), v) for i, v in enumerate(values) if v in values[:i]]
    return errors + validate_label_name(expression.get("key", ""), path.child("key"))


def _topology_warnings(obj: Object) -> list[str]:
    return [
        f"allowedTopologies[{i}].matchLabelExpressions[{j}].key: {text}"
        for i, term in enumerate(obj.get("allowedTopologies") or ())
        for j, expression in enumerate(term.get("matchLabelExpressions") or ())
        if (text := node_label_warning(expression.get("key", "")))
    ]


def _row(obj: Object, now: datetime) -> list[Any]:
    is_default = any(annotations_of(obj).get(name) == "true" for name in _DEFAULTS)
    return [
        name_of(obj) + (" (default)" if is_default else ""),
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy") or "Delete",
        obj.get("volumeBindingMode") or "Immediate",
        bool(obj.get("allowVolumeExpansion")),
        age_of(obj, now),
    ]


_CLASS = "storage.v1.StorageClass:"
STORAGE_CLASS = Kind(
    STORAGE_CLASSES,
    StorageClassStrategy(),
    Printer(
        (
            NAME,
            column("Provisioner", _CLASS + "provisioner"),
            column("ReclaimPolicy", _CLASS + "reclaimPolicy"),
            column("VolumeBindingMode", _CLASS + "volumeBindingMode"),
            column("AllowVolumeExpansion", _CLASS + "allowVolumeExpansion"),
            AGE,
        ),
        _row,
    ),
    returns_deleted=True,
)
VOLUME_ATTRIBUTES_CLASS = Kind(
    VOLUME_ATTRIBUTES_CLASSES,
    VolumeAttributesClassStrategy(),
    Printer(
        (NAME, column("DriverName", "storage.v1.VolumeAttributesClass:driverName"), AGE),
        name_status_age(lambda obj: obj.get("driverName", "")),
    ),
    returns_deleted=True,
)
