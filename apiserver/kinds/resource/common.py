"""What the kinds of dynamic resource allocation check alike (pkg/apis/resource/validation upstream)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from apiserver.kinds.validation.pod.storage_volumes import validate_csi_driver_name
from kubeling.api import names
from kubeling.api.fields import ErrorList, Path, duplicate, invalid, required, too_long, too_many

MAX_LIST = 32
"""Requests, constraints, configurations and selectors."""
MAX_ID = 32
_C_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"


def each(
    items: Sequence[Any] | None,
    check: Callable[[Any, Path], ErrorList],
    path: Path,
    *,
    limit: int = MAX_LIST,
    key: Callable[[Any], Any] | None = None,
) -> ErrorList:
    """Checks a list of at most ``limit`` items (a longer one is not looked into), unique by ``key``."""
    items = items or ()
    if len(items) > limit:
        return [too_many(path, len(items), limit)]
    errors: ErrorList = []
    for i, item in enumerate(items):
        errors += check(item, path.index(i))
    if key is None:
        return errors
    keys = [key(item) for item in items]
    return errors + [duplicate(path.index(i), k) for i, k in enumerate(keys) if k in keys[:i]]


def validate_driver_name(name: str, path: Path) -> ErrorList:
    """As that of a CSI driver, but an empty one is told of once."""
    return validate_csi_driver_name(name, path) if name else [required(path)]


def label(value: str, path: Path) -> ErrorList:
    return [invalid(path, value, m) for m in names.is_dns1123_label(value)]


def qualified_name(name: str, path: Path, *, with_domain: bool = False) -> ErrorList:
    """The name of an attribute or a capacity: a C identifier, a domain before it where wanted."""
    domain, slash, local = name.rpartition("/")
    if name.count("/") > 1:
        return [invalid(path, name, "must not contain more than one slash")]
    errors: ErrorList = []
    if slash:
        errors += validate_driver_name(domain, path) if domain else [invalid(path, "", "the domain must not be empty")]
    if slash and not local:
        return [*errors, invalid(path, "", "the name must not be empty")]
    if len(local) > MAX_ID:
        errors.append(too_long(path, MAX_ID))
    if not re.fullmatch(_C_IDENTIFIER, local):
        rule = (
            "a valid C identifier must start with alphabetic character or '_', "
            "followed by a string of alphanumeric characters or '_'"
        )
        why = names.regex_error(rule, _C_IDENTIFIER, "my_name", "MY_NAME", "MyName")
        errors.append(invalid(path, local, why))
    if with_domain and not slash:
        why = "a fully qualified name must be a domain and a name separated by a slash"
        errors.append(invalid(path, name, why))
    return errors
