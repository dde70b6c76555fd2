"""Certificates of a cluster: one authority, the serving and client certificates it signs, the service account key.

Elliptic-curve keys (P-256): made in a millisecond, accepted by every client. Layout and subjects follow kubeadm's
(https://kubernetes.io/docs/setup/best-practices/certificates/).
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

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


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _subject(common_name: str, organizations: Iterable[str]) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, o) for o in organizations]
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


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
        self._key = key

    def _create(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _subject(self._common_name, ())
        certificate = (
            self._builder(name, name, key.public_key(), AUTHORITY_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(self._common_name)]), critical=False)
            .sign(key, hashes.SHA256())
        )
        write_private(self.key(self._file), _pem(key))
        self.crt(self._file).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _builder(
        self, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, lifetime: timedelta
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - _CLOCK_SKEW)
            .not_valid_after(self._now + lifetime)
        )

    def ensure(self, leaf: Leaf) -> None:
        """Makes ``<file>.crt`` and ``<file>.key`` unless a certificate with the same subject and names is there and stays
        valid for thirty more days."""
        if self._is_current(leaf):
            return
        key = ec.generate_private_key(ec.SECP256R1())
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if leaf.names:
            usages.insert(0, ExtendedKeyUsageOID.SERVER_AUTH)
        subject = _subject(leaf.common_name, leaf.organizations)
        builder = (
            self._builder(subject, self.certificate.subject, key.public_key(), LIFETIME)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if leaf.names:
            names = [_alternative_name(n) for n in leaf.names]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        write_private(self.key(leaf.file), _pem(key))
        self.crt(leaf.file).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

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
            and found.subject == _subject(leaf.common_name, leaf.organizations)
            and names == set(leaf.names)
        )

    def crt(self, file: str) -> Path:
        return self.folder / f"{file}.crt"

    def key(self, file: str) -> Path:
        return self.folder / f"{file}.key"


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
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


def ensure_service_account_key(folder: Path) -> None:
    """``sa.key`` (private, signs tokens) and ``sa.pub`` (public, checks them), made once."""
    if (folder / "sa.key").is_file() and (folder / "sa.pub").is_file():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    write_private(folder / "sa.key", _pem(key))
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / "sa.pub").write_bytes(public)
