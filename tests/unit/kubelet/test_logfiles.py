"""Logs read from the engine's files: what is shown, where a tail begins, and nothing lost to rotation."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from kubelet.runtime.jsonlog import Renderer, decode, fixed_time
from kubelet.runtime.logfiles import LogFile, LogReader, open_files, readable_log, tail_start
from kubelet.runtime.protocol import LogRequest


def entry(text: str, stream: str = "stdout", time: str = "2026-01-02T03:04:05.5Z") -> bytes:
    return json.dumps({"log": text, "stream": stream, "time": time}).encode() + b"\n"


LINES = (
    entry("one\n", time="2026-01-02T03:04:05Z")
    + entry("two, cut ", "stderr", "2026-01-02T03:04:06.25Z")
    + entry("in two\n", "stderr", "2026-01-02T03:04:06.3Z")
    + entry("drei, öäü\n", time="2026-01-02T03:04:07.123456789Z")
)


def test_times_are_compared_as_text() -> None:
    assert fixed_time("2026-01-02T03:04:05Z") == "2026-01-02T03:04:05.000000000"
    assert fixed_time("2026-01-02T03:04:05.25Z") == "2026-01-02T03:04:05.250000000"


@pytest.mark.parametrize(
    ("request_", "shown"),
    [
        (LogRequest(), "one\ntwo, cut in two\ndrei, öäü\n"),
        (LogRequest(stderr=False), "one\ndrei, öäü\n"),
        (LogRequest(stdout=False), "two, cut in two\n"),
        (LogRequest(since=1767323046.3), "in two\ndrei, öäü\n"),
        (
            LogRequest(timestamps=True),
            "2026-01-02T03:04:05.000000000Z one\n2026-01-02T03:04:06.250000000Z two, cut in two\n"
            "2026-01-02T03:04:07.123456789Z drei, öäü\n",
        ),
    ],
    ids=["all", "stdout", "stderr", "since", "timestamps"],
)
def test_what_is_shown(request_: LogRequest, shown: str) -> None:
    assert Renderer(request_).render(LINES).decode() == shown


def test_what_is_no_entry_is_left_out() -> None:
    assert [e["log"] for e in decode(entry("a\n") + b'\0\0{"lo\n' + b'{"other":1}\n' + entry("b\n"))] == ["a\n", "b\n"]
    assert decode(b"") == []


@pytest.mark.parametrize(
    ("content", "lines", "start", "missing"),
    [
        (b"", 3, 0, 3),
        (b"a\nb\nc\n", 0, 6, 0),
        (b"a\nb\nc\n", 1, 4, 0),
        (b"a\nb\nc\n", 2, 2, 0),
        (b"a\nb\nc\n", 3, 0, 0),
        (b"a\nb\nc\n", 5, 0, 2),
        (b"a\nb\nhalf", 1, 2, 0),
        (b"x" * 70_000 + b"\n" + b"y" * 70_000 + b"\n", 1, 70_001, 0),
        (b"x\n" * 100_000, 40_000, 120_000, 0),
    ],
)
def test_where_a_tail_begins(tmp_path: Path, content: bytes, lines: int, start: int, missing: int) -> None:
    (tmp_path / "log").write_bytes(content)
    with contextlib.closing(LogFile.open(str(tmp_path / "log"))) as file:
        assert tail_start(file, lines) == (start, missing)


def test_files_are_found_oldest_first_while_they_are_rotated(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for number, name in enumerate(("log", "log.1", "log.3")):  # 2 is just being renamed
        (tmp_path / name).write_text(str(number))
    found = open_files(log)
    assert [f.read(10, 0) for f in found] == [b"2", b"1", b"0"]
    (tmp_path / "log.1").rename(tmp_path / "log.2")
    log.rename(tmp_path / "log.1")
    assert open_files(log, {f.inode for f in found}) == []
    log.write_text("new")
    newer = open_files(log, {f.inode for f in found})
    assert [f.read(10, 0) for f in newer] == [b"new"]
    for file in (*found, *newer):
        file.close()


async def over() -> bool:
    return True


async def collected(path: Path, request: LogRequest, ended: Any = over) -> str:
    return b"".join([piece async for piece in LogReader(path, request, ended).pieces()]).decode()


async def test_a_tail_reaches_back_into_rotated_files(tmp_path: Path) -> None:
    log = tmp_path / "log"
    (tmp_path / "log.2").write_bytes(entry("1\n") + entry("2\n"))
    (tmp_path / "log.1").write_bytes(entry("3\n"))
    log.write_bytes(entry("4\n") + entry("5\n"))
    assert await collected(log, LogRequest()) == "1\n2\n3\n4\n5\n"
    assert await collected(log, LogRequest(tail=1)) == "5\n"
    assert await collected(log, LogRequest(tail=4)) == "2\n3\n4\n5\n"
    assert await collected(log, LogRequest(tail=0, follow=True)) == ""
    assert await collected(log, LogRequest(tail=9)) == "1\n2\n3\n4\n5\n"


async def test_no_log_at_all(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await collected(tmp_path / "log", LogRequest())
    assert readable_log(str(tmp_path / "log")) is None
    assert readable_log("") is None


async def test_following_loses_nothing_to_rotation(tmp_path: Path) -> None:
    """A writer that keeps two small files and rotates thousands of lines through them; the reader is slower."""
    log, count = tmp_path / "log", 20_000
    seen, done = threading.Semaphore(0), asyncio.Event()
    log.touch()

    def write() -> None:
        file = log.open("ab")
        for number in range(count):
            file.write(entry(f"{number}\n"))
            if number % 2000 == 1999:  # rotated twice as often as the reader looks at what it has
                file.close()
                log.rename(tmp_path / "log.1")
                file = log.open("ab")
                assert seen.acquire(timeout=60)  # the new file has been seen: what is deleted next is held
        file.close()

    async def ended() -> bool:
        return done.is_set()

    class Watched(LogReader):
        def _find_newer(self) -> None:
            before = len(self._files)
            super()._find_newer()
            for _ in range(len(self._files) - before):
                seen.release()

    reader, found = Watched(log, LogRequest(follow=True), ended), b""
    writing = asyncio.create_task(asyncio.to_thread(write))
    writing.add_done_callback(lambda _: done.set())
    async for piece in reader.pieces():
        found += piece
        await asyncio.sleep(0.01)
    await writing
    assert found.decode().split() == [str(n) for n in range(count)]
