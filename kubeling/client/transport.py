"""From request values to bytes on the wire: the client's only I/O.

The seam is ``httpx.AsyncBaseTransport``: the real one keeps a pool of HTTP/1.1 connections, tests put an
``httpx.MockTransport(handler)`` in its place::

    client = Client(Transport("http://test", mock=httpx.MockTransport(handler)))
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import copy
from pathlib import Path
from typing import Protocol
from urllib.parse import urlencode, urlsplit

import httpx

from kubeling.client.errors import ConnectionFailed, KubeconfigError
from kubeling.client.http1 import Connections
from kubeling.client.kubeconfig import Credentials
from kubeling.client.metrics import METRICS, ClientMetrics
from kubeling.client.requests import Request
from kubeling.client.throttle import Throttle

KEEPALIVE_SECONDS = 60.0  # longer than a Lease rests, below the 90 s of our API server and the 180 s of upstream's
TOKEN_SECONDS = 60.0  # projected tokens rotate; the file is read again this often
CONNECTIONS = 32  # at a time, for requests that are no streams


class TokenSource(Protocol):
    """Where a transport's bearer tokens come from."""

    async def token(self) -> str:
        """A token that is good now; empty for none. May raise StatusError and ConnectionFailed."""

    def reset(self) -> bool:
        """The server refused the token: forget it. False where asking again would give the same."""


class Transport:
    """Sends requests to one server, with its credentials.

    ``timeout`` is the deadline in seconds of a whole exchange that is no stream; connecting may take 5 s.
    """

    def __init__(
        self,
        server: str,
        *,
        credentials: Credentials | None = None,
        mock: httpx.AsyncBaseTransport | None = None,
        timeout: float = 60.0,
        user_agent: str = "kubeling",
        tokens: TokenSource | None = None,
        throttle: Throttle | None = None,
        metrics: ClientMetrics = METRICS,
    ) -> None:
        parts = urlsplit(server)
        self.host = parts.netloc
        self._base = server.rstrip("/")
        self._timeout = timeout
        self._metrics = metrics
        self._headers = {"Accept": "application/json", "User-Agent": user_agent, "Host": parts.netloc}
        self._tokens: TokenSource = tokens or _Token(credentials)
        self._throttle = throttle
        self._extensions: dict[str, object] = {}
        if credentials is not None:
            self._headers.update(_identity_headers(credentials))
            if credentials.tls_server_name:
                self._extensions["sni_hostname"] = credentials.tls_server_name
        if mock is not None:
            self._pool = self._streams = mock
        else:
            context = ssl_context(credentials) if parts.scheme == "https" else None
            self._pool = Connections(context, limit=CONNECTIONS, keep=KEEPALIVE_SECONDS)
            self._streams = Connections(context)

    @classmethod
    def of(cls, credentials: Credentials, *, user_agent: str = "kubeling", timeout: float = 60.0) -> Transport:
        """A transport to the credentials' own server."""
        return cls(credentials.server, credentials=credentials, user_agent=user_agent, timeout=timeout)

    def throttled(self, throttle: Throttle | None) -> Transport:
        """The same connections and identity, under a limit of its own."""
        return self.acting_as(self._tokens, throttle)

    def acting_as(self, tokens: TokenSource, throttle: Throttle | None = None) -> Transport:
        """Another identity over the same connections. Those must carry no client certificate: servers look at that first."""
        other = copy(self)
        other._tokens, other._throttle = tokens, throttle
        return other

    async def send(self, request: Request) -> tuple[int, httpx.Headers, bytes]:
        """Status, headers and body of the answer. Raises ConnectionFailed; a read is tried twice, a write never.

        A request that was refused for its token (401) has changed nothing and is sent again with a new one.
        """
        if self._throttle is not None:
            await self._throttle.take()
        answer = await self._send(request)
        if answer[0] == 401 and self._tokens.reset():
            answer = await self._send(request)
        return answer

    async def _send(self, request: Request) -> tuple[int, httpx.Headers, bytes]:
        token = await self._tokens.token()
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._timeout):
                try:
                    status, headers, body = await self._exchange(request, token)
                except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                    if not request.idempotent:
                        raise
                    status, headers, body = await self._exchange(request, token)  # the server had closed it
        except (httpx.TransportError, TimeoutError, OSError) as err:
            self._metrics.requests.labels("<error>", self.host, request.method).inc()
            raise _failed(request, self._base, err) from err
        self._metrics.requests.labels(str(status), self.host, request.method).inc()
        self._metrics.request_seconds.labels(self.host, request.method).observe(time.monotonic() - started)
        return status, headers, body

    async def _exchange(self, request: Request, token: str) -> tuple[int, httpx.Headers, bytes]:
        response = await self._pool.handle_async_request(self._build(request, token, self._timeout))
        try:
            return response.status_code, response.headers, await response.aread()
        finally:
            await response.aclose()

    @asynccontextmanager
    async def stream(
        self, request: Request, *, idle_seconds: float | None = None
    ) -> AsyncIterator[tuple[int, httpx.Headers, AsyncIterator[bytes]]]:
        """Status, headers and the body's chunks as they come; silence longer than ``idle_seconds`` is a failure."""
        token = await self._tokens.token()
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._streams.handle_async_request(self._build(request, token, idle_seconds))
        except (httpx.TransportError, TimeoutError, OSError) as err:
            raise _failed(request, self._base, err) from err
        try:
            yield response.status_code, response.headers, self._chunks(request, response)
        finally:
            await response.aclose()

    async def _chunks(self, request: Request, response: httpx.Response) -> AsyncIterator[bytes]:
        try:
            async for chunk in response.aiter_raw():
                yield chunk
        except (httpx.TransportError, OSError) as err:
            raise _failed(request, self._base, err) from err

    def _build(self, request: Request, token: str, read_timeout: float | None) -> httpx.Request:
        query = f"?{urlencode(request.params)}" if request.params else ""
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        headers = {**self._headers, **bearer, **request.headers}
        timeout = {"connect": 5.0, "read": read_timeout, "write": self._timeout, "pool": self._timeout}
        return httpx.Request(
            request.method,
            f"{self._base}{request.path}{query}",
            headers=headers,
            content=request.body,
            extensions={"timeout": timeout, **self._extensions},
        )

    def renew(self, credentials: Credentials) -> None:
        """Goes on with another certificate: open watches break off, other exchanges end as they began.

        Raises KubeconfigError, and then nothing has changed.
        """
        context = ssl_context(credentials)
        for pool, at_once in ((self._pool, False), (self._streams, True)):
            if isinstance(pool, Connections):
                pool.renew(context, at_once=at_once)

    async def aclose(self) -> None:
        """Closes every connection."""
        await self._pool.aclose()
        await self._streams.aclose()


