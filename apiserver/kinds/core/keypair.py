"""Whether a certificate and a key make a TLS key pair, in the words of Go's crypto/tls."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

_BEGIN = b"-----BEGIN "


def key_pair_problem(certificate: bytes, key: bytes) -> str:
    """The first problem that ``tls.X509KeyPair`` finds; empty when the two fit."""
    if _BEGIN not in certificate:
        return "tls: failed to find any PEM data in certificate input"
    if b"-----BEGIN CERTIFICATE-----" not in certificate:
        kinds = _block_types(certificate)
        if len(kinds) == 1 and kinds[0].endswith("PRIVATE KEY"):
            return (
                "tls: failed to find certificate PEM data in certificate input, but did find a private key; "
                "PEM inputs may have been switched"
            )
        return f'tls: failed to find "CERTIFICATE" PEM block in certificate input {_skipped(kinds)}'
    if _BEGIN not in key:
        return "tls: failed to find any PEM data in key input"
    kinds = _block_types(key)
    if not any(kind.endswith("PRIVATE KEY") for kind in kinds):
        if kinds == ["CERTIFICATE"]:
            return "tls: found a certificate rather than a key in the PEM for the private key"
        return f'tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input {_skipped(kinds)}'
    return _mismatch(certificate, key)


def _skipped(kinds: list[str]) -> str:
    return f"after skipping PEM blocks of the following types: [{' '.join(kinds)}]"


def _block_types(text: bytes) -> list[str]:
    return [line[len(_BEGIN) :].split(b"-----")[0].decode() for line in text.splitlines() if line.startswith(_BEGIN)]


def _mismatch(certificate: bytes, key: bytes) -> str:
    try:
        leaf = x509.load_pem_x509_certificate(certificate)
    except ValueError:
        return "x509: malformed certificate"
    try:
        private = load_pem_private_key(key, None)
    except (ValueError, TypeError):
        return "tls: failed to parse private key"
    shown = [
        k.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for k in (leaf.public_key(), private.public_key())
    ]
    return "" if shown[0] == shown[1] else "tls: private key does not match public key"
