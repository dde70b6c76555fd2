"""Certificates from the API server: a key of our own, a signing request, the answer on disk, and in time the next one.

Source of names, signers and times: k8s.io/kubernetes/pkg/kubelet/certificate and client-go/util/certificate.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import logging
import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kubeling.api.errors import StatusError
from kubeling.api.meta import Object, name_of
from kubeling.api.resources import CERTIFICATE_SIGNING_REQUESTS
from kubeling.client.clock import Clock
from kubeling.client.errors import ClientError
from kubeling.client.rest import Client

log = logging.getLogger(__name__)
CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
SERVING_SIGNER = "kubernetes.io/kubelet-serving"
_POLL_SECONDS, _RETRY_SECONDS = 1.0, 30.0
_APPROVAL_SECONDS = 900.0


class CertificateDenied(Exception):
    """The request was denied, failed, or nobody answered it in time."""


@dataclass(frozen=True, slots=True)
class CertificateFile:
    """``<name>-current.pem`` in the folder, a link to the newest file: certificate and key in one."""

    folder: Path
    name: str

    @property
    def current(self) -> Path:
        return self.folder / f"{self.name}-current.pem"

    def read(self) -> x509.Certificate | None:
        """The current certificate; None when there is none that can be read."""
        try:
            return x509.load_pem_x509_certificate(self.current.read_bytes())
        except (OSError, ValueError):
            return None

    def write(self, certificate: bytes, key: bytes, now: datetime) -> None:
        """Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{self.name}-{now.strftime('%Y-%m-%d-%H-%M-%S')}.pem"
        path.touch(mode=0o600)
        path.write_bytes(certificate.rstrip(b"\n") + b"\n" + key)
        link = self.folder / f".{self.name}-next.pem"
        link.unlink(missing_ok=True)
        link.symlink_to(path.name)
        os.replace(link, self.current)  # noqa: PTH105  # the link itself is moved


def make_request(node_name: str, names: tuple[str, ...] = ()) -> tuple[bytes, bytes]:
    """A signing request and its key, both PEM. ``names`` are DNS names and addresses of a serving certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{node_name}"),
        ]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(n) for n in names]), critical=False)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), private


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def rotation_time(certificate: x509.Certificate, jitter: float) -> datetime:
    """When to ask for the next one: after 70 to 90 % of its life; ``jitter`` is between 0 and 1."""
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return start + (end - start) * (0.7 + 0.2 * jitter)


async def request_certificate(
    client: Client, clock: Clock, signer: str, usage: str, request: bytes, generate_name: str
) -> bytes:
    """Sends the request and waits for the answer. Raises CertificateDenied, StatusError and ClientError."""
    created = await client.create(
        CERTIFICATE_SIGNING_REQUESTS,
        {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"generateName": generate_name},
            "spec": {
                "request": base64.b64encode(request).decode(),
                "signerName": signer,
                "usages": ["digital signature", usage],
            },
        },
    )
    end = clock.monotonic() + _APPROVAL_SECONDS
    while clock.monotonic() < end:
        found = await client.get(CERTIFICATE_SIGNING_REQUESTS, name_of(created))
        if (answer := signed(found)) is not None:
            return answer
        await clock.sleep(_POLL_SECONDS)
    raise CertificateDenied(f"certificate signing request {name_of(created)} was not approved in time")


def signed(request: Object) -> bytes | None:
    """The certificate of an answered request, None while it waits. Raises CertificateDenied."""
    status = request.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") in ("Denied", "Failed"):
            raise CertificateDenied(
                f"certificate signing request was {condition['type'].lower()}: {condition.get('message', '')}"
            )
    certificate = status.get("certificate")
    return base64.b64decode(certificate) if certificate else None


class CertificateManager:
    """Keeps one certificate fresh; ``changed`` is called after each new one."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        file: CertificateFile,
        *,
        node_name: str,
        serving_names: tuple[str, ...] = (),
        changed: Callable[[], Awaitable[None]],
    ) -> None:
        self._client, self._clock, self._file = client, clock, file
        self._node, self._names, self._changed = node_name, serving_names, changed
        self._jitter = random.random()

    async def run(self) -> None:
        """For ever: waits until the current certificate is due, then gets the next."""
        while True:
            current = await asyncio.to_thread(self._file.read)
            if current is not None:
                due = rotation_time(current, self._jitter)
                await self._clock.sleep(max(0.0, (due - self._clock.now()).total_seconds()))
            try:
                await self.renew()
            except (CertificateDenied, StatusError, ClientError, OSError) as err:
                log.warning("Certificate of node %s: %s; trying again", self._node, err)
                await self._clock.sleep(_RETRY_SECONDS)
                continue
            await self._changed()

    async def renew(self) -> None:
        """Gets one certificate and writes it. Raises CertificateDenied, StatusError, ClientError and OSError."""
        serving = bool(self._names)
        request, key = make_request(self._node, self._names)
        certificate = await request_certificate(
            self._client,
            self._clock,
            SERVING_SIGNER if serving else CLIENT_SIGNER,
            "server auth" if serving else "client auth",
            request,
            "csr-" if serving else "node-csr-",
        )
        await asyncio.to_thread(self._file.write, certificate, key, datetime.now(UTC))
