"""Writes a response to the connection: headers of every answer, warnings, compression, streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from apiserver.http.encoding import compress, warning_header
from apiserver.http.message import Request, Response
from apiserver.registry.actions import Message, Receive, Scope, Send
from apiserver.streaming.messages import in_messages, wants_websocket

_NO_STORE = (b"cache-control", b"no-cache, private")


async def send_response(request: Request, response: Response, send: Send) -> None:
    """Streams end when the client goes away: the server cancels the request then."""
    if response.app is not None:
        await response.app(request.scope, request.receive, _with_headers(request, response, send))
        return
    if request.scope["type"] == "websocket":
        await _refuse_websocket(response, send)
        return
    headers = [
        *response.headers,
        (b"audit-id", request.audit_id.encode("latin-1", "replace")),
        *request.added_headers,
    ]
    if not any(name == b"cache-control" for name, _ in headers):
        headers.append(_NO_STORE)
    if request.warnings:
        headers += [warning_header(text) for text in request.warnings]
    if response.stream is not None:
        if request.header(b"upgrade") and wants_websocket(request.scope):
            await _messages(request, response, headers, send)
        else:
            await _stream(request, response, headers, send)
        return
    if request.scope["headers"]:
        accept = request.header(b"accept-encoding")
        if accept:
            before = len(response.headers)
            compress(response, accept)
            headers += response.headers[before:]
    if response.status not in (204, 304):
        headers.append((b"content-length", str(len(response.body)).encode()))
    answer = request.scope.get("answer")
    if answer is not None and answer(response.status, headers, response.body):
        return
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    body = b"" if request.method == "HEAD" else response.body
    await send({"type": "http.response.body", "body": body})


def _with_headers(request: Request, response: Response, send: Send) -> Send:
    """What an application sends gets the headers of every answer; the response learns the status."""

    async def sends(message: Message) -> None:
        if message["type"] == "http.response.start":
            response.status = message["status"]
            headers = [*message.get("headers", ()), (b"audit-id", request.audit_id.encode("latin-1", "replace"))]
            if not any(name == b"cache-control" for name, _ in headers):
                headers.append(_NO_STORE)
            message = {**message, "headers": [*headers, *request.added_headers]}
        await send(message)

    return sends


async def _stream(request: Request, response: Response, headers: list[tuple[bytes, bytes]], send: Send) -> None:
    """A chunk is sent as soon as it comes. A task watches for the client going away and ends the stream then."""
    stream = response.stream
    assert stream is not None  # checked by the caller
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    # the headers must be out before the first event, or clients wait for it
    await send({"type": "http.response.body", "body": b"", "more_body": True})

    async def pump() -> None:
        raw = "write" in request.scope and request.scope["http_version"] == "1.1" and request.method != "HEAD"
        if response.feed is not None and raw:
            await response.feed(_Raw(request.scope["write"]))
            return
        async for chunk in stream:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})

    pumping = asyncio.ensure_future(pump())
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait([pumping, leaving], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (pumping, leaving):
            task.cancel()
        await asyncio.gather(pumping, leaving, return_exceptions=True)
    await send({"type": "http.response.body", "body": b""})


async def _messages(request: Request, response: Response, headers: list[tuple[bytes, bytes]], send: Send) -> None:
    """A watch by WebSocket."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await _stream(Request({k: v for k, v in scope.items() if k != "write"}, receive), response, headers, send)

    await in_messages(app, events=True)(request.scope, request.receive, send)


class _Raw:
    """The client's connection, past the ASGI server."""

    __slots__ = ("write",)

    def __init__(self, write: Callable[[bytes], bool]) -> None:
        self.write = write


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _refuse_websocket(response: Response, send: Send) -> None:
    headers = [h for h in response.headers if h[0] != b"content-length"]
    await send({"type": "websocket.http.response.start", "status": response.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": response.body})
