"""A component's own small HTTP server: /healthz, /livez, /readyz and /metrics on a loopback port."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest

from kubeling.client.errors import StartError

log = logging.getLogger(__name__)

Check = Callable[[], str]
"""Answers why something is wrong, or an empty text when it is fine."""

_HEALTH = ("/healthz", "/livez", "/readyz")
_MAX_HEAD = 16384


class HealthServer:
    """Answers GET alone, one request a connection. ``ready`` checks count for /readyz only."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        checks: Mapping[str, Check] | None = None,
        ready: Mapping[str, Check] | None = None,
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self._host = host
        self._port = port
        self._checks = checks if checks is not None else {}  # the caller's own: checks may be added later
        self._ready = ready if ready is not None else {}
        self._registry = registry
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listens; answers the port. Raises StartError when the port is taken."""
        try:
            self._server = await asyncio.start_server(self._serve, self._host, self._port, limit=_MAX_HEAD)
        except OSError as err:
            where = f"{self._host}:{self._port}"
            raise StartError(
                f"cannot listen on {where} for health checks: {err.strerror}; choose --healthz-port"
            ) from err
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Status, content type and body for a path."""
        path, _, query = path.partition("?")
        if path == "/metrics":
            return 200, CONTENT_TYPE_LATEST, generate_latest(self._registry)
        parts = path.rstrip("/").split("/")
        root = "/".join(parts[:2])
        if root not in _HEALTH or len(parts) > 3:
            return 404, "text/plain; charset=utf-8", b"404 page not found\n"
        checks = {"ping": _fine, **self._checks, **(self._ready if root == "/readyz" else {})}
        if len(parts) == 3:
            if parts[2] not in checks:
                return 404, "text/plain; charset=utf-8", b"404 page not found\n"
            checks = {parts[2]: checks[parts[2]]}
        wrong = {name: why for name, check in checks.items() if (why := check())}
        return _health_text(root[1:], checks, wrong, verbose="verbose" in query)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(10):
                head = await reader.readuntil(b"\r\n\r\n")
            words = head.split(b"\r\n", 1)[0].decode("latin-1").split()
            if len(words) == 3 and words[0] == "GET":
                status, kind, body = self.answer(words[1])
            else:
                status, kind, body = 405, "text/plain; charset=utf-8", b"405 method not allowed\n"
            start = f"HTTP/1.1 {status} {_PHRASES[status]}\r\nContent-Type: {kind}\r\n"
            writer.write(f"{start}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
            await writer.drain()
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError) as err:
            log.debug("health request failed: %s", err)
        finally:
            writer.close()


_PHRASES = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 500: "Internal Server Error"}


def _fine() -> str:
    return ""


def _health_text(
    name: str, checks: Mapping[str, Check], wrong: Mapping[str, str], *, verbose: bool
) -> tuple[int, str, bytes]:
    kind = "text/plain; charset=utf-8"
    if not wrong and not verbose:
        return 200, kind, b"ok"
    marks = [f"[-]{c} failed: {wrong[c]}" if c in wrong else f"[+]{c} ok" for c in checks]
    verdict = f"{name} check {'failed' if wrong else 'passed'}"
    return (500 if wrong else 200), kind, "\n".join([*marks, verdict, ""]).encode()
