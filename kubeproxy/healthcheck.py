"""The health check ports of load-balanced services with the Local policy: has this node an endpoint to send traffic to?

Answers as upstream's do: 200 with the number of local endpoints, 503 when there is none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

import orjson

from kubeproxy.model import ServicePort, on_nodes, usable

log = logging.getLogger(__name__)
_PHRASES = {200: "OK", 503: "Service Unavailable"}


def health_counts(ports: Iterable[ServicePort], nodes: frozenset[str]) -> dict[int, tuple[str, str, int]]:
    """For every health check port: namespace and name of the service, and how many usable endpoints it has on these nodes."""
    addresses: dict[int, set[str]] = {}
    owners: dict[int, tuple[str, str]] = {}
    for port in ports:
        if port.health_check_port:
            owners[port.health_check_port] = (port.namespace, port.name)
            local = usable(on_nodes(port.endpoints, nodes))
            addresses.setdefault(port.health_check_port, set()).update(e.ip for e in local)
    return {number: (*owners[number], len(found)) for number, found in addresses.items()}


def health_answer(namespace: str, name: str, count: int) -> tuple[int, bytes]:
    """Status and JSON body."""
    body = {
        "service": {"namespace": namespace, "name": name},
        "localEndpoints": count,
        "serviceProxyHealthy": True,
    }
    return (200 if count else 503), orjson.dumps(body)


class HealthChecks:
    """Listens on the health check ports that services have now."""

    def __init__(self) -> None:
        self._counts: dict[int, tuple[str, str, int]] = {}
        self._servers: dict[int, asyncio.Server] = {}

    async def serve(self, ports: Iterable[ServicePort], nodes: frozenset[str]) -> None:
        """Opens and closes servers and updates what they answer. A port in use is logged and tried again next time."""
        self._counts = health_counts(ports, nodes)
        for number in self._servers.keys() - self._counts.keys():
            self._servers.pop(number).close()
        for number in self._counts.keys() - self._servers.keys():
            try:
                self._servers[number] = await asyncio.start_server(self._handler(number), "0.0.0.0", number)
            except OSError as err:
                log.warning("cannot listen on health check port %d: %s", number, err.strerror)

    async def close(self) -> None:
        for server in self._servers.values():
            server.close()
        self._servers.clear()

    def _handler(self, number: int):  # type: ignore[no-untyped-def]  # asyncio's callback type is not exported
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                async with asyncio.timeout(10):
                    await reader.readuntil(b"\r\n\r\n")
                status, body = health_answer(*self._counts[number])
                head = f"HTTP/1.1 {status} {_PHRASES[status]}\r\nContent-Type: application/json\r\n"
                head += f"X-Load-Balancing-Endpoint-Weight: {self._counts[number][2]}\r\n"
                writer.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
                await writer.drain()
            except (OSError, EOFError, TimeoutError, KeyError, asyncio.LimitOverrunError) as err:
                log.debug("health check request failed: %s", err)
            finally:
                writer.close()

        return handle
