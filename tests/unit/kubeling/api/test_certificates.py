"""Certificates as values: signed by who is said to, for the hosts that are named."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from kubeling.api.certificates import (
    Extension,
    Issuer,
    PrivateKey,
    alternative_names,
    authority_constraints,
    issue,
    new_key,
    subject,
)

VALID = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=1)


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        rsa.generate_private_key(public_exponent=65537, key_size=2048),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["ec", "rsa", "ed25519"],
)
def test_an_authority_of_any_kind_of_key_signs(key: PrivateKey) -> None:
    authority = Issuer(subject("ca"), key)
    root = issue(authority.name, key.public_key(), authority, VALID, [authority_constraints(True)])
    leaf = issue(
        subject("me", ["b", "a"]), new_key().public_key(), authority, VALID, [Extension(authority.identifier())]
    )
    leaf.verify_directly_issued_by(root)
    assert leaf.subject.rfc4514_string() == "CN=me,O=a,O=b"
    assert (leaf.not_valid_before_utc, leaf.not_valid_after_utc) == VALID
    assert leaf.serial_number != root.serial_number


def test_hosts_are_names_or_addresses() -> None:
    names = alternative_names(["localhost", "10.0.0.1", "fd00::1"])
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.1", "fd00::1"]
