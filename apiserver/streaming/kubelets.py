"""Where the kubelet of a node is and how it is spoken to."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apiserver.registry.actions import ASGIApp
from apiserver.streaming.tunnel import Backend, forward
from kubeling.api import errors
from kubeling.api.errors import StatusError
from kubeling.api.meta import Object, name_of

if TYPE_CHECKING:
    import httpx

DEFAULT_PORT = 10250
_KEEP_SECONDS = 60.0


def kubelet_context(certificate: Path | None, key: Path | None, authority: Path | None) -> ssl.SSLContext:
    """Without an authority the kubelet's certificate is not checked, as upstream does it by default. Raises OSError."""
    if authority is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without the system's authorities, which take 20 ms to load
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context = ssl.create_default_context(cafile=str(authority))
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


def address_of(node: Mapping[str, Any], types: Sequence[str]) -> str:
    """The node's address of the first preferred type that it has, empty without any."""
    addresses = (node.get("status") or {}).get("addresses") or ()
    for wanted in types:
        for address in addresses:
            if address.get("type") == wanted and address.get("address"):
                return str(address["address"])
    return ""


def port_of(node: Mapping[str, Any]) -> int:
    endpoint = ((node.get("status") or {}).get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}
    return int(endpoint.get("Port") or DEFAULT_PORT)


class Kubelets:
    """Implements ``KubeletConnector``."""

    def __init__(self, context: ssl.SSLContext, address_types: Sequence[str]) -> None:
        self._context = context
        self._types = tuple(address_types)
        self._client: httpx.AsyncClient | None = None  # made at first use: see tunnel.py

    def backend(self, node: Object) -> Backend:
        """Raises 500 for a node without an address."""
        address = address_of(node, self._types)
        if not address:
            why = f"no preferred addresses found; known addresses: {(node.get('status') or {}).get('addresses') or []}"
            raise errors.internal_error(f"{name_of(node)}: {why}")
        return Backend(address, port_of(node), self._context)

    async def summary(self, node: Object) -> Object:
        """CPU and memory of the kubelet's ``/stats/summary``. Raises OSError, ValueError for no or a wrong answer,
        StatusError as above."""
        import httpx  # at first use: see tunnel.py

        url = f"{self.backend(node).base}/stats/summary?only_cpu_and_memory=true"
        try:
            answer = await self._summaries().get(url)
            answer.raise_for_status()
        except httpx.HTTPError as err:
            raise OSError(str(err) or type(err).__name__) from err
        found: Object = answer.json()
        return found

    def _summaries(self) -> httpx.AsyncClient:
        """One client for all: its connections stay open from one look at a kubelet to the next."""
        import httpx

        if self._client is None:
            limits = httpx.Limits(max_connections=None, keepalive_expiry=_KEEP_SECONDS)
            self._client = httpx.AsyncClient(verify=self._context, trust_env=False, limits=limits)
        return self._client

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    def address(self, node: Object) -> tuple[str, int]:
        """Host and port. Raises 500 for a node without an address."""
        backend = self.backend(node)
        return backend.host, backend.port

    def stream(
        self, node: Object, path: str, query: str, refusal: Callable[[int, str], StatusError] | None = None
    ) -> ASGIApp:
        return forward(self.backend(node), path, query, refusal)
