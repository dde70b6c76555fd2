"""The server's certificate and TLS settings."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from kubeling.api.certificates import (
    Extension,
    Issuer,
    alternative_names,
    certificate_pem,
    issue,
    key_pem,
    new_key,
    subject,
)

_YEAR = datetime.timedelta(days=365)


def self_signed(folder: Path, name: str, address: str) -> tuple[Path, Path]:
    """``kubelet.crt`` and ``kubelet.key`` in the folder, made when missing. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate_file, key_file = folder / "kubelet.crt", folder / "kubelet.key"
    if certificate_file.exists() and key_file.exists():
        return certificate_file, key_file
    itself = Issuer(subject(f"{name}@self"), new_key())
    now = datetime.datetime.now(datetime.UTC)
    certificate = issue(
        itself.name,
        itself.key.public_key(),
        itself,
        (now - datetime.timedelta(hours=1), now + _YEAR),
        [
            Extension(alternative_names([name, address])),
            Extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])),
        ],
    )
    key_file.touch(mode=0o600)
    key_file.write_bytes(key_pem(itself.key))
    certificate_file.write_bytes(certificate_pem(certificate))
    return certificate_file, key_file


def server_context(certificate: Path, key: Path, client_ca: str, least: str = "") -> ssl.SSLContext:
    """TLS 1.2 and later, 1.3 where ``least`` is VersionTLS13; client certificates are asked for, and checked when given.

    Raises OSError and ssl.SSLError.
    """
    context = _context(client_ca, least)
    context.load_cert_chain(certificate, key)
    return context


def signed_later(file: Path, client_ca: str, least: str = "") -> ssl.SSLContext:
    """As ``server_context``, with the certificate and key in one file, which may come later: load it into the context then.

    Until then no handshake succeeds. Raises OSError and ssl.SSLError.
    """
    context = _context(client_ca, least)
    if file.exists():
        context.load_cert_chain(file)
    return context


def _context(client_ca: str, least: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if least == "VersionTLS13" else ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context
