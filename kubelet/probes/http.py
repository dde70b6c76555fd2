"""HTTP and TCP probes from the node to the pod's address."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from kubelet.probes.outcome import Outcome, Verdict

_MAX_BODY = 10 * 1024
_MAX_REDIRECTS = 10
USER_AGENT = "kube-probe/1.36"


def probe_client() -> httpx.AsyncClient:
    """No proxy, no certificate checks, a new connection each time, as the kubelet probes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncClient(verify=context, trust_env=False, limits=limits, follow_redirects=False)


def probe_url(action: Mapping[str, Any], port: int, ip: str) -> str:
    scheme = (action.get("scheme") or "HTTP").lower()
    path = action.get("path") or "/"
    host = action.get("host") or ip
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{path if path.startswith('/') else '/' + path}"


def probe_headers(action: Mapping[str, Any]) -> dict[str, str]:
    headers = {h["name"]: h.get("value") or "" for h in action.get("httpHeaders") or ()}
    lower = {name.lower() for name in headers}
    if "user-agent" not in lower:
        headers["User-Agent"] = USER_AGENT
    if "accept" not in lower:
        headers["Accept"] = "*/*"
    return {name: value for name, value in headers.items() if value}


async def probe_http(
    client: httpx.AsyncClient, action: Mapping[str, Any], port: int, ip: str, timeout: float
) -> Outcome:
    """200 to 399 is good; a redirect to another host is a warning; the same host's are followed."""
    url = probe_url(action, port, ip)
    asked, headers = url, probe_headers(action)
    try:
        async with asyncio.timeout(timeout):
            for _ in range(_MAX_REDIRECTS):
                async with client.stream("GET", url, headers=headers, timeout=None) as response:
                    target = urljoin(url, response.headers.get("location", ""))
                    if response.is_redirect and urlsplit(target).hostname == urlsplit(asked).hostname:
                        url = target
                        continue
                    body = await _body(response)
                    break
            else:
                return Outcome(Verdict.FAILURE, f'Get "{asked}": stopped after {_MAX_REDIRECTS} redirects')
    except TimeoutError:
        why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return Outcome(Verdict.FAILURE, f'Get "{url}": {why}')
    except httpx.ConnectError:
        address = urlsplit(url).netloc
        return Outcome(Verdict.FAILURE, f'Get "{url}": dial tcp {address}: connect: connection refused')
    except httpx.HTTPError as err:
        return Outcome(Verdict.FAILURE, f'Get "{url}": {str(err) or "EOF"}')
    if response.is_redirect:
        return Outcome(Verdict.WARNING, f"Probe terminated redirects, Response body: {body}")
    if 200 <= response.status_code < 400:
        return Outcome(Verdict.SUCCESS, body)
    return Outcome(Verdict.FAILURE, f"HTTP probe failed with statuscode: {response.status_code}")


async def _body(response: httpx.Response) -> str:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) >= _MAX_BODY:
            break
    return bytes(content[:_MAX_BODY]).decode(errors="replace")


async def probe_tcp(host: str, port: int, timeout: float) -> Outcome:
    """Good when the port takes a connection."""
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return Outcome(Verdict.FAILURE, f"dial tcp {host}:{port}: i/o timeout")
    except OSError as err:
        why = "connection refused" if isinstance(err, ConnectionRefusedError) else (err.strerror or str(err)).lower()
        return Outcome(Verdict.FAILURE, f"dial tcp {host}:{port}: connect: {why}")
    writer.close()
    return Outcome(Verdict.SUCCESS)
