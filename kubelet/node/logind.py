"""Hears of the machine's shutdown from systemd-logind, and delays it: by systemd's own tools.

``systemd-inhibit`` holds a delay lock for as long as its child lives; ``busctl monitor`` prints logind's ``PrepareForShutdown``
signals as lines of JSON. Where there is no logind, SIGPWR to the kubelet says the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from kubelet.node.shutdown import ShutdownManager
from kubeling.client.clock import Clock

log = logging.getLogger(__name__)
_RETRY_SECONDS = 5.0
_MATCH = "type='signal',interface='org.freedesktop.login1.Manager',member='PrepareForShutdown'"
INHIBIT = (
    "systemd-inhibit", "--what=shutdown", "--mode=delay", "--who=kubelet",
    "--why=Kubelet needs time to handle node shutdown", "cat",
)  # fmt: skip
MONITOR = ("busctl", "monitor", "--system", "--json=short", f"--match={_MATCH}")


def logind_present(root: Path = Path("/run/systemd")) -> bool:
    """Whether this machine has a logind to ask, and the tools to ask it with."""
    return (root / "seats").is_dir() and all(shutil.which(words[0]) for words in (INHIBIT, MONITOR))


def going_down(line: bytes) -> bool | None:
    """What one line of the monitor says: True before a shutdown, False when it was called off, None for anything else."""
    try:
        message = json.loads(line)
        if message["member"] != "PrepareForShutdown":
            return None
        return bool(message["payload"]["data"][0])
    except (ValueError, KeyError, IndexError, TypeError):
        return None


class Logind:
    """Follows logind for the shutdown manager; the commands may be others' that behave alike."""

    def __init__(
        self,
        shutdown: ShutdownManager,
        clock: Clock,
        *,
        inhibit: Sequence[str] = INHIBIT,
        monitor: Sequence[str] = MONITOR,
    ) -> None:
        self._shutdown, self._clock = shutdown, clock
        self._inhibit, self._monitor = inhibit, monitor

    async def run(self) -> None:
        """For ever; begins again when a tool ends."""
        while True:
            try:
                await self._follow()
            except OSError as err:
                log.warning("Following logind: %s", err)
            await self._clock.sleep(_RETRY_SECONDS)

    async def _follow(self) -> None:
        async with _process(self._inhibit) as lock, _process(self._monitor) as monitor:
            assert monitor.stdout is not None  # a pipe
            held: asyncio.subprocess.Process | None = lock
            async for line in monitor.stdout:
                verdict = going_down(line)
                if verdict:
                    await self._shutdown.begin()
                    await _end(held)
                    held = None
                elif verdict is False:
                    self._shutdown.cancel()
                    return  # begin anew: a lock that was let go has to be taken again


@contextlib.asynccontextmanager
async def _process(command: Sequence[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "LC_ALL": "C"},
    )
    try:
        yield process
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process | None) -> None:
    """Ends the process, and with its standard input also the child that holds a lock for it."""
    if process is None:
        return
    if process.stdin is not None:
        process.stdin.close()
    if process.returncode is None:
        process.terminate()
    await process.wait()


async def follow_shutdown(shutdown: ShutdownManager, clock: Clock) -> None:
    """For ever: SIGPWR, or logind where there is one, says that the machine is going down."""
    loop, asked = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGPWR, asked.set)
    async with asyncio.TaskGroup() as group:
        if shutdown.enabled and logind_present():
            group.create_task(Logind(shutdown, clock).run(), name="logind")
        while True:
            await asked.wait()
            asked.clear()
            await shutdown.begin()
