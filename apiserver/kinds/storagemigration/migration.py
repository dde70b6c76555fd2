"""StorageVersionMigration: all objects of a resource are to be written again, in the form in which they are stored today.

Source of the rules: pkg/apis/storagemigration/validation and pkg/registry/storagemigration.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from apiserver.kinds.printing import column
from apiserver.kinds.strategies import SpecStrategy, StatusStrategy
from apiserver.kinds.validation.conditions import validate_conditions
from apiserver.registry.kind import Context, Kind, Printer
from kubeling.api import fields
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, has_condition, name_of
from kubeling.api.resources import STORAGE_VERSION_MIGRATIONS

_STATUS = Path("status")
_CONDITIONS = _STATUS.child("conditions")


class MigrationStrategy(SpecStrategy):
    allow_unconditional_update = False
    empty_status: Mapping[str, Any] = {}  # constant

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        if not _resource(obj).get("resource"):
            return [fields.required(Path("spec").child("resource").child("resource"), "resource is required")]
        return []

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        new, before = _resource(obj), _resource(old)
        return self.validate(ctx, obj) + [
            fields.invalid(Path(name), new.get(name) or "", "field is immutable")
            for name in ("group", "resource")
            if (new.get(name) or "") != (before.get(name) or "")
        ]


class MigrationStatusStrategy(StatusStrategy):
    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        status, before = obj.get("status") or {}, (old.get("status") or {}).get("resourceVersion") or ""
        version, at = status.get("resourceVersion") or "", _STATUS.child("resourceVersion")
        errors = _validate_version(version, at)
        errors += validate_conditions(status.get("conditions") or (), _CONDITIONS)
        if before and before != version:
            errors.append(fields.invalid(at, version, "cannot be updated"))
        conditions = status.get("conditions") or []
        return errors + [fields.invalid(_CONDITIONS, conditions, text) for text in _contradictions(obj, old)]


def _resource(obj: Object) -> dict[str, Any]:
    return (obj.get("spec") or {}).get("resource") or {}


def _validate_version(version: str, path: Path) -> ErrorList:
    if not version:
        return []
    if not version.removeprefix("-").removeprefix("+").isdecimal():
        why = f'failed to parse resource version "{version}": strconv.ParseInt: parsing "{version}": invalid syntax'
        return [fields.invalid(path, version, why)]
    number = int(version)
    return [] if number >= 0 else [fields.invalid(path, number, "must be greater than or equal to 0")]


def _contradictions(obj: Object, old: Object) -> list[str]:
    """What the conditions may not say together, and what they may not take back."""
    succeeded, failed, running = (has_condition(obj, type_) for type_ in ("Succeeded", "Failed", "Running"))
    rules = (
        (succeeded and failed, "Both success and failed conditions cannot be true at the same time"),
        (succeeded and running, "Running condition cannot be true when success condition is true"),
        (failed and running, "Running condition cannot be true when failed condition is true"),
        (has_condition(old, "Succeeded") and not succeeded, "Success condition cannot be set to false once it is true"),
        (has_condition(old, "Failed") and not failed, "Failed condition cannot be set to false once it is true"),
    )
    return [text for broken, text in rules if broken]


def _row(obj: Object, now: datetime) -> list[Any]:
    resource = _resource(obj)
    group = resource.get("group") or ""
    return [name_of(obj), f"{resource.get('resource', '')}{'.' if group else ''}{group}"]


_STRATEGY = MigrationStrategy()
STORAGE_VERSION_MIGRATION = Kind(
    STORAGE_VERSION_MIGRATIONS,
    _STRATEGY,
    Printer((column("Name", "v1.ObjectMeta:name"), column("Resource", "Fully qualified resource to migrate")), _row),
    status=MigrationStatusStrategy(_STRATEGY),
    returns_deleted=True,
)
