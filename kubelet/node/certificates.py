"""Certificates from the API server: a key of our own, a signing request, the answer on disk, and in time the next one.

Source of names, signers and times: k8s.io/kubernetes/pkg/kubelet/certificate and client-go/util/certificate.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import os
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from kubelet.node.metrics import RENEW_ERRORS, in_use
from kubeling.api.certificates import PrivateKey, alternative_names, key_pem, new_key, subject
from kubeling.api.errors import StatusError, is_already_exists
from kubeling.api.meta import Object, name_of
from kubeling.api.resources import CERTIFICATE_SIGNING_REQUESTS
from kubeling.client.clock import Clock
from kubeling.client.errors import ClientError
from kubeling.client.rest import Client

log = logging.getLogger(__name__)
CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
SERVING_SIGNER = "kubernetes.io/kubelet-serving"
CLIENT_USAGES, SERVING_USAGES = ("digital signature", "client auth"), ("digital signature", "server auth")
_POLL_SECONDS = 1.0
_RETRY_FIRST, _RETRY_MAX = 2.0, 32.0
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


def node_subject(node_name: str) -> x509.Name:
    return subject(f"system:node:{node_name}", ["system:nodes"])


def make_request(node_name: str, key: PrivateKey, names: Iterable[str] = ()) -> bytes:
    """A signing request as PEM. ``names`` are DNS names and addresses of a serving certificate."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(node_subject(node_name))
    if names:
        builder = builder.add_extension(alternative_names(names), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def digested_name(key: PrivateKey, node_name: str, usages: Iterable[str]) -> str:
    """The name of a node's first request: the same key asks under the same name, however often the kubelet starts."""
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashlib.new("sha512_256")
    for part in (public, f"CN=system:node:{node_name},O=system:nodes".encode(), *(u.encode() for u in usages)):
        digest.update(_base64url(part) + b"|")
    return f"node-csr-{_base64url(digest.digest()).decode()}"


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def lacks(certificate: x509.Certificate, names: Iterable[str]) -> bool:
    """Whether a serving certificate misses one of the names that it is to have."""
    try:
        held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return bool(tuple(names))
    return any(name not in held for name in alternative_names(names))


def rotation_time(certificate: x509.Certificate, jitter: float) -> datetime:
    """When to ask for the next one: after 70 to 90 % of its life; ``jitter`` is between 0 and 1."""
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return start + (end - start) * (0.7 + 0.2 * jitter)


async def request_certificate(
    client: Client, clock: Clock, signer: str, usages: Iterable[str], request: bytes, name: str = ""
) -> bytes:
    """Sends the request and waits for the answer; one of that ``name`` that is there already is waited for instead.

    Raises CertificateDenied, StatusError and ClientError.
    """
    wanted: Object = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name} if name else {"generateName": "csr-"},
        "spec": {"request": base64.b64encode(request).decode(), "signerName": signer, "usages": list(usages)},
    }
    try:
        name = name_of(await client.create(CERTIFICATE_SIGNING_REQUESTS, wanted))
    except StatusError as err:
        if not name or not is_already_exists(err):
            raise
    end = clock.monotonic() + _APPROVAL_SECONDS
    while clock.monotonic() < end:
        found = await client.get(CERTIFICATE_SIGNING_REQUESTS, name)
        if (answer := signed(found)) is not None:
            return answer
        await clock.sleep(_POLL_SECONDS)
    raise CertificateDenied(f"certificate signing request {name} was not approved in time")


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
    """Keeps one certificate fresh; ``changed`` is called after each new one. ``serving_names`` make it a server's."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        file: CertificateFile,
        *,
        node_name: str,
        serving_names: tuple[str, ...] = (),
        first: x509.Certificate | None = None,
        changed: Callable[[], Awaitable[None]],
    ) -> None:
        """``first`` is in use as long as there is no file."""
        self._client, self._clock, self._file = client, clock, file
        self._node, self._names, self._changed = node_name, serving_names, changed
        self._first = first

    async def run(self) -> None:
        """For ever: waits until the current certificate is due, then gets the next."""
        while True:
            current = await asyncio.to_thread(self._file.read) or self._first
            if current is not None:
                in_use(current, serving=bool(self._names))
            if current is not None and not lacks(current, self._names):
                due = rotation_time(current, random.random())
                await self._clock.sleep(max(0.0, (due - self._clock.now()).total_seconds()))
            await self._renew_at_last()
            await self._changed()

    async def _renew_at_last(self) -> None:
        delay = _RETRY_FIRST
        while True:
            try:
                return await self.renew()
            except (CertificateDenied, StatusError, ClientError, OSError) as err:
                RENEW_ERRORS[bool(self._names)].inc()
                log.warning("Certificate of node %s: %s; trying again", self._node, err)
            await self._clock.sleep(delay)
            delay = min(delay * 2, _RETRY_MAX)

    async def renew(self, key: PrivateKey | None = None) -> None:
        """Gets one certificate and writes it; a request made with a given ``key`` is named after it.

        Raises CertificateDenied, StatusError, ClientError and OSError.
        """
        signer, usages = (SERVING_SIGNER, SERVING_USAGES) if self._names else (CLIENT_SIGNER, CLIENT_USAGES)
        name = digested_name(key, self._node, usages) if key is not None else ""
        used = key or new_key()
        request = make_request(self._node, used, self._names)
        certificate = await request_certificate(self._client, self._clock, signer, usages, request, name)
        await asyncio.to_thread(self._file.write, certificate, key_pem(used), datetime.now(UTC))
