"""HTTP and TCP probes from the node to the pod's address."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from kubelet.containers.httpget import errno_text, failure_text, get_headers, get_url
from kubelet.probes.outcome import Outcome, Verdict

_MAX_BODY = 10 * 1024
_MAX_REDIRECTS = 10
AGENT = "kube-probe"


async def probe_http(
    client: httpx.AsyncClient, action: Mapping[str, Any], port: int, ip: str, timeout: float
) -> Outcome:
    """200 to 399 is good; a redirect to another host is a warning; the same host's are followed."""
    url = asked = get_url(action, port, ip)
    headers = get_headers(action, AGENT)
    try:
        async with asyncio.timeout(timeout):
            for _ in range(_MAX_REDIRECTS):
                url = asked
                async with client.stream("GET", url, headers=headers, timeout=None) as response:
                    asked = urljoin(url, response.headers.get("location", ""))
                    if response.has_redirect_location and urlsplit(asked).hostname == urlsplit(url).hostname:
                        continue
                    body = await _body(response)
                    break
            else:
                return Outcome(Verdict.FAILURE, f'Get "{url}": stopped after {_MAX_REDIRECTS} redirects')
    except TimeoutError:
        why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return Outcome(Verdict.FAILURE, f'Get "{url}": {why}')
    except httpx.HTTPError as err:
        return Outcome(Verdict.FAILURE, f'Get "{url}": {failure_text(err, url)}')
    if 200 <= response.status_code < 300:
        return Outcome(Verdict.SUCCESS, body)
    if 300 <= response.status_code < 400:
        return Outcome(Verdict.WARNING, f"Probe terminated redirects, Response body: {body}")
    return Outcome(Verdict.FAILURE, f"HTTP probe failed with statuscode: {response.status_code}")


async def _body(response: httpx.Response) -> str:
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) >= _MAX_BODY:
            break
    return bytes(content[:_MAX_BODY]).decode(errors="replace")


async def probe_tcp(host: str, port: int, timeout: float) -> Outcome:
    """Good when the port takes a connection."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return Outcome(Verdict.FAILURE, f"dial tcp {address}: i/o timeout")
    except socket.gaierror:
        return Outcome(Verdict.FAILURE, f"dial tcp: lookup {host}: no such host")
    except OSError as err:
        return Outcome(Verdict.FAILURE, f"dial tcp {address}: connect: {errno_text(err)}")
    writer.close()
    return Outcome(Verdict.SUCCESS)
