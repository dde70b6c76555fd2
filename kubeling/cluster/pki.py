"""Certificates of a cluster: one authority, the serving and client certificates it signs, the service account key.

Layout and subjects follow kubeadm's
(https://kubernetes.io/docs/setup/best-practices/certificates/).
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
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

LIFETIME = timedelta(days=365)
AUTHORITY_LIFETIME = timedelta(days=3650)
_CLOCK_SKEW = timedelta(minutes=5)
_RENEW_BEFORE = timedelta(days=30)


def write_private(path: Path, data: bytes) -> None:
    """Writes ``path`` with mode 0600 from the first byte on, replacing it atomically."""
    scratch = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        scratch.unlink()
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    scratch.replace(path)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate to be: its file name (without ending), subject, and alternative names (a server's) or none (a client's)."""

    file: str
    common_name: str
    organizations: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


class Authority:
    """A certificate authority in a folder: ``ca.crt`` and ``ca.key``, or files of another name."""

    def __init__(
        self, folder: Path, now: datetime | None = None, *, file: str = "ca", common_name: str = "kubernetes"
    ) -> None:
        self.folder = folder
        self._file, self._common_name = file, common_name
        self._now = now or datetime.now(UTC)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.crt(file).is_file():
            self._create()
        self.certificate = x509.load_pem_x509_certificate(self.crt(file).read_bytes())
        key = serialization.load_pem_private_key(self.key(file).read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{self.key(file)} holds no elliptic-curve key")
        self._issuer = Issuer(self.certificate.subject, key)

    def _create(self) -> None:
        itself = Issuer(subject(self._common_name), new_key())
        key = itself.key.public_key()
        extensions = [
            authority_constraints(True),
            _key_usage(signs_certificates=True),
            Extension(x509.SubjectKeyIdentifier.from_public_key(key)),
            Extension(x509.SubjectAlternativeName([x509.DNSName(self._common_name)])),
        ]
        certificate = issue(itself.name, key, itself, self._valid(AUTHORITY_LIFETIME), extensions)
        write_private(self.key(self._file), key_pem(itself.key))
        self.crt(self._file).write_bytes(certificate_pem(certificate))

    def _valid(self, lifetime: timedelta) -> tuple[datetime, datetime]:
        return self._now - _CLOCK_SKEW, self._now + lifetime

    def ensure(self, leaf: Leaf) -> None:
        """Makes ``<file>.crt`` and ``<file>.key`` unless a certificate with the same subject and names is there and stays
        valid for thirty more days."""
        if self._is_current(leaf):
            return
        key = new_key()
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if leaf.names:
            usages.insert(0, ExtendedKeyUsageOID.SERVER_AUTH)
        extensions = [
            authority_constraints(False),
            _key_usage(signs_certificates=False),
            Extension(x509.ExtendedKeyUsage(usages)),
            Extension(self._issuer.identifier()),
        ]
        if leaf.names:
            extensions.append(Extension(alternative_names(leaf.names)))
        name = subject(leaf.common_name, leaf.organizations)
        certificate = issue(name, key.public_key(), self._issuer, self._valid(LIFETIME), extensions)
        write_private(self.key(leaf.file), key_pem(key))
        self.crt(leaf.file).write_bytes(certificate_pem(certificate))

    def _is_current(self, leaf: Leaf) -> bool:
        if not (self.crt(leaf.file).is_file() and self.key(leaf.file).is_file()):
            return False
        try:
            found = x509.load_pem_x509_certificate(self.crt(leaf.file).read_bytes())
        except ValueError:
            return False
        names: set[str] = set()
        with contextlib.suppress(x509.ExtensionNotFound):
            extension = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            names = {str(n.value) for n in extension.value}
        return (
            found.not_valid_after_utc > self._now + _RENEW_BEFORE
            and found.issuer == self.certificate.subject
            and found.subject == subject(leaf.common_name, leaf.organizations)
            and names == set(leaf.names)
        )

    def crt(self, file: str) -> Path:
        return self.folder / f"{file}.crt"

    def key(self, file: str) -> Path:
        return self.folder / f"{file}.key"


def _key_usage(*, signs_certificates: bool) -> Extension:
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    return Extension(usage, critical=True)


def ensure_service_account_key(folder: Path) -> None:
    """``sa.key`` (private, signs tokens) and ``sa.pub`` (public, checks them), made once."""
    if (folder / "sa.key").is_file() and (folder / "sa.pub").is_file():
        return
    key = new_key()
    write_private(folder / "sa.key", key_pem(key))
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / "sa.pub").write_bytes(public)
