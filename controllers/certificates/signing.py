"""Making certificates from requests with the cluster's signing key."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from controllers.certificates.requests import Wanted
from kubeling.api.certificates import (
    Extension,
    Issuer,
    authority_constraints,
    certificate_pem,
    issue,
)
from kubeling.client.errors import StartError

BACKDATE = timedelta(minutes=5)
SHORTEST = timedelta(minutes=10)
SHORT = timedelta(hours=8)  # a certificate that lives shorter loses nothing of its time to the backdating

_EXTENDED = {
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "s/mime": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "ipsec end system": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec tunnel": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec user": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "microsoft sgc": x509.ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
    "netscape sgc": x509.ObjectIdentifier("2.16.840.1.113730.4.1"),
}


class Authority:
    """A CA certificate and its key. Raises StartError when they cannot be used."""

    def __init__(self, cert_file: str, key_file: str, longest: timedelta) -> None:
        try:
            self._certificate = x509.load_pem_x509_certificate(Path(cert_file).read_bytes())
            key = load_pem_private_key(Path(key_file).read_bytes(), None)
        except (OSError, ValueError, TypeError) as err:
            raise StartError(f"cannot use --cluster-signing-cert-file {cert_file} with its key: {err}") from err
        if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
            raise StartError(f"--cluster-signing-key-file {key_file} is no RSA, EC or Ed25519 key")
        self._issuer = Issuer(self._certificate.subject, key)
        self._longest = longest

    def sign(self, wanted: Wanted, usages: list[str], seconds: int | None, now: datetime) -> str:
        """The certificate as PEM, for the usages and at most the time asked for."""
        life = self._longest if seconds is None else max(SHORTEST, min(timedelta(seconds=seconds), self._longest))
        start = now - BACKDATE
        end = now + life if life < SHORT else start + life
        valid = start, min(end, self._certificate.not_valid_after_utc)
        extensions = [authority_constraints(False), Extension(_key_usage(usages), critical=True)]
        extensions.append(Extension(self._issuer.identifier()))
        extended = [_EXTENDED[usage] for usage in usages if usage in _EXTENDED]
        if extended:
            extensions.append(Extension(x509.ExtendedKeyUsage(extended)))
        if wanted.alternatives is not None:
            extensions.append(Extension(wanted.alternatives))
        certificate = issue(wanted.csr.subject, wanted.csr.public_key(), self._issuer, valid, extensions)
        return certificate_pem(certificate).decode()


def _key_usage(usages: list[str]) -> x509.KeyUsage:
    agrees = "key agreement" in usages  # without it the other two say nothing
    return x509.KeyUsage(
        digital_signature="digital signature" in usages or "signing" in usages,
        content_commitment="content commitment" in usages,
        key_encipherment="key encipherment" in usages,
        data_encipherment="data encipherment" in usages,
        key_agreement=agrees,
        key_cert_sign="cert sign" in usages,
        crl_sign="crl sign" in usages,
        encipher_only=agrees and "encipher only" in usages,
        decipher_only=agrees and "decipher only" in usages,
    )
