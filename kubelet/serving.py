"""The kubelet's HTTPS server with its certificate."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from kubelet.node.certificates import CertificateManager
from kubelet.node.identity import certificate_file
from kubelet.node.status import NodeSettings
from kubelet.options import Options
from kubelet.server.auth import Gate, Memory
from kubelet.server.http import Handler, HttpServer
from kubelet.server.tls import self_signed, server_context, signed_later
from kubeling.client.clock import Clock
from kubeling.client.errors import StartError
from kubeling.client.rest import Client


class Serving:
    """``client`` is None for a kubelet without an API server."""

    def __init__(self, options: Options, settings: NodeSettings, client: Client | None, clock: Clock) -> None:
        self._options, self._settings, self._client, self._clock = options, settings, client, clock
        self._file = certificate_file(options, "kubelet-server")
        self._context: ssl.SSLContext | None = None

    def gate(self) -> Gate:
        options = self._options
        return Gate(
            self._client,
            self._settings.name,
            self._clock,
            anonymous=options.anonymous_auth,
            tokens=options.authentication_token_webhook,
            always_allow=options.authorization_mode == "AlwaysAllow",
            memory=Memory(
                options.authentication_token_webhook_cache_ttl,
                options.authorization_webhook_cache_authorized_ttl,
                options.authorization_webhook_cache_unauthorized_ttl,
            ),
        )

    async def start(self, handler: Handler) -> HttpServer:
        """Listens at the address and port of the options. Raises StartError."""
        options = self._options
        self._context = context = await asyncio.to_thread(self._load)
        server = HttpServer(handler, context)
        try:
            await server.start(options.address, options.port)
        except OSError as err:
            raise StartError(f"cannot listen on {options.address}:{options.port}: {err.strerror}") from err
        return server

    def _load(self) -> ssl.SSLContext:
        options, settings = self._options, self._settings
        certificate, key = Path(options.tls_cert_file), Path(options.tls_private_key_file)
        try:
            if self._signed:
                return signed_later(self._file.current, options.client_ca_file, options.tls_min_version)
            if not options.tls_cert_file or not options.tls_private_key_file:
                certificate, key = self_signed(self._file.folder, settings.name, settings.ip)
            return server_context(certificate, key, options.client_ca_file, options.tls_min_version)
        except (OSError, ValueError) as err:
            raise StartError(f"cannot use the server's certificate: {err}") from err

    @property
    def _signed(self) -> bool:
        """Whether the API server signs the certificate. Until it has, handshakes are refused, as upstream's kubelet does."""
        given = self._options.tls_cert_file and self._options.tls_private_key_file
        return self._options.rotate_server_certificates and self._client is not None and not given

    def manager(self) -> CertificateManager | None:
        """Gets and renews the server's certificate; None where that is not wanted or nothing is served."""
        context, client = self._context, self._client
        if not self._signed or context is None or client is None:
            return None

        async def serve_it() -> None:
            context.load_cert_chain(self._file.current)

        name = self._settings.name
        names = (name, self._settings.ip)
        return CertificateManager(
            client, self._clock, self._file, node_name=name, serving_names=names, changed=serve_it
        )
