"""The keys that sign and verify service account tokens."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc.jwk import ECKey, RSAKey

from apiserver.certs import write_private

_PEM, _DER = serialization.Encoding.PEM, serialization.Encoding.DER
_SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class KeyFileError(ValueError):
    """A file holds no key that could sign or verify tokens."""


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key with its key id and the one algorithm it is used with."""

    id: str
    algorithm: str
    jwk: RSAKey | ECKey

    def public_jwk(self) -> dict[str, Any]:
        """The key as ``/openid/v1/jwks`` shows it."""
        members = dict(self.jwk.as_dict(private=False))
        shown = {"use": "sig", "kty": members["kty"], "kid": self.id, "alg": self.algorithm}
        return {**shown, **{k: members[k] for k in ("n", "e", "crv", "x", "y") if k in members}}


@dataclass(frozen=True, slots=True)
class SigningKey:
    id: str
    algorithm: str
    jwk: RSAKey | ECKey
    public: VerifyingKey


def key_id(public: PublicKey) -> str:
    """Upstream's key id: the SHA-256 of the public key's DER form, base64url without padding."""
    digest = hashlib.sha256(public.public_bytes(_DER, _SPKI)).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def verifying_key(public: PublicKey) -> VerifyingKey:
    pem = public.public_bytes(_PEM, _SPKI)
    if isinstance(public, rsa.RSAPublicKey):
        return VerifyingKey(key_id(public), "RS256", RSAKey.import_key(pem))
    algorithm = _CURVES.get(public.curve.name)
    if algorithm is None:
        raise KeyFileError(f"unknown elliptic curve {public.curve.name}: must be 256, 384 or 521 bits")
    return VerifyingKey(key_id(public), algorithm, ECKey.import_key(pem))


def signing_key(private: PrivateKey) -> SigningKey:
    public = verifying_key(private.public_key())
    pem = private.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    importer = RSAKey if isinstance(private, rsa.RSAPrivateKey) else ECKey
    return SigningKey(public.id, public.algorithm, importer.import_key(pem), public)


def load_signing_key(path: Path) -> SigningKey:
    """From a PEM file (``--service-account-signing-key-file``). Raises OSError and KeyFileError."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise KeyFileError(f"{path}: data does not contain a valid RSA or ECDSA private key") from error
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise KeyFileError(f"{path}: data does not contain a valid RSA or ECDSA private key")
    return signing_key(key)


def load_verifying_keys(path: Path) -> list[VerifyingKey]:
    """Every key of a PEM file: public keys, certificates, private keys. Raises OSError and KeyFileError."""
    content = path.read_bytes()
    blocks = [b"-----BEGIN " + part for part in content.split(b"-----BEGIN ")[1:]]
    keys = [key for block in blocks if (key := _public(block)) is not None]
    if not keys:
        raise KeyFileError(f"{path}: data does not contain any valid RSA or ECDSA public keys")
    return [verifying_key(key) for key in keys]


def _public(block: bytes) -> PublicKey | None:
    try:
        if b"CERTIFICATE" in block[:40]:
            found: object = x509.load_pem_x509_certificate(block).public_key()
        elif b"PRIVATE KEY" in block[:40]:
            found = serialization.load_pem_private_key(block, None).public_key()
        else:
            found = serialization.load_pem_public_key(block)
    except (ValueError, TypeError):
        return None
    return found if isinstance(found, rsa.RSAPublicKey | ec.EllipticCurvePublicKey) else None


def generated_signing_key(path: Path) -> SigningKey:
    """The key in the file, which is made (mode 0600) when it is not there, so that tokens outlive a restart.

    An elliptic curve, as for all keys of ours: making and loading an RSA key took a tenth of the server's start.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        write_private(path, key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return load_signing_key(path)


def by_id(keys: Sequence[VerifyingKey]) -> dict[str, VerifyingKey]:
    return {key.id: key for key in keys}
