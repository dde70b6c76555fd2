"""The server's side of a WebSocket over a connection that HTTP has let go of."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from websockets.frames import Frame, Opcode
from websockets.http11 import Request as WsRequest
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from kubelet.server.http import Request, Wire

_log = logging.getLogger(__name__)
_log.setLevel(logging.WARNING)  # the library tells of every connection
_MAX_MESSAGE = 16 << 20
_NORMAL = 1000


class WebSocket:
    """Messages of bytes both ways. Open it with ``accept``."""

    def __init__(self, wire: Wire, protocol: ServerProtocol) -> None:
        self._wire, self._protocol = wire, protocol
        self._ready: list[tuple[bool, bytes]] = []
        self._parts: list[bytes] = []
        self._text = False

    @classmethod
    async def accept(cls, wire: Wire, request: Request, subprotocols: Sequence[str]) -> WebSocket | None:
        """Completes the handshake with the client's first offered subprotocol of ours; None when it was refused."""
        protocol = ServerProtocol(
            subprotocols=[Subprotocol(s) for s in subprotocols],
            select_subprotocol=_select,
            max_size=_MAX_MESSAGE,
            logger=_log,
        )
        protocol.receive_data(_head(request))
        received = protocol.events_received()
        if not received or not isinstance(received[0], WsRequest):
            return None
        response = protocol.accept(received[0])
        protocol.send_response(response)
        socket = cls(wire, protocol)
        await socket._flush()
        return socket if response.status_code == 101 else None

    @property
    def subprotocol(self) -> str:
        return str(self._protocol.subprotocol or "")

    async def receive(self) -> bytes | None:
        """The next message; None when the client has closed."""
        while not self._ready:
            data = await self._wire.read()
            if not data:
                return None
            self._protocol.receive_data(data)
            for frame in self._protocol.events_received():
                if isinstance(frame, Frame):
                    self._take(frame)
            await self._flush()
            if self._protocol.close_rcvd is not None and not self._ready:
                return None
        return self._ready.pop(0)[1]

    def _take(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            self._parts.append(bytes(frame.data))
            if frame.fin:
                self._ready.append((frame.opcode == Opcode.TEXT, b"".join(self._parts)))
                self._parts.clear()
        elif frame.opcode == Opcode.CLOSE:
            self._parts.clear()

    async def send(self, data: bytes, *, text: bool = False) -> None:
        """Raises ConnectionError once the connection is closing."""
        if self._protocol.close_sent is not None or self._protocol.close_rcvd is not None:
            raise ConnectionError("the WebSocket is closed")
        if text:
            self._protocol.send_text(data)
        else:
            self._protocol.send_binary(data)
        await self._flush()

    async def close(self) -> None:
        if self._protocol.close_sent is None and self._protocol.close_rcvd is None:
            self._protocol.send_close(_NORMAL)
            await self._flush()
        await self._wire.close()

    async def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            await self._wire.write(data)


def _select(protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """The first that the client offers and we have; none when it offers none."""
    return next((s for s in offered if s in (protocol.available_subprotocols or ())), None)


def _head(request: Request) -> bytes:
    lines = [f"{request.method} {request.raw_target} HTTP/1.1".encode()]
    lines += [name + b": " + value for name, value in request.raw_headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def is_websocket(request: Request) -> bool:
    return request.headers.get("upgrade", "").lower() == "websocket"
