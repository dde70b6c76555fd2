"""Forwards requests to another server (a kubelet, a pod): plain ones as HTTP, upgrades byte by byte."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h11

from apiserver.http.encoding import error_response
from apiserver.http.message import Request
from apiserver.http.protocol import Taken
from apiserver.registry.actions import ASGIApp, Receive, Scope, Send
from kubeling.api.errors import StatusError, failure

if TYPE_CHECKING:
    import httpx

_HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer", b"upgrade",
     b"transfer-encoding"}
)  # fmt: skip
_PRIVATE = frozenset({b"authorization", b"host", b"content-length"})
_CHUNK = 1 << 16
CONNECT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Backend:
    """Where to: ``https`` with a context, plain HTTP without one. ``name``: of its certificate, where that is not the host."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    name: str = ""

    @property
    def base(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    @property
    def extensions(self) -> dict[str, Any]:
        """For httpx."""
        return {"sni_hostname": self.name} if self.name and self.tls else {}

    async def get_json(self, path: str, seconds: float) -> Any:
        """What a GET is answered with. Raises OSError when it fails, ValueError for an answer that is no JSON."""
        import httpx

        try:
            async with (
                asyncio.timeout(seconds),
                httpx.AsyncClient(verify=self.tls or False, timeout=seconds, trust_env=False) as client,
            ):
                answer = await client.get(self.base + path, extensions=self.extensions)
        except httpx.HTTPError as err:
            raise OSError(str(err)) from err
        if answer.status_code >= 300:
            raise OSError(f"bad status from {self.base}{path}: {answer.status_code}")
        return answer.json()


def wants_upgrade(scope: Scope) -> bool:
    return any(name == b"upgrade" for name, _ in scope["headers"])


Refusal = Callable[[int, str], StatusError]
"""What an answer that is no success means to the client, from its status and body."""
_REFUSAL_BYTES = 50_000


def forward(backend: Backend, path: str, query: str, refusal: Refusal | None = None) -> ASGIApp:
    """An application that sends the request on to ``path`` there and the answer back.

    Without ``refusal`` every answer is passed on as it is and network errors are 503 in plain text, as upstream's
    proxies answer; with it the client gets a Status for both.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        target = path + (f"?{query}" if query else "")
        try:
            if wants_upgrade(scope):
                await _tunnel(backend, target, scope, send)
            else:
                await _exchange(backend, target, scope, receive, send, refusal)
        except StatusError as err:
            await _answer(err, scope, receive, send)
        except OSError as err:
            if refusal is None:
                await _fail(send, f"error trying to reach service: {err}")
            else:
                why = f'Get "{backend.base}{target}": {err}'
                await _answer(failure(500, "", why), scope, receive, send)

    return app


async def _answer(err: StatusError, scope: Scope, receive: Receive, send: Send) -> None:
    """The Status, in the encoding that the client asked for."""
    response = error_response(err, Request(scope, receive))
    headers = [*response.headers, (b"content-length", str(len(response.body)).encode())]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


async def _fail(send: Send, why: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": why.encode()})


def _passed_on(scope: Scope) -> list[tuple[bytes, bytes]]:
    return [(n, v) for n, v in scope["headers"] if n not in _PRIVATE and not n.startswith(b"impersonate-")]


async def _exchange(
    backend: Backend, target: str, scope: Scope, receive: Receive, send: Send, refusal: Refusal | None
) -> None:
    """Raises OSError when the backend cannot be reached, StatusError for what ``refusal`` makes an error of."""
    import httpx  # at first use: with all it brings along it would be a tenth of the server's start

    body = b""
    more = scope["method"] in ("POST", "PUT", "PATCH", "DELETE")
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = bool(message.get("more_body")) and message["type"] == "http.request"
    headers = [(n, v) for n, v in _passed_on(scope) if n not in _HOP_BY_HOP]
    timeout = httpx.Timeout(None, connect=CONNECT_SECONDS)
    async with httpx.AsyncClient(verify=backend.tls or False, timeout=timeout, trust_env=False) as client:
        request = client.build_request(
            scope["method"], backend.base + target, headers=headers, content=body, extensions=backend.extensions
        )
        try:
            response = await client.send(request, stream=True)
            try:
                if refusal is not None and not 200 <= response.status_code <= 206:
                    raise refusal(response.status_code, await _text(response))
                await _relay(response, receive, send)
            finally:
                await response.aclose()
        except httpx.HTTPError as err:
            raise OSError(str(err)) from err


async def _text(response: httpx.Response) -> str:
    """The beginning of the body."""
    found = b""
    async for chunk in response.aiter_bytes():
        found += chunk
        if len(found) >= _REFUSAL_BYTES:
            break
    return found[:_REFUSAL_BYTES].decode("utf-8", "replace")


async def _relay(response: httpx.Response, receive: Receive, send: Send) -> None:
    """Chunks go out as they come (a followed log); a client that leaves ends the exchange."""
    headers = [(n.lower(), v) for n, v in response.headers.raw if n.lower() not in _HOP_BY_HOP]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})

    async def pump() -> None:
        async for chunk in response.aiter_raw():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})

    pumping, leaving = asyncio.ensure_future(pump()), asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait([pumping, leaving], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (pumping, leaving):
            task.cancel()
        await asyncio.gather(pumping, leaving, return_exceptions=True)
    await send({"type": "http.response.body", "body": b""})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _tunnel(backend: Backend, target: str, scope: Scope, send: Send) -> None:
    """Repeats the upgrade request at the backend; once that has agreed, both ends talk through us.

    Before that they must not: a backend that answers anything else goes on speaking HTTP, and whatever the client sent would
    reach it as requests of ours, with our certificate (CVE-2018-1002105).
    """
    async with asyncio.timeout(CONNECT_SECONDS):
        reader, writer = await asyncio.open_connection(
            backend.host,
            backend.port,
            ssl=backend.tls,
            server_hostname=(backend.name or backend.host) if backend.tls else None,
        )
    http = h11.Connection(h11.CLIENT)
    try:
        headers = [(b"host", f"{backend.host}:{backend.port}".encode()), *_passed_on(scope)]
        writer.write(http.send(h11.Request(method=scope["method"], target=target, headers=headers)) or b"")
        writer.write(http.send(h11.EndOfMessage()) or b"")
        answer = await _next(http, reader)
        if isinstance(answer, h11.InformationalResponse) and answer.status_code == 101:
            taken: Taken = scope["take_over"]()
            try:
                await taken.send(_upgrade_head(answer) + http.trailing_data[0])
                await _join(reader, writer, taken)
            finally:
                await taken.close()
        else:
            await _refuse(http, reader, answer, send)
    finally:
        writer.close()


async def _next(http: h11.Connection, reader: asyncio.StreamReader) -> Any:
    """The backend's next event. Raises ConnectionError when it speaks no HTTP."""
    try:
        while (event := http.next_event()) is h11.NEED_DATA:
            http.receive_data(await reader.read(_CHUNK))
    except h11.RemoteProtocolError as err:
        raise ConnectionError(str(err)) from err
    return event


def _upgrade_head(answer: h11.InformationalResponse) -> bytes:
    lines = [b"HTTP/1.1 101 " + bytes(answer.reason)]
    lines += [name + b": " + value for name, value in answer.headers.raw_items()]
    return b"\r\n".join(lines) + b"\r\n\r\n"


async def _refuse(http: h11.Connection, reader: asyncio.StreamReader, answer: Any, send: Send) -> None:
    """Passes on an answer that is no upgrade."""
    while isinstance(answer, h11.InformationalResponse):
        answer = await _next(http, reader)
    if not isinstance(answer, h11.Response):
        raise ConnectionError("the connection was closed before it was answered")
    headers = [(n, v) for n, v in answer.headers if n not in _HOP_BY_HOP]
    await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
    while isinstance(piece := await _next(http, reader), h11.Data):
        await send({"type": "http.response.body", "body": bytes(piece.data), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, taken: Taken) -> None:
    """Until one side has gone; each direction as fast as its receiver reads."""

    async def up() -> None:
        while data := await taken.receive():
            writer.write(data)
            await writer.drain()

    async def down() -> None:
        while data := await reader.read(_CHUNK):
            await taken.send(data)

    directions = [asyncio.ensure_future(up()), asyncio.ensure_future(down())]
    try:
        await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in directions:
            task.cancel()
        await asyncio.gather(*directions, return_exceptions=True)
