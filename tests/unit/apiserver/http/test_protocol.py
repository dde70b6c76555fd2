from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from apiserver.http.protocol import _answer

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
