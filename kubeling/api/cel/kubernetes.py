"""Quantities, semantic versions and named formats; and the environment that every Kubernetes expression starts from."""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from kubeling.api import names, quantity
from kubeling.api.quantity import Quantity, QuantityError

from .authorizer import AUTHORIZATION
from .env import Env, Function, function, of, on
from .errors import CelError
from .network import NETWORK, parse_url
from .standard import STANDARD, walked
from .text import TEXT
from .types import BOOL, DOUBLE, FORMAT, INT, QUANTITY, SEMVER, STRING, list_of, optional_of
from .values import INT_RANGE, NO_OVERLOAD, NONE, Opaque, Optional, parse_timestamp


def parse_quantity(text: Any) -> Quantity:
    if not isinstance(text, str):
        raise CelError(NO_OVERLOAD)
    try:
        return quantity.parse(text)
    except QuantityError as error:
        raise CelError(str(error)) from None


def _is_quantity(text: Any) -> bool:
    try:
        parse_quantity(text)
    except CelError as error:
        if str(error) == NO_OVERLOAD:
            raise
        return False
    return True


def _as_quantity(value: Any) -> Quantity:
    return Quantity(Decimal(value)) if type(value) is int else value


def _is_integer(value: Quantity) -> bool:
    return value.value == value.value.to_integral_value() and INT_RANGE[0] <= value.value <= INT_RANGE[1]


def _as_integer(value: Quantity) -> int:
    if not _is_integer(value):
        raise CelError("cannot convert value to integer")
    return int(value.value)


@dataclass(frozen=True, slots=True)
class Semver(Opaque):
    numbers: tuple[int, int, int]
    prerelease: tuple[str, ...]
    type = SEMVER

    def key(self) -> tuple[Any, ...]:
        """Versions in order; a pre-release comes before its release."""
        parts = tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in self.prerelease)
        return (self.numbers, not self.prerelease, parts)


_NUMBER = r"(0|[1-9]\d*)"
_VERSION = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][\w-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][\w-]*))*))?(?:\+([\w.-]+))?",
    re.ASCII,
)


def parse_semver(text: Any, normalize: bool = False) -> Semver:
    if not isinstance(text, str):
        raise CelError(NO_OVERLOAD)
    plain = text
    if normalize:
        plain = text.removeprefix("v")
        core = plain[: len(plain) - len(plain.lstrip("0123456789."))]
        rest = plain[len(core) :]
        parts = [p.lstrip("0") or "0" if p else p for p in core.split(".")]
        plain = ".".join(parts + ["0"] * (3 - len(parts))) + rest
    found = _VERSION.fullmatch(plain)
    if found is None:
        dots = plain.split(".", 2)
        raise CelError(
            "No Major.Minor.Patch elements found"
            if len(dots) != 3
            else f'Invalid character(s) found in version "{plain}"'
        )
    return Semver((int(found[1]), int(found[2]), int(found[3])), tuple(found[4].split(".")) if found[4] else ())


def _is_semver(text: Any, normalize: bool = False) -> bool:
    try:
        parse_semver(text, normalize)
    except CelError:
        return False
    return True


def _order(a: Any, b: Any) -> int:
    if isinstance(a, Semver) and isinstance(b, Semver):
        return (a.key() > b.key()) - (a.key() < b.key())
    return int(a.value > b.value) - int(a.value < b.value)


@dataclass(frozen=True, slots=True)
class Format(Opaque):
    name: str
    check: Callable[[str], list[str]]
    type = FORMAT


def _prefix(check: Callable[[str], list[str]]) -> Callable[[str], list[str]]:
    return lambda text: check(text[:-1] + "a" if text.endswith("-") else text)


def _simple(good: Callable[[str], Any], message: str) -> Callable[[str], list[str]]:
    def run(text: str) -> list[str]:
        try:
            return [] if good(text) else [message]
        except (ValueError, binascii.Error, CelError):
            return [message]

    return run


def _uuid(text: str) -> bool:
    return (
        bool(uuid.UUID(text)) and re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text) is not None
    )


