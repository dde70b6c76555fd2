"""A request on its way through the chain, and what it is answered with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote

from apiserver.http.info import request_info
from apiserver.http.protocols import AuditRecord
from apiserver.http.request import ANONYMOUS, RequestInfo, User
from apiserver.registry.actions import ASGIApp, Receive, Scope
from kubeling.api import errors
from kubeling.api.meta import new_uid

BODY_LIMIT = 3 * 1024 * 1024
"""Bytes of a request body, upstream's --max-request-bytes default."""
_NO_QUERY: Mapping[str, list[str]] = {}

Header = tuple[bytes, bytes]
JSON: Header = (b"content-type", b"application/json")


class Request:
    """One request. The steps of the chain fill in ``user``, ``audit``, ``warnings`` and ``added_headers``; nothing else changes."""

    __slots__ = (
        "_headers", "added_headers", "audit", "audit_id", "info", "method", "path", "query", "receive", "scope", "user", "warnings",
    )  # fmt: skip

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.receive = receive
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        raw = scope["query_string"]
        self.query: Mapping[str, list[str]] = (
            parse_qs(raw.decode("latin-1"), keep_blank_values=True) if raw else _NO_QUERY
        )
        self._headers: dict[bytes, bytes] | None = None
        self.info: RequestInfo = request_info(self.method, self.path, self.query)
        self.user: User = ANONYMOUS
        self.audit_id = self.header(b"audit-id") or new_uid()
        self.audit: AuditRecord | None = None
        self.warnings: list[str] = []
        self.added_headers: tuple[Header, ...] = ()

    def header(self, name: bytes) -> str:
        """The last header of that (lower-case) name, empty without one."""
        if self._headers is None:
            self._headers = dict(self.scope["headers"])
        return self._headers.get(name, b"").decode("latin-1")

    def headers(self) -> dict[str, str]:
        """All headers by lower-case name, repeated ones joined with commas."""
        found: dict[str, str] = {}
        for name, value in self.scope["headers"]:
            key, text = name.decode("latin-1"), value.decode("latin-1")
            found[key] = f"{found[key]}, {text}" if key in found else text
        return found

    def param(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else default

    @property
    def has_body(self) -> bool:
        """Whether the client announced a body."""
        return bool(self.header(b"transfer-encoding")) or self.header(b"content-length") not in ("", "0")

    async def body(self) -> bytes:
        """The whole body. Raises 413 above the limit."""
        parts: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                break
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > BODY_LIMIT:
                raise errors.request_entity_too_large(f"Request entity too large: limit is {BODY_LIMIT}")
            parts.append(chunk)
            more = message.get("more_body", False)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    @property
    def raw_path(self) -> str:
        """The path as sent, undecoded (proxies pass it on)."""
        raw = self.scope.get("raw_path")
        return raw.decode("latin-1") if raw else unquote(self.path)


class Connection(Protocol):
    def write(self, data: bytes) -> bool:
        """False when the client is gone or reads too slowly."""
        ...


Feed = Callable[[Connection], Awaitable[None]]


class Response:
    """``body`` is sent at once; a ``stream`` chunk by chunk; an ``app`` takes the connection over altogether.

    ``feed`` is a faster way to the same bytes as ``stream``: it writes framed chunks to the connection itself.
    """

    __slots__ = ("app", "body", "feed", "headers", "status", "stream")

    def __init__(
        self,
        body: bytes = b"",
        status: int = 200,
        headers: list[Header] | None = None,
        stream: AsyncIterator[bytes] | None = None,
        app: ASGIApp | None = None,
        feed: Feed | None = None,
    ) -> None:
        self.body = body
        self.status = status
        self.headers = [JSON] if headers is None else headers
        self.stream = stream
        self.app = app
        self.feed = feed


def text_response(text: str, status: int = 200, content_type: str = "text/plain; charset=utf-8") -> Response:
    headers = [(b"content-type", content_type.encode()), (b"x-content-type-options", b"nosniff")]
    return Response(text.encode(), status, headers)


def scheme_of(scope: Mapping[str, Any]) -> str:
    return str(scope.get("scheme", "https"))
