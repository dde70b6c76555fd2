"""String formats that schemas of custom resources may ask for; others are ignored.

Source: the list under "Validation" in the documentation of custom resource definitions, and
k8s.io/kube-openapi/pkg/validation/strfmt for what each one takes.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

from kubeling.api.names import is_dns1123_label, is_dns1123_subdomain

Check = Callable[[str], bool]

_UUID = r"(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?%s[0-9a-f]{3}-?%s[0-9a-f]{3}-?[0-9a-f]{12}"
_DATE_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(\.\d+)?([Zz]|[+-]\d{2}:?\d{2})", re.ASCII)
_DURATION = re.compile(
    r"((\d+)\s*(nanoseconds?|ns|microseconds?|us|µs|milliseconds?|ms|seconds?|s|minutes?|m|hours?|h|days?|d|weeks?|w)\s*)+"
)
_GO_DURATION = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)(((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))*)|0")
_HOST_LABEL = re.compile(r"[a-zA-Z0-9_](?:[a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?")
_EMAIL = re.compile(r"[^@\s<>()\[\],;:\"]+@[^@\s<>()\[\],;:\"]+")


def _full(pattern: str) -> Check:
    compiled = re.compile(pattern)
    return lambda text: compiled.fullmatch(text) is not None


def _date(text: str) -> bool:
    try:
        datetime.strptime(text, "%Y-%m-%d")
    except ValueError:
        return False
    return len(text) == 10


def _date_time(text: str) -> bool:
    match = _DATE_TIME.fullmatch(text)
    if match is None or not _date(match[1]):
        return False
    hours, minutes, seconds = map(int, match[2].split(":"))
    return hours < 24 and minutes < 60 and seconds < 60


def _ip(version: int) -> Check:
    def check(text: str) -> bool:
        try:
            return ipaddress.ip_address(text).version == version
        except ValueError:
            return False

    return check


def _cidr(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text


def _uri(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme) or text.startswith("/")


def _byte(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
    return True


def _hostname(text: str) -> bool:
    name = text.removesuffix(".")
    return 0 < len(name) < 256 and all(_HOST_LABEL.fullmatch(label) for label in name.split("."))


def _luhn(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    if not 13 <= len(digits) <= 19:
        return False
    doubled = [int(d) * (1 + i % 2) for i, d in enumerate(reversed(digits))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def _isbn10(text: str) -> bool:
    plain = re.sub(r"[\s-]", "", text)
    if not re.fullmatch(r"\d{9}[\dX]", plain):
        return False
    return sum((10 if c == "X" else int(c)) * (i + 1) for i, c in enumerate(plain)) % 11 == 0


def _isbn13(text: str) -> bool:
    plain = re.sub(r"[\s-]", "", text)
    if not re.fullmatch(r"\d{13}", plain):
        return False
    return sum(int(c) * (1, 3)[i % 2] for i, c in enumerate(plain)) % 10 == 0


_CHECKS: dict[str, Check] = {
    "bsonobjectid": _full(r"[0-9a-fA-F]{24}"),
    "uri": _uri,
    "email": _full(_EMAIL.pattern),
    "hostname": _hostname,
    "ipv4": _ip(4),
    "ipv6": _ip(6),
    "cidr": _cidr,
    "mac": _full(r"[0-9a-fA-F]{2}([:-])([0-9a-fA-F]{2}\1){4,6}[0-9a-fA-F]{2}|([0-9a-fA-F]{4}\.){2,3}[0-9a-fA-F]{4}"),
    "uuid": _full(_UUID % ("[0-9a-f]", "[0-9a-f]")),
    "uuid3": _full(_UUID % ("3", "[0-9a-f]")),
    "uuid4": _full(_UUID % ("4", "[89ab]")),
    "uuid5": _full(_UUID % ("5", "[89ab]")),
    "isbn": lambda text: _isbn10(text) or _isbn13(text),
    "isbn10": _isbn10,
    "isbn13": _isbn13,
    "creditcard": _luhn,
    "ssn": _full(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "hexcolor": _full(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "rgbcolor": _full(r"rgb\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*\)"),
    "byte": _byte,
    "password": lambda text: True,
    "date": _date,
    "duration": lambda text: bool(_GO_DURATION.fullmatch(text) or _DURATION.fullmatch(text)),
    "datetime": _date_time,
    "k8s-short-name": lambda text: not is_dns1123_label(text),
    "k8s-long-name": lambda text: not is_dns1123_subdomain(text),
}


def check_of(name: str) -> Check | None:
    """The check of a format; None for one that nobody knows. ``date-time`` is ``datetime``: dashes do not count, except in
    the names that Kubernetes added."""
    return _CHECKS.get(name) or _CHECKS.get(name.replace("-", ""))


def normalised(name: str) -> str:
    """``datetime`` for ``date-time``."""
    return name if name in _CHECKS else name.replace("-", "")
