"""exec and attach: a process's streams joined to the client's channels."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from kubelet.runtime.protocol import IOStream, Runtime, RuntimeFailure
from kubelet.server.channels import (
    ERROR,
    RESIZE,
    SPDY_PROTOCOLS,
    STDERR,
    STDIN,
    STDOUT,
    WEBSOCKET_PROTOCOLS,
    Channels,
    WebSocketChannels,
    open_spdy,
    refuse_spdy,
)
from kubelet.server.http import Request, Response, Upgrade, Wire, error_response
from kubelet.server.websocket import WebSocket, is_websocket

Resize = Callable[[int, int], Awaitable[None]]
SUCCESS: dict[str, Any] = {"metadata": {}, "status": "Success"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which streams the client asks for."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool

    @classmethod
    def of(cls, request: Request) -> Wanted:
        tty = request.flag("tty")
        stdin = request.flag("input", "stdin")
        return cls(stdin, request.flag("output", "stdout"), request.flag("error", "stderr") and not tty, tty)

    @property
    def streams(self) -> int:
        """How many SPDY streams the client opens: these, the error stream, and for a terminal the resize stream."""
        return self.stdin + self.stdout + self.stderr + 1 + self.tty


def exit_status(code: int) -> dict[str, Any]:
    """The Status of a command that ended with this code."""
    if code == 0:
        return SUCCESS
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: command terminated with exit code {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def failure_status(message: str) -> dict[str, Any]:
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"Internal error occurred: {message}",
        "reason": "InternalError",
        "details": {"causes": [{"message": message}]},
        "code": 500,
    }


def refuse_streams(request: Request) -> Response | None:
    """Why the request asks for no streams; None when it does."""
    wanted = Wanted.of(request)
    if not (wanted.stdin or wanted.stdout or wanted.stderr):
        return error_response(400, "you must specify at least 1 of stdin, stdout, stderr")
    return None


def serve_streams(
    request: Request, session: Callable[[Channels, Wanted], Awaitable[dict[str, Any]]]
) -> Response | Upgrade:
    """An upgrade that runs ``session`` on the client's channels, then tells the Status that it answers."""
    wanted = Wanted.of(request)
    if not is_websocket(request) and (refusal := refuse_spdy(request, SPDY_PROTOCOLS)) is not None:
        return refusal

    async def upgrade(wire: Wire) -> None:
        running: asyncio.Task[None] | None = None
        channels: Channels
        if is_websocket(request):
            socket = await WebSocket.accept(wire, request, WEBSOCKET_PROTOCOLS)
            if socket is None:
                return
            channels = WebSocketChannels(socket)
        else:
            opened = await open_spdy(wire, request, wanted.streams)
            if opened is None:
                return
            channels, running = opened
        try:
            try:
                status = await session(channels, wanted)
            except RuntimeFailure as err:
                status = failure_status(str(err))
            with contextlib.suppress(ConnectionError):
                await channels.finish(status)
        finally:
            if running is not None:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
            await wire.close()

    return upgrade


async def run_exec(
    runtime: Runtime, container_id: str, command: list[str], channels: Channels, wanted: Wanted
) -> dict[str, Any]:
    session = await runtime.exec(container_id, command, stdin=wanted.stdin, tty=wanted.tty, stderr=wanted.stderr)
    try:
        finished = await join(session.stream, channels, wanted, session.resize)
    finally:
        await session.stream.close()
    return exit_status(await session.exit_code()) if finished else SUCCESS


async def run_attach(runtime: Runtime, container_id: str, channels: Channels, wanted: Wanted) -> dict[str, Any]:
    stream = await runtime.attach(container_id, stdin=wanted.stdin, stdout=wanted.stdout, stderr=wanted.stderr)

    async def resize(width: int, height: int) -> None:
        await runtime.resize(container_id, width, height)

    try:
        await join(stream, channels, wanted, resize)
    finally:
        await stream.close()
    return SUCCESS


async def join(stream: IOStream, channels: Channels, wanted: Wanted, resize: Resize) -> bool:
    """Copies until the process has closed its output; False when the client went first."""
    output = asyncio.ensure_future(_outwards(stream, channels, wanted))
    inwards = asyncio.ensure_future(_inwards(stream, channels, resize))
    try:
        await asyncio.wait({output, inwards}, return_when=asyncio.FIRST_COMPLETED)
        if output.done():
            output.result()
            return True
        return False
    except ConnectionError:
        return False
    finally:
        for task in (output, inwards):
            task.cancel()
        await asyncio.gather(output, inwards, return_exceptions=True)


async def _outwards(stream: IOStream, channels: Channels, wanted: Wanted) -> None:
    shown = {STDOUT: wanted.stdout, STDERR: wanted.stderr}
    while (piece := await stream.read()) is not None:
        number, data = piece
        if shown.get(number) and data:
            await channels.send(number, data)


async def _inwards(stream: IOStream, channels: Channels, resize: Resize) -> None:
    """Returns when the client has gone."""
    while (message := await channels.incoming()) is not None:
        channel, data = message
        if channel == STDIN:
            if data is None:
                await stream.close_write()
            else:
                await stream.write(data)
        elif channel == RESIZE and data:
            with contextlib.suppress(ValueError, KeyError, RuntimeFailure):
                size = json.loads(data)
                await resize(int(size["Width"]), int(size["Height"]))


__all__ = ["ERROR", "exit_status", "run_attach", "run_exec", "serve_streams"]
