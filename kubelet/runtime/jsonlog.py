"""The engine's json-file log format, without I/O: lines of JSON in, what a client is shown out.

A line is ``{"log":"text\\n","stream":"stdout","time":"2026-01-02T03:04:05.6Z"}``. What the container wrote in one long line
the engine cuts in several; only the last one's text ends with a newline.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

import orjson

from kubelet.runtime.protocol import LogRequest

_FIXED = len("2026-01-02T03:04:05.123456789")
_text = itemgetter("log")
Line = dict[str, Any]


def fixed_time(text: str) -> str:
    """A UTC time with all nine digits of its nanoseconds, without the ``Z``: its order is that of time."""
    moment = text.removesuffix("Z")
    return (moment if "." in moment else moment + ".").ljust(_FIXED, "0")


def decode(data: bytes) -> list[Line]:
    """The entries in whole lines; what is no entry (a machine lost power while the engine wrote) is left out."""
    try:
        found: list[Line] = orjson.loads(b"[" + data.rstrip(b"\n").replace(b"\n", b",") + b"]")
    except ValueError:
        found = []
        for line in data.splitlines():
            try:
                found.append(orjson.loads(line))
            except ValueError:
                continue
    if all(type(entry) is dict and "log" in entry for entry in found):
        return found
    return [entry for entry in found if isinstance(entry, dict) and "log" in entry]


class Renderer:
    """Shows entries as the request asks. Holds, from one call to the next, whether a line has begun."""

    def __init__(self, request: LogRequest) -> None:
        self._timestamps = request.timestamps
        self._begins = True
        wanted: list[Callable[[Line], bool]] = []
        if request.since > 0:
            since = fixed_time(datetime.fromtimestamp(request.since, UTC).isoformat().removesuffix("+00:00"))
            wanted.append(lambda entry: fixed_time(entry.get("time", "")) >= since)
        if not (request.stdout and request.stderr):
            stream = "stdout" if request.stdout else "stderr"
            wanted.append(lambda entry: entry.get("stream") == stream)
        self._wanted = wanted

    def render(self, data: bytes) -> bytes:
        """``data`` is whole lines of the file."""
        entries = decode(data)
        for wanted in self._wanted:
            entries = list(filter(wanted, entries))
        if self._timestamps:
            return "".join(map(self._stamped, entries)).encode()
        return "".join(map(_text, entries)).encode()

    def _stamped(self, entry: Line) -> str:
        """Only the beginning of a line has its time, however many entries the line is cut in."""
        text: str = entry["log"]
        shown = f"{fixed_time(entry.get('time', ''))}Z {text}" if self._begins else text
        self._begins = not text or text.endswith("\n")
        return shown
