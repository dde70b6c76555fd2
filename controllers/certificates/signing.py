"""Making certificates from requests with the cluster's signing key."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from controllers.certificates.requests import Wanted
from kubeling.client.errors import StartError

BACKDATE = timedelta(minutes=5)
SHORTEST = timedelta(minutes=10)

_EXTENDED = {
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
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
        self._key = key
        self._longest = longest

    def sign(self, wanted: Wanted, usages: list[str], seconds: int | None, now: datetime) -> str:
        """The certificate as PEM, for the usages and at most the time asked for."""
        life = self._longest if seconds is None else max(SHORTEST, min(timedelta(seconds=seconds), self._longest))
        start = now - BACKDATE
        builder = (
            x509.CertificateBuilder()
            .subject_name(wanted.csr.subject)
            .issuer_name(self._certificate.subject)
            .public_key(wanted.csr.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(min(start + life, self._certificate.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(usages), critical=True)
            .add_extension(self._authority_key(), critical=False)
        )
        extended = [_EXTENDED[usage] for usage in usages if usage in _EXTENDED]
        if extended:
            builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
        names = [x509.DNSName(n) for n in wanted.dns_names]
        addresses = [x509.IPAddress(ip) for ip in wanted.ip_addresses]
        if names or addresses:
            builder = builder.add_extension(x509.SubjectAlternativeName([*names, *addresses]), critical=False)
        algorithm = None if isinstance(self._key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        return builder.sign(self._key, algorithm).public_bytes(Encoding.PEM).decode()

    def _authority_key(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())


def _key_usage(usages: list[str]) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature="digital signature" in usages or "signing" in usages,
        content_commitment="content commitment" in usages,
        key_encipherment="key encipherment" in usages,
        data_encipherment="data encipherment" in usages,
        key_agreement="key agreement" in usages,
        key_cert_sign="cert sign" in usages,
        crl_sign="crl sign" in usages,
        encipher_only=False,
        decipher_only=False,
    )
