"""The request of an ``httpGet``, of a probe or a hook, and what Go says where it fails (pkg/probe/http)."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

VERSION = "1.36"
HTTP_TO_HTTPS = "http: server gave HTTP response to HTTPS client"


def http_client() -> httpx.AsyncClient:
    """No proxy, no certificate checks, no headers of its own, a new connection each time."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    limits = httpx.Limits(max_keepalive_connections=0)
    client = httpx.AsyncClient(verify=context, trust_env=False, limits=limits, follow_redirects=False)
    client.headers.clear()
    return client


def get_url(action: Mapping[str, Any], port: int, ip: str) -> str:
    """``host`` of the action, else the pod's address."""
    scheme = (action.get("scheme") or "HTTP").lower()
    path = action.get("path") or "/"
    host = action.get("host") or ip
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{path if path.startswith('/') else '/' + path}"


def get_headers(action: Mapping[str, Any], agent: str) -> list[tuple[str, str]]:
    """The action's own, of which several may have one name; ``agent`` is ``kube-probe`` or ``kube-lifecycle``."""
    headers = [(h["name"], h.get("value") or "") for h in action.get("httpHeaders") or ()]
    given = {name.lower(): value for name, value in reversed(headers)}
    if "user-agent" not in given:
        headers.append(("User-Agent", f"{agent}/{VERSION}"))
    if "accept" not in given:
        headers.append(("Accept", "*/*"))
    # said to be empty, these two are not sent at all
    empty = {name for name in ("user-agent", "accept") if given.get(name) == ""}
    return [*(h for h in headers if h[0].lower() not in empty), ("Connection", "close")]


def errno_text(err: OSError) -> str:
    """As Go says it: ``connection refused``, ``no route to host``."""
    return os.strerror(err.errno).lower() if err.errno else str(err)


def _causes(err: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = err
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


def failure_text(err: httpx.HTTPError, url: str) -> str:
    """What Go's client says of a request for ``url`` that got no answer."""
    address = urlsplit(url).netloc
    for cause in _causes(err):
        if isinstance(cause, ssl.SSLError) and cause.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
            return HTTP_TO_HTTPS
        if isinstance(cause, socket.gaierror):
            return f"dial tcp: lookup {urlsplit(url).hostname}: no such host"
        if isinstance(cause, ConnectionResetError):
            return f"read tcp {address}: read: connection reset by peer"
        if isinstance(cause, OSError) and cause.errno and not isinstance(cause, ssl.SSLError):
            return f"dial tcp {address}: connect: {errno_text(cause)}"
    if isinstance(err, httpx.ConnectError):
        return f"dial tcp {address}: connect: connection refused"
    if isinstance(err, httpx.RemoteProtocolError) and "disconnected" in str(err):
        return "EOF"
    return str(err) or "EOF"
