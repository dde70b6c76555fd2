"""A streamed answer as the messages of a WebSocket, for clients that ask for an upgrade where nothing flows upwards: logs and
watches.

Source: k8s.io/apimachinery/pkg/util/httpstream/wsstream (Reader) and k8s.io/apiserver/pkg/endpoints/handlers (HandleWS).
"""

from __future__ import annotations

import base64
import logging
from typing import TYPE_CHECKING, Any

from apiserver.registry.actions import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from apiserver.http.protocol import Taken

_BASE64 = "base64.binary.k8s.io"
_SUBPROTOCOLS = ("", "binary.k8s.io", _BASE64)
_BEARER = "base64url.bearer.authorization.k8s.io."
_UPGRADE = frozenset({b"upgrade", b"connection", b"accept-encoding"})
_NORMAL = 1000
_log = logging.getLogger(__name__)
_log.setLevel(logging.WARNING)  # the library tells of every connection


def in_messages(app: ASGIApp, *, events: bool = False) -> ASGIApp:
    """``app`` sees a plain request; what it streams with 200 goes out as messages if the client speaks WebSocket. Any other
    upgrade is not for it. ``events``: every line is a message of text, whatever the subprotocol."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [h for h in scope["headers"] if h[0] not in _UPGRADE and not h[0].startswith(b"sec-websocket-")]
        if not wants_websocket(scope):
            left_alone = [h for h in scope["headers"] if h[0] != b"upgrade"]
            await app({**scope, "headers": left_alone}, receive, send)
            return
        socket = _Socket(scope, receive, send, events=events)
        try:
            await app({**scope, "headers": headers}, socket.receive, socket.send)
        finally:
            await socket.close()

    return wrapped


def _header(scope: Scope, name: bytes) -> bytes:
    return b",".join(value for found, value in scope["headers"] if found == name)


def wants_websocket(scope: Scope) -> bool:
    return _header(scope, b"upgrade").lower() == b"websocket" and b"upgrade" in _header(scope, b"connection").lower()


class _Socket:
    """``receive`` and ``send`` of ASGI over a connection that is taken over once the answer turns out to be a stream."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, events: bool) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._taken: Taken | None = None
        self._protocol: Any = None
        self._base64, self._events = False, events
        self._line = b""
        self._decided = self._plain = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if not self._decided:
                self._decided, self._plain = True, message["status"] != 200
                if self._plain:
                    await self._send(message)
                else:
                    await self._open()
        elif self._plain:
            await self._send(message)
        elif data := message.get("body"):
            if not self._events:
                await self._tell(data)
                return
            *lines, self._line = (self._line + data).split(b"\n")
            for line in lines:
                await self._tell(line + b"\n")

    async def _open(self) -> None:
        """The handshake; a client that is not content with our subprotocols is sent away."""
        from websockets.server import ServerProtocol  # at first use: see tunnel.py
        from websockets.typing import Subprotocol

        offered = [p.strip() for p in _header(self._scope, b"sec-websocket-protocol").decode("latin-1").split(",")]
        chosen: str | None
        if self._events:
            chosen = next((p for p in offered if not p.startswith(_BEARER)), "")
        else:
            chosen = next((p for p in offered if p in _SUBPROTOCOLS), None)
        if chosen is None:
            known = " ".join(_SUBPROTOCOLS)
            await self._refuse(
                403, f"requested protocol(s) are not supported: [{' '.join(offered)}]; supports [{known}]"
            )
            return
        self._base64 = chosen == _BASE64 and not self._events
        self._protocol = ServerProtocol(
            subprotocols=[Subprotocol(chosen)] if chosen else None,
            select_subprotocol=(lambda _, __: Subprotocol(chosen)) if chosen else None,
            logger=_log,
        )
        self._protocol.receive_data(_head(self._scope))
        requests = self._protocol.events_received()
        if not requests:
            await self._refuse(400, "bad WebSocket handshake")
            return
        response = self._protocol.accept(requests[0])
        if response.status_code != 101:
            await self._refuse(response.status_code, (response.body or b"").decode("utf-8", "replace"))
            return
        self._taken = self._scope["take_over"]()
        self._protocol.send_response(response)
        if self._events:
            await self._flush(self._taken)
        else:
            await self._tell(b"")

    async def _refuse(self, status: int, why: str) -> None:
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(why.encode())).encode()),
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": why.encode()})

    async def _tell(self, data: bytes) -> None:
        from websockets.protocol import State

        if self._taken is None or self._protocol.state is not State.OPEN:
            return
        if self._events:
            self._protocol.send_text(data)
        elif self._base64:
            self._protocol.send_text(base64.b64encode(data))
        else:
            self._protocol.send_binary(data)
        await self._flush(self._taken)

    async def _flush(self, taken: Taken) -> None:
        data = b"".join(self._protocol.data_to_send())
        if data:
            await taken.send(data)

    async def receive(self) -> Message:
        """Nothing but the client's leaving is of interest; pings are answered."""
        if self._taken is None:
            return await self._receive()
        while data := await self._taken.receive():
            self._protocol.receive_data(data)
            self._protocol.events_received()
            await self._flush(self._taken)
            if self._protocol.close_expected():
                break
        return {"type": "http.disconnect"}

    async def close(self) -> None:
        from websockets.protocol import State

        if self._taken is None:
            return
        try:
            if self._protocol.state is State.OPEN:
                self._protocol.send_close(_NORMAL)
                await self._flush(self._taken)
        except ConnectionError:
            pass
        await self._taken.close()


def _head(scope: Scope) -> bytes:
    lines = [b"GET / HTTP/1.1", *(name + b": " + value for name, value in scope["headers"])]
    return b"\r\n".join(lines) + b"\r\n\r\n"
