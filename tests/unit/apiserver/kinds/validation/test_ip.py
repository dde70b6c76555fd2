"""Addresses and CIDRs in all their spellings."""

from __future__ import annotations

import pytest

from apiserver.kinds.validation import ip
from kubeling.api.fields import Path

AT = Path("f")
LATER = "will be considered invalid in a future Kubernetes release"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.000.002.01", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("fe80::1%eth0", None),
        ("192.0.2", None),
        ("192.0.2.256", None),
    ],
)
def test_parse_ip(text: str, expected: str | None) -> None:
    parsed = ip.parse_ip(text)
    assert (str(parsed) if parsed else None) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", []),
        ("192.0.2.01", [f'f: non-standard IP address "192.0.2.01" {LATER}: use "192.0.2.1"']),
        ("2001:DB8::1", ['f: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format ("2001:db8::1")']),
    ],
)
def test_warnings_for_ip(text: str, expected: list[str]) -> None:
    assert ip.warnings_for_ip(text, AT) == expected


@pytest.mark.parametrize(
    ("text", "fine"), [("10.0.0.0/8", True), ("10.0.0.1/8", True), ("10.0.0.0", False), ("10.0.0.0/33", False)]
)
def test_validate_cidr(text: str, fine: bool) -> None:
    assert (ip.validate_cidr(text, AT) == []) is fine


def test_ambiguous_cidr() -> None:
    (warning,) = ip.warnings_for_cidr("10.0.0.1/8", AT)
    assert (
        warning == 'f: CIDR value "10.0.0.1/8" is ambiguous in this context (should be "10.0.0.0/8" or "10.0.0.1/32"?)'
    )


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("0.0.0.0", "unspecified"),
        ("::1", "loopback"),
        ("169.254.1.1", "link-local range"),
        ("224.0.0.5", "link-local multicast"),
        ("192.0.2.1", ""),
    ],
)
def test_special_addresses(text: str, word: str) -> None:
    errors = [str(e) for e in ip.validate_non_special_ip(text, AT)]
    assert (word in errors[0]) if word else errors == []
