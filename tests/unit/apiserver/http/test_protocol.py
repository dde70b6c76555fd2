from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from apiserver.http.protocol import CertificateProtocol, _answer

HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"2")]


def cycle(**changed: Any) -> Any:
    """As much of uvicorn's cycle as an answer touches."""
    written: list[bytes] = []
    made = SimpleNamespace(
        response_started=False, response_complete=False, disconnected=False, keep_alive=True,
        waiting_for_100_continue=True, flow=SimpleNamespace(write_paused=False), scope={"method": "GET"},
        default_headers=[(b"date", b"today")], transport=SimpleNamespace(write=written.append),
        message_event=asyncio.Event(), completed=[], written=written,
    )  # fmt: skip
    made.on_response = lambda: made.completed.append(True)
    for name, value in changed.items():
        setattr(made, name, value)
    return made


def test_head_and_body_are_one_write() -> None:
    made = cycle()
    assert _answer(made, 200, HEADERS, b"{}")
    head = b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n"
    assert made.written == [head + b"{}"]
    assert made.response_complete and made.message_event.is_set() and made.completed == [True]
    assert not made.waiting_for_100_continue


@pytest.mark.parametrize(
    "changed",
    [
        {"disconnected": True},
        {"keep_alive": False},
        {"response_started": True},
        {"scope": {"method": "HEAD"}},
        {"flow": SimpleNamespace(write_paused=True)},
    ],
)
def test_what_is_not_so_simple_goes_the_usual_way(changed: dict[str, Any]) -> None:
    made = cycle(**changed)
    assert not _answer(made, 200, HEADERS, b"{}")
    assert made.written == [] and not made.response_complete


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb", b"\0"])
def test_no_header_can_bring_a_line_of_its_own(value: bytes) -> None:
    made = cycle()
    assert not _answer(made, 200, [*HEADERS, (b"audit-id", value)], b"{}")
    assert made.written == []


def test_a_large_body_is_not_copied() -> None:
    assert not _answer(cycle(), 200, HEADERS, b"x" * 100_000)


class Wire:
    """As much of a transport as a connection touches."""

    def __init__(self) -> None:
        self.written, self.closed = b"", False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str) -> None:
        """No socket, no TLS."""


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


async def until_idle(state: ServerState) -> None:
    while state.tasks:
        await asyncio.sleep(0)


@pytest.mark.parametrize("failure", [None, ConnectionResetError()])
async def test_an_ended_connection_is_freed_without_the_collector(
    no_collector: None, failure: Exception | None
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["answer"](200, HEADERS, b"{}")

    config, state, wire = uvicorn.Config(app, interface="asgi3", lifespan="off", log_config=None), ServerState(), Wire()
    config.load()
    protocol = CertificateProtocol(config, state, {})
    protocol.connection_made(wire)  # type: ignore[arg-type]
    for _ in range(2):
        protocol.data_received(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n")
        first = weakref.ref(protocol.cycle)
        await until_idle(state)
    assert wire.written.count(b"200 OK") == 2
    protocol.connection_lost(failure)
    lost, gone = weakref.ref(wire), weakref.ref(protocol)
    del protocol, wire
    await asyncio.sleep(0)
    assert first() is None
    assert gone() is None
    assert lost() is None
