"""X.509 certificates as values: keys, names and what an authority signs. Files are their users' business.

Keys are elliptic-curve ones (P-256): made in a millisecond, accepted by every client.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who signs: the subject of the authority's certificate and its key."""

    name: x509.Name
    key: PrivateKey

    def identifier(self) -> x509.AuthorityKeyIdentifier:
        """The extension that names the authority's key."""
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())


@dataclass(frozen=True, slots=True)
class Extension:
    value: x509.ExtensionType
    critical: bool = False


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: PrivateKey) -> bytes:
    """PKCS #8, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def subject(common_name: str, organizations: Iterable[str] = ()) -> x509.Name:
    """A user's or server's name; organizations are the groups of a user."""
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, o) for o in organizations]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def alternative_names(hosts: Iterable[str]) -> x509.SubjectAlternativeName:
    """DNS names and IP addresses, told apart by their form."""
    return x509.SubjectAlternativeName([_general_name(host) for host in hosts])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def authority_constraints(is_authority: bool) -> Extension:
    """Whether the certificate may sign others."""
    return Extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)


def issue(
    name: x509.Name,
    key: CertificatePublicKeyTypes,
    issuer: Issuer,
    valid: tuple[datetime, datetime],
    extensions: Iterable[Extension],
) -> x509.Certificate:
    """A certificate for the key under the name, with a random serial number, signed by the issuer."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.name)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
    )
    for extension in extensions:
        builder = builder.add_extension(extension.value, critical=extension.critical)
    # Ed25519 hashes by itself
    algorithm = None if isinstance(issuer.key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(issuer.key, algorithm)
