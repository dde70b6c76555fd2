"""Client certificates: the common name is the user, the organisations are the groups.

Source: documentation "Authenticating", section X.509 client certificates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from apiserver.http.protocols import Credentials
from apiserver.http.request import User
from kubeling.api import errors
from kubeling.api.meta import utcnow

CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
_UID_ATTRIBUTE = ObjectIdentifier("1.3.6.1.4.1.57683.2")
_MAX_CACHED = 4096
_MAX_DEPTH = 8


@dataclass(frozen=True, slots=True)
class _Known:
    user: User
    not_before: datetime
    not_after: datetime


class CertificateAuthenticator:
    """Trusts leaf certificates that chain up to one of the authorities and are meant for clients.

    A chain is checked once and remembered by its bytes; the time is checked every time.
    """

    def __init__(self, authorities: Sequence[x509.Certificate], clock: Callable[[], datetime] = utcnow) -> None:
        self._authorities = tuple(authorities)
        self._clock = clock
        self._known: dict[tuple[bytes, ...], _Known] = {}

    @classmethod
    def load(cls, path: Path) -> CertificateAuthenticator:
        """From a PEM bundle (``--client-ca-file``). Raises OSError and ValueError."""
        return cls(x509.load_pem_x509_certificates(path.read_bytes()))

    async def authenticate(self, credentials: Credentials) -> User | None:
        chain = credentials.client_certificates
        if not chain:
            return None
        known = self._known.get(chain)
        if known is None:
            known = self._check(chain)
            if len(self._known) >= _MAX_CACHED:
                self._known.clear()
            self._known[chain] = known
        if not known.not_before <= self._clock() <= known.not_after:
            raise errors.unauthorized()
        return known.user

    def _check(self, chain: tuple[bytes, ...]) -> _Known:
        try:
            leaf, *between = [x509.load_der_x509_certificate(der) for der in chain]
            trusted = self._path(leaf, between) if _for_clients(leaf) else None
            name = _common_name(leaf)
        except ValueError:
            raise errors.unauthorized() from None
        if trusted is None or not name:
            raise errors.unauthorized()
        return _Known(
            _user(leaf, name),
            max(c.not_valid_before_utc for c in trusted),
            min(c.not_valid_after_utc for c in trusted),
        )

    def _path(self, leaf: x509.Certificate, between: list[x509.Certificate]) -> list[x509.Certificate] | None:
        """The certificates from the leaf up to an authority, that one included."""
        path = [leaf]
        while len(path) < _MAX_DEPTH:
            authority = next((c for c in self._authorities if _issued(c, path[-1])), None)
            if authority is not None:
                return [*path, authority]
            issuer = next((c for c in between if c not in path and _is_authority(c) and _issued(c, path[-1])), None)
            if issuer is None:
                return None
            path.append(issuer)
        return None


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _for_clients(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return ExtendedKeyUsageOID.CLIENT_AUTH in usage or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usage


def _common_name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[-1].value) if names else ""


def _user(certificate: x509.Certificate, name: str) -> User:
    groups = (str(a.value) for a in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))
    uids = certificate.subject.get_attributes_for_oid(_UID_ATTRIBUTE)
    fingerprint = hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
    return User(
        name,
        str(uids[0].value) if uids else "",
        tuple(groups),
        {CREDENTIAL_ID: (f"X509SHA256={fingerprint}",)},
    )
