"""Who the kubelet is to the API server: its client certificate, and the next one in time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from cryptography import x509

from kubelet.node.certificates import CertificateFile, CertificateManager
from kubelet.options import Options
from kubeling.client.clock import Clock
from kubeling.client.kubeconfig import Credentials
from kubeling.client.process import credentials_for
from kubeling.client.rest import Client


def certificate_file(options: Options, name: str) -> CertificateFile:
    """``kubelet-client`` or ``kubelet-server`` in the folder of certificates."""
    return CertificateFile(Path(options.cert_dir or Path(options.root_dir) / "pki"), name)


def certificate_of(credentials: Credentials) -> x509.Certificate | None:
    """The client certificate; None for those who have none that can be read."""
    try:
        return x509.load_pem_x509_certificate(credentials.client_cert_pem.encode())
    except ValueError:
        return None


def own_credentials(options: Options) -> Credentials:
    """The kubeconfig's; of its certificate and the one that the kubelet got itself, the one that lasts longer.

    Raises KubeconfigError.
    """
    credentials = credentials_for(options)
    file = certificate_file(options, "kubelet-client")
    given, found = certificate_of(credentials), file.read()
    if given is None or found is None or found.not_valid_after_utc <= given.not_valid_after_utc:
        return credentials
    pem = file.current.read_text()
    return replace(credentials, client_cert_pem=pem, client_key_pem=pem)


def client_manager(options: Options, client: Client, clock: Clock, node_name: str) -> CertificateManager | None:
    """Renews the client certificate; None where that is not wanted or there is none. Raises KubeconfigError."""
    given = certificate_of(own_credentials(options)) if options.rotate_certificates else None
    if given is None:
        return None

    async def use_it() -> None:
        client.renew(await asyncio.to_thread(own_credentials, options))

    file = certificate_file(options, "kubelet-client")
    return CertificateManager(client, clock, file, node_name=node_name, first=given, changed=use_it)
