"""Small checks that many kinds share: names in fields, enumerations, quantities, ports, paths, percentages.

Wording follows k8s.io/apimachinery/pkg/util/validation and pkg/apis/core/validation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kubeling.api import fields, names, quantity
from kubeling.api.fields import ErrorList, Path

POSITIVE = "must be greater than zero"
NOT_NEGATIVE = "must be greater than or equal to 0"
MAX_INT32 = 2**31 - 1


def named(value: str, path: Path, check: Callable[[str], list[str]]) -> ErrorList:
    """``Invalid value`` for each message that ``check`` has about the value."""
    return [fields.invalid(path, value, message) for message in check(value)]


def dns_label(value: str, path: Path) -> ErrorList:
    return named(value, path, names.is_dns1123_label)


def dns_subdomain(value: str, path: Path) -> ErrorList:
    return named(value, path, names.is_dns1123_subdomain)


def qualified_name(value: str, path: Path) -> ErrorList:
    return named(value, path, names.is_qualified_name)


def require(owner: Mapping[str, Any], path: Path, *wanted: str) -> ErrorList:
    """``Required value`` for each field that is missing or empty."""
    return [fields.required(path.child(field)) for field in wanted if not owner.get(field)]


def one_of(value: Any, path: Path, supported: Iterable[str], *, missing: str | None = "") -> ErrorList:
    """An enumeration. An empty value is ``Required value`` with detail ``missing``, unsupported when that is None."""
    choices = supported if isinstance(supported, set | frozenset) else list(supported)
    if value in choices:
        return []
    if not value and missing is not None:
        return [fields.required(path, missing)]
    return [fields.not_supported(path, value or "", choices)]


def in_range(value: int, path: Path, low: int, high: int) -> ErrorList:
    return [] if low <= value <= high else [fields.invalid(path, value, f"must be between {low} and {high}, inclusive")]


def nonnegative_quantity(text: Any, path: Path) -> ErrorList:
    amount = quantity.parse(text)
    return [fields.invalid(path, str(amount), NOT_NEGATIVE)] if amount.value < 0 else []


def port_number(port: int, path: Path) -> ErrorList:
    return [fields.invalid(path, port, m) for m in names.is_port_number(port)]


def port_number_or_name(port: int | str | None, path: Path) -> ErrorList:
    if isinstance(port, str):
        return named(port, path, names.is_port_name)
    return port_number(port or 0, path)


def no_backsteps(target: str, path: Path) -> ErrorList:
    return [fields.invalid(path, target, "must not contain '..'")] if ".." in target.split("/") else []


def local_descending_path(target: str, path: Path) -> ErrorList:
    """A relative path without ``..``."""
    errors = [fields.invalid(path, target, "must be a relative path")] if target.startswith("/") else []
    return errors + no_backsteps(target, path)


def local_non_reserved_path(target: str, path: Path) -> ErrorList:
    errors = local_descending_path(target, path)
    if target.startswith("..") and not target.startswith("../"):
        errors.append(fields.invalid(path, target, "must not start with '..'"))
    return errors


def int_or_percent(value: int | str | None, path: Path) -> ErrorList:
    """A count that is not negative, or a percentage."""
    if isinstance(value, str):
        if re.fullmatch(names.PERCENT, value):
            return []
        message = "a valid percent string must be a numeric string followed by an ending '%'"
        return [fields.invalid(path, value, names.regex_error(message, names.PERCENT, "1%", "93%"))]
    return [fields.invalid(path, value, NOT_NEGATIVE)] if (value or 0) < 0 else []


def percent_of(value: int | str | None) -> int | None:
    """The number in ``"25%"``; None for anything else."""
    if isinstance(value, str) and re.fullmatch(names.PERCENT, value):
        return int(value[:-1])
    return None


def not_over_100_percent(value: int | str | None, path: Path) -> ErrorList:
    percent = percent_of(value)
    return (
        [fields.invalid(path, value, "must not be greater than 100%")] if percent is not None and percent > 100 else []
    )


def int_or_percent_value(value: int | str | None) -> int:
    """What validation compares with zero: the count itself or the percentage."""
    percent = percent_of(value)
    return percent if percent is not None else value if isinstance(value, int) else 0
