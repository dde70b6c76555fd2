"""Values as Go prints them with ``%v``: maps with sorted keys, ``<nil>`` for null."""

from __future__ import annotations

import math
from typing import Any


def go_format(value: Any) -> str:
    """A JSON value in Go's ``%v``: ``map[a:1 b:[x y]]``."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{k}:{go_format(value[k])}" for k in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(go_format, value)) + "]"
    return _float(value) if isinstance(value, float) else str(value)


def _float(value: float) -> str:
    """A float in Go's shortest form: an exponent from 1e21 on and below 1e-4."""
    if value and not 1e-4 <= abs(value) < 1e21:
        mantissa, _, exponent = repr(float(value)).partition("e")
        if not exponent:
            power = math.floor(math.log10(abs(value)))
            mantissa, exponent = repr(value / 10**power), str(power)
        sign = "-" if exponent.startswith("-") else "+"
        return f"{mantissa.removesuffix('.0')}e{sign}{exponent.lstrip('+-').rjust(2, '0')}"
    return str(int(value)) if value.is_integer() else repr(value)
