"""Resource quantities: exact decimal values with Kubernetes' suffixes and canonical form.

Source: k8s.io/apimachinery/pkg/api/resource (grammar and canonicalisation rules of ``Quantity``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from typing import Any

_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_GRAMMAR = re.compile(r"([+-]?)([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?[0-9]+)?")
_NANO = Decimal("1e-9")
_MAX = Decimal(2**63 - 1)

FORMAT_ERROR = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
SUFFIX_ERROR = "unable to parse quantity's suffix"
_LOOSE = re.compile(r"([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)")


class QuantityError(ValueError):
    """The text is no quantity; the message is upstream's."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value with the format it was written in: ``BinarySI``, ``DecimalSI`` or ``DecimalExponent``."""

    value: Decimal
    format: str = "DecimalSI"

    def __str__(self) -> str:
        """The canonical form: no fraction, the largest suffix that keeps the value exact."""
        return _canonical(self.value, self.format)

    def __add__(self, other: Quantity) -> Quantity:
        return Quantity(self.value + other.value, self.format if self.value else other.format)

    def __sub__(self, other: Quantity) -> Quantity:
        return Quantity(self.value - other.value, self.format if self.value else other.format)

    def milli(self) -> int:
        """The value times 1000, rounded up."""
        return int((self.value * 1000).to_integral_value(ROUND_CEILING))

    def integer(self) -> int:
        """The value rounded up to a whole number."""
        return int(self.value.to_integral_value(ROUND_CEILING))


ZERO = Quantity(Decimal(0))


@lru_cache(maxsize=4096)
def _parse(text: str) -> Quantity:
    if not text:
        raise QuantityError(FORMAT_ERROR)
    match = _GRAMMAR.fullmatch(text)
    if match is None:
        loose = _LOOSE.fullmatch(text)
        number = loose.group(1) if loose else ""
        plain = number.lstrip("+-")
        bad_number = plain.count(".") > 1 or plain in ("", ".") or "+" in plain or "-" in plain
        raise QuantityError(FORMAT_ERROR if loose is None or bad_number else SUFFIX_ERROR)
    sign, number, suffix = match.group(1), match.group(2), match.group(3) or ""
    value = Decimal(number)
    if suffix in _BINARY:
        value, form = value * (1 << _BINARY[suffix]), "BinarySI"
    elif suffix in _DECIMAL:
        value, form = value.scaleb(_DECIMAL[suffix]), "DecimalSI"
    else:
        value, form = value.scaleb(int(suffix[1:])), "DecimalExponent"
    value = min(value, _MAX)
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -9:  # finer than nano is rounded up
        value = value.quantize(_NANO, ROUND_CEILING)
    return Quantity(-value if sign == "-" else value, form)


def parse(value: Any) -> Quantity:
    """A quantity from its JSON form (string or number). Raises QuantityError with upstream's message."""
    if isinstance(value, bool) or value is None or isinstance(value, dict | list):
        raise QuantityError(FORMAT_ERROR)
    return _parse(value if isinstance(value, str) else str(value))


def canonical(value: Any) -> str:
    """The canonical text of a JSON quantity. Raises QuantityError."""
    return str(parse(value))


def _canonical(value: Decimal, form: str) -> str:
    if value == 0:
        return "0"
    if form == "BinarySI" and (abs(value) < 1024 or value != value.to_integral_value()):
        form = "DecimalSI"
    if form == "BinarySI":
        whole = int(value)
        for suffix, bits in reversed(_BINARY.items()):
            if whole % (1 << bits) == 0:
                return f"{whole >> bits}{suffix}"
        return str(whole)
    for suffix, exponent in reversed(_DECIMAL.items()):
        scaled = value.scaleb(-exponent)
        if scaled == scaled.to_integral_value():
            if form == "DecimalExponent":
                return f"{int(scaled)}e{exponent}" if exponent else str(int(scaled))
            return f"{int(scaled)}{suffix}"
    return f"{int((value / _NANO).to_integral_value(ROUND_CEILING))}n"
