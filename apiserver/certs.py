"""The serving certificate that a server makes for itself when it is given none, in ``--cert-dir``.

As upstream does it: a throw-away authority signs one certificate; ``apiserver.crt`` holds both, ``apiserver.key``
the key
(mode 0600). They are made once and used again as long as they are valid and name every address wanted.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubeling.api.meta import utcnow

_LIFETIME = timedelta(days=365)
_RENEW_BEFORE = timedelta(days=30)
_SKEW = timedelta(hours=1)
CLUSTER_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
)


@dataclass(frozen=True, slots=True)
class ServingFiles:
    """Paths of certificate chain and key, PEM."""

    certificate: Path
    key: Path


def serving_files(directory: Path, hosts: Collection[str], now: datetime | None = None) -> ServingFiles:
    """The files in the directory, made when they are missing, about to expire or lack one of the hosts.

    ``hosts`` are DNS names and IP addresses beside ``CLUSTER_NAMES``. Raises OSError when the directory cannot be
    written.
    """
    moment = now or utcnow()
    files = ServingFiles(directory / "apiserver.crt", directory / "apiserver.key")
    wanted = [*CLUSTER_NAMES, *(h for h in dict.fromkeys(hosts) if h not in CLUSTER_NAMES)]
    if not _usable(files, wanted, moment):
        directory.mkdir(parents=True, exist_ok=True)
        chain, key = _issue(wanted, moment)
        write_private(files.key, key)
        files.certificate.write_bytes(chain)
    return files


def write_private(path: Path, content: bytes) -> None:
    """Writes a file that only its owner may read, whatever the umask and even if it was there before."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.fchmod(descriptor, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _usable(files: ServingFiles, hosts: Collection[str], now: datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        key = serialization.load_pem_private_key(files.key.read_bytes(), None)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, x509.ExtensionNotFound):
        return False
    spki = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if certificate.public_key().public_bytes(*spki) != key.public_key().public_bytes(*spki):
        return False
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc - _RENEW_BEFORE:
        return False
    present = {*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))}
    return present.issuperset(hosts)


def _issue(hosts: list[str], now: datetime) -> tuple[bytes, bytes]:
    """PEM of the chain and of the key."""
    stamp = int(now.timestamp())
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{hosts[-1]}-ca@{stamp}")])
    authority = (
        _builder(authority_name, authority_name, authority_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{hosts[-1]}@{stamp}")])
    certificate = (
        _builder(name, authority_name, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(h) for h in hosts]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem) + authority.public_bytes(pem), private


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _LIFETIME)
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
