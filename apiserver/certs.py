"""The serving certificate that a server makes for itself when it is given none, in ``--cert-dir``.

As upstream does it: a throw-away authority signs one certificate; ``apiserver.crt`` holds both, ``apiserver.key``
the key (mode 0600). They are made once and used again as long as they are valid and name every address wanted.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from kubeling.api.certificates import (
    Extension,
    Issuer,
    alternative_names,
    authority_constraints,
    certificate_pem,
    issue,
    key_pem,
    new_key,
    subject,
)
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
    stamp, valid = int(now.timestamp()), (now - _SKEW, now + _LIFETIME)
    authority, key = Issuer(subject(f"{hosts[-1]}-ca@{stamp}"), new_key()), new_key()
    authority_key = authority.key.public_key()
    authority_id = Extension(x509.SubjectKeyIdentifier.from_public_key(authority_key))
    root = issue(authority.name, authority_key, authority, valid, [authority_constraints(True), authority_id])
    leaf = issue(
        subject(f"{hosts[-1]}@{stamp}"),
        key.public_key(),
        authority,
        valid,
        [
            authority_constraints(False),
            Extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])),
            Extension(authority.identifier()),
            Extension(alternative_names(hosts)),
        ],
    )
    return certificate_pem(leaf) + certificate_pem(root), key_pem(key)