class _Token:
    """The credentials' bearer token; a token file is read again when it may have rotated."""

    def __init__(self, credentials: Credentials | None) -> None:
        self._file = Path(credentials.token_file) if credentials and credentials.token_file else None
        self._token = credentials.token if credentials else ""
        self._read_at = float("-inf")

    async def token(self) -> str:
        if self._file is not None and time.monotonic() - self._read_at > TOKEN_SECONDS:
            try:
                self._token = self._file.read_text().strip()
            except OSError as err:
                if not self._token:
                    raise KubeconfigError(f"cannot read the token in {self._file}: {err.strerror}") from err
            self._read_at = time.monotonic()
        return self._token

    def reset(self) -> bool:
        return False


def _identity_headers(credentials: Credentials) -> dict[str, str]:
    headers: dict[str, str] = {}
    if credentials.username:
        login = f"{credentials.username}:{credentials.password}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(login).decode()}"
    if credentials.impersonate:
        headers["Impersonate-User"] = credentials.impersonate
    return headers


def ssl_context(credentials: Credentials | None) -> ssl.SSLContext:
    """The TLS context for a server: its CA, our certificate, or no verification where the kubeconfig says so."""
    context = ssl.create_default_context()
    if credentials is None:
        return context
    try:
        if credentials.ca_pem:
            context = ssl.create_default_context(cadata=credentials.ca_pem)
        if credentials.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if credentials.client_cert_pem:
            _load_client_certificate(context, credentials)
    except ssl.SSLError as err:
        raise KubeconfigError(f"the certificates for {credentials.server} cannot be used: {err}") from err
    return context


def _load_client_certificate(context: ssl.SSLContext, credentials: Credentials) -> None:
    """OpenSSL's binding takes a file only: one that nobody else can read, gone at once."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(f"{credentials.client_cert_pem}\n{credentials.client_key_pem}\n")
        file.flush()
        context.load_cert_chain(file.name)


def _failed(request: Request, base: str, err: Exception) -> ConnectionFailed:
    why = str(err) or type(err).__name__
    return ConnectionFailed(f"{request.method} {base}{request.path}: {why}")
