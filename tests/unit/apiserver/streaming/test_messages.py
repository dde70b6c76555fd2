from __future__ import annotations

from typing import Any

import pytest

from apiserver.registry.actions import Message, Receive, Scope, Send
from apiserver.streaming.messages import in_messages

HANDSHAKE = [
    (b"host", b"x"),
    (b"connection", b"Upgrade"),
    (b"upgrade", b"websocket"),
    (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    (b"sec-websocket-version", b"13"),
]


class Taken:
    """The client's connection."""

    def __init__(self) -> None:
        self.sent = b""
        self.closed = False

    async def send(self, data: bytes) -> None:
        self.sent += data

    async def receive(self) -> bytes:
        return b""

    async def close(self) -> None:
        self.closed = True


async def ask(
    headers: list[tuple[bytes, bytes]], status: int = 200, *, events: bool = False
) -> tuple[list[Message], Taken, list[bytes]]:
    taken, answered, seen = Taken(), list[Message](), list[bytes]()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend(name for name, _ in scope["headers"])
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"hello" + b"\nhal" * events, "more_body": True})
        await send({"type": "http.response.body", "body": b"lo\n" * events, "more_body": True})
        if taken.sent:
            assert (await receive())["type"] == "http.disconnect"
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Message) -> None:
        answered.append(message)

    async def receive() -> Any:
        raise AssertionError("nobody asks")

    await in_messages(app, events=events)(
        {"type": "http", "headers": headers, "take_over": lambda: taken}, receive, send
    )
    return answered, taken, seen


async def test_a_stream_is_sent_as_messages_after_an_empty_one() -> None:
    answered, taken, seen = await ask(HANDSHAKE)
    head, _, frames = taken.sent.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
    assert frames == b"\x82\x00" + b"\x82\x05hello" + b"\x88\x02\x03\xe8"
    assert (answered, taken.closed, seen) == ([], True, [b"host"])


async def test_base64_goes_out_as_text() -> None:
    _, taken, _ = await ask([*HANDSHAKE, (b"sec-websocket-protocol", b"other, base64.binary.k8s.io")])
    head, _, frames = taken.sent.partition(b"\r\n\r\n")
    assert b"base64.binary.k8s.io" in head
    assert frames.startswith(b"\x81\x00" + b"\x81\x08aGVsbG8=")


@pytest.mark.parametrize(
    ("headers", "status", "expected"),
    [
        ([*HANDSHAKE, (b"sec-websocket-protocol", b"channel.k8s.io")], 200, 403),
        ([h for h in HANDSHAKE if h[0] != b"sec-websocket-key"], 200, 400),
        (HANDSHAKE, 404, 404),
        ([(b"upgrade", b"SPDY/3.1"), (b"connection", b"Upgrade")], 200, 200),
    ],
)
async def test_what_becomes_no_websocket_is_answered_plainly(headers: Any, status: int, expected: int) -> None:
    answered, taken, seen = await ask(headers, status)
    assert (answered[0]["status"], taken.sent, taken.closed) == (expected, b"", False)
    assert b"upgrade" not in seen


async def test_events_are_messages_of_text_one_by_one() -> None:
    token = b"base64url.bearer.authorization.k8s.io.dG9rZW4"
    _, taken, _ = await ask([*HANDSHAKE, (b"sec-websocket-protocol", token + b", base64.binary.k8s.io")], events=True)
    head, _, frames = taken.sent.partition(b"\r\n\r\n")
    assert b"Sec-WebSocket-Protocol: base64.binary.k8s.io\r\n" in head + b"\r\n"
    assert frames == b"\x81\x06hello\n" + b"\x81\x06hallo\n" + b"\x88\x02\x03\xe8"
