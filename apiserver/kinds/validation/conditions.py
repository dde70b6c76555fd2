"""Conditions of the common type ``metav1.Condition`` (k8s.io/apimachinery/pkg/apis/meta/v1/validation)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from kubeling.api import names
from kubeling.api.fields import ErrorList, Path, duplicate, invalid, not_supported, required, too_long

MAX_REASON = 1024
MAX_MESSAGE = 32 * 1024
_STATUSES = ("False", "True", "Unknown")
_REASON = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?"
_REASON_TEXT = (
    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters "
    "or '_,:', and must end with an alphanumeric character or '_'"
)
_EXAMPLES = ("my_name", "MY_NAME", "MyName", "ReasonA,ReasonB", "ReasonA:ReasonB")


def label_name(value: str, path: Path) -> ErrorList:
    """A qualified name, as the key of a label is one."""
    return [invalid(path, value, message) for message in names.is_qualified_name(value)]


def validate_conditions(conditions: Sequence[Mapping[str, Any]] | None, path: Path) -> ErrorList:
    errors: ErrorList = []
    seen: set[str] = set()
    for i, condition in enumerate(conditions or ()):
        kind = condition.get("type") or ""
        if kind in seen:
            errors.append(duplicate(path.index(i).child("type"), kind))
        seen.add(kind)
        errors += _validate_condition(condition, path.index(i))
    return errors


def _validate_condition(condition: Mapping[str, Any], path: Path) -> ErrorList:
    errors = label_name(condition.get("type") or "", path.child("type"))
    status = condition.get("status") or ""
    if status not in _STATUSES:
        errors.append(not_supported(path.child("status"), status, _STATUSES))
    generation = condition.get("observedGeneration") or 0
    if generation < 0:
        why = "must be greater than or equal to zero"
        errors.append(invalid(path.child("observedGeneration"), generation, why))
    if not condition.get("lastTransitionTime"):
        errors.append(required(path.child("lastTransitionTime"), "must be set"))
    errors += _validate_reason(condition.get("reason") or "", path.child("reason"))
    if len((condition.get("message") or "").encode()) > MAX_MESSAGE:
        errors.append(too_long(path.child("message"), MAX_MESSAGE))
    return errors


def _validate_reason(reason: str, path: Path) -> ErrorList:
    if not reason:
        return [required(path, "must be set")]
    errors: ErrorList = []
    if not re.fullmatch(_REASON, reason):
        errors.append(invalid(path, reason, names.regex_error(_REASON_TEXT, _REASON, *_EXAMPLES)))
    if len(reason) > MAX_REASON:
        errors.append(too_long(path, MAX_REASON))
    return errors