_FORMATS: dict[str, Callable[[str], list[str]]] = {
    "dns1123Label": names.is_dns1123_label,
    "dns1123Subdomain": names.is_dns1123_subdomain,
    "dns1035Label": names.is_dns1035_label,
    "qualifiedName": names.is_qualified_name,
    "labelValue": names.is_label_value,
    "dns1123LabelPrefix": _prefix(names.is_dns1123_label),
    "dns1123SubdomainPrefix": _prefix(names.is_dns1123_subdomain),
    "dns1035LabelPrefix": _prefix(names.is_dns1035_label),
    "uri": _simple(parse_url, "invalid URI"),
    "uuid": _simple(_uuid, "does not match the UUID format"),
    "byte": _simple(lambda t: base64.b64decode(t, validate=True) is not None, "invalid base64"),
    "date": _simple(
        lambda t: re.fullmatch(r"\d{4}-\d\d-\d\d", t) and parse_timestamp(t + "T00:00:00Z"), "invalid date"
    ),
    "datetime": _simple(parse_timestamp, "invalid datetime"),
}


def _validate(form: Format, text: Any) -> Optional:
    if not isinstance(text, str):
        raise CelError(NO_OVERLOAD)
    problems = form.check(text)
    return Optional(problems) if problems else NONE


def _named(name: Any) -> Optional:
    return Optional(Format(name, _FORMATS[name])) if name in _FORMATS else NONE


def _constant(name: str) -> Function:
    made = Format(name, _FORMATS[name])
    return function(f"format.{name}", lambda: made, of(FORMAT))


_WALK = walked(0.1, 0)
KUBERNETES: tuple[Function, ...] = (
    function("quantity", parse_quantity, of(QUANTITY, STRING), cost=_WALK),
    function("isQuantity", _is_quantity, of(BOOL, STRING), cost=_WALK),
    function("sign", lambda q: (q.value > 0) - (q.value < 0), on(QUANTITY, INT)),
    function("isInteger", _is_integer, on(QUANTITY, BOOL)),
    function("asInteger", _as_integer, on(QUANTITY, INT)),
    function("asApproximateFloat", lambda q: float(q.value), on(QUANTITY, DOUBLE)),
    function("add", lambda a, b: a + _as_quantity(b), on(QUANTITY, QUANTITY, QUANTITY), on(QUANTITY, QUANTITY, INT)),
    function("sub", lambda a, b: a - _as_quantity(b), on(QUANTITY, QUANTITY, QUANTITY), on(QUANTITY, QUANTITY, INT)),
    function("isGreaterThan", lambda a, b: _order(a, b) > 0, on(QUANTITY, BOOL, QUANTITY), on(SEMVER, BOOL, SEMVER)),
    function("isLessThan", lambda a, b: _order(a, b) < 0, on(QUANTITY, BOOL, QUANTITY), on(SEMVER, BOOL, SEMVER)),
    function("compareTo", _order, on(QUANTITY, INT, QUANTITY), on(SEMVER, INT, SEMVER)),
    function("semver", parse_semver, of(SEMVER, STRING), of(SEMVER, STRING, BOOL), cost=_WALK),
    function("isSemver", _is_semver, of(BOOL, STRING), of(BOOL, STRING, BOOL), cost=_WALK),
    function("major", lambda v: v.numbers[0], on(SEMVER, INT)),
    function("minor", lambda v: v.numbers[1], on(SEMVER, INT)),
    function("patch", lambda v: v.numbers[2], on(SEMVER, INT)),
    function("format.named", _named, of(optional_of(FORMAT), STRING)),
    function("validate", _validate, on(FORMAT, optional_of(list_of(STRING)), STRING), cost=walked(0.1, 1)),
    *(_constant(name) for name in _FORMATS),
)

BASE = Env().extend({}, (*STANDARD, *TEXT, *NETWORK, *KUBERNETES, *AUTHORIZATION))
"""What every Kubernetes expression may use; variables are added by who evaluates."""
