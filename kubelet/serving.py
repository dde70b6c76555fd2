"""The kubelet's HTTPS server with its certificate, and the certificates that the API server signs."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from kubelet.node.certificates import CertificateFile, CertificateManager
from kubelet.node.status import NodeSettings
from kubelet.options import Options
from kubelet.server.auth import Gate
from kubelet.server.http import Handler, HttpServer
from kubelet.server.tls import self_signed, server_context
from kubeling.client.clock import Clock
from kubeling.client.errors import StartError
from kubeling.client.rest import Client


class Serving:
    """``client`` is None for a kubelet without an API server."""

    def __init__(self, options: Options, settings: NodeSettings, client: Client | None, clock: Clock) -> None:
        self._options, self._settings, self._client, self._clock = options, settings, client, clock
        self._folder = Path(options.cert_dir or Path(options.root_dir) / "pki")
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
        try:
            certificate, key = Path(options.tls_cert_file), Path(options.tls_private_key_file)
            if not options.tls_cert_file or not options.tls_private_key_file:
                certificate, key = self_signed(self._folder, settings.name, settings.ip)
            return server_context(certificate, key, options.client_ca_file)
        except (OSError, ValueError) as err:
            raise StartError(f"cannot use the server's certificate: {err}") from err

    def certificates(self, client_renewed: Callable[[], Awaitable[None]]) -> Iterator[CertificateManager]:
        """Those that the API server signs for us: the client's after a bootstrap, the server's where it is asked for."""
        options, name = self._options, self._settings.name
        if self._client is None:
            return
        own = CertificateFile(self._folder, "kubelet-client")
        if options.rotate_certificates and options.bootstrap_kubeconfig and own.current.exists():
            yield CertificateManager(self._client, self._clock, own, node_name=name, changed=client_renewed)
        if options.rotate_server_certificates and self._context is not None:
            file = CertificateFile(self._folder, "kubelet-server")

            async def serve_it() -> None:
                assert self._context is not None  # made before any certificate is asked for
                self._context.load_cert_chain(file.current)

            names = (name, self._settings.ip)
            yield CertificateManager(
                self._client, self._clock, file, node_name=name, serving_names=names, changed=serve_it
            )
