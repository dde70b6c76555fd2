"""The supervisor of a cluster: one detached process that keeps the components running.

``python -m kubeling.cluster.supervisor ROOT`` reads ``ROOT/components.json``, starts each component, restarts what dies (with
back-off) and answers on a Unix socket: one JSON request a line (``{"command": "status"}``, ``{"command": "stop"}``), one JSON
answer a line. Components die with it, so a killed supervisor leaves no process behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kubeling.cluster.components import ComponentSpec
from kubeling.cluster.paths import ClusterPaths

STOP_SECONDS = 10.0
LOG_LIMIT_BYTES = 20 << 20
_PR_SET_PDEATHSIG = 1


def restart_delay(failures: int) -> float:
    """Seconds before a restart: 0.2, doubling to 5."""
    return float(min(5.0, 0.2 * 2 ** max(0, failures - 1)))


def next_failures(failures: int, lived: float) -> int:
    """How many failures in a row count now; one that lived ten seconds starts anew."""
    return 1 if lived >= 10 else failures + 1


class Component:
    """One supervised process. Its output goes to its log file."""

    def __init__(self, spec: ComponentSpec, log: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.spec = spec
        self.log = log
        self.restarts = 0
        self._clock = clock
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._last_exit: int | None = None
        self._started = 0.0

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_running(), name=f"supervise {self.spec.name}")

    async def _keep_running(self) -> None:
        failures = 0
        while True:
            self._started = self._clock()
            try:
                self._last_exit = await self._run_once()
            except OSError as err:
                self._last_exit = 127
                self._note(f"cannot start {self.spec.argv[0]}: {err}")
            failures = next_failures(failures, self._clock() - self._started)
            delay = restart_delay(failures)
            self._note(f"{self.spec.name} ended with status {self._last_exit}, starting again in {delay:.1f} s")
            await asyncio.sleep(delay)
            self.restarts += 1

    async def _run_once(self) -> int:
        with self.log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self.spec.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=_die_with_parent,
            )
        return await self._process.wait()

    def _note(self, text: str) -> None:
        with self.log.open("a") as output:
            output.write(f"[supervisor] {text}\n")

    async def stop(self) -> None:
        """Asks the process to end, kills it after ten seconds; returns when it is gone."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def rotate_log(self) -> None:
        """Keeps the log below its limit; the processes append, so the file can be cut under them."""
        with contextlib.suppress(FileNotFoundError):
            if self.log.stat().st_size > LOG_LIMIT_BYTES:
                shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
                os.truncate(self.log, 0)

    def status(self) -> dict[str, Any]:
        process = self._process
        running = process is not None and process.returncode is None
        return {
            "name": self.spec.name,
            "running": running,
            "pid": process.pid if process is not None and running else None,
            "restarts": self.restarts,
            "lastExit": self._last_exit,
            "uptimeSeconds": round(self._clock() - self._started, 1) if running else 0,
        }


def _die_with_parent() -> None:
    """In the child, before exec: SIGTERM when the supervisor dies; its own session, so that no terminal signal reaches it."""
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Supervisor:
    """Runs components until told to stop."""

    def __init__(self, paths: ClusterPaths, specs: Sequence[ComponentSpec]) -> None:
        self._paths = paths
        self._components = [Component(s, paths.log(s.name)) for s in specs]
        self._stop = asyncio.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        self._paths.socket.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._answer, self._paths.socket)
        self._paths.socket.chmod(0o600)
        for component in self._components:
            component.start()
        rotation = asyncio.create_task(self._rotate_logs())
        await self._stop.wait()
        rotation.cancel()
        await self._stop_components()
        server.close()
        self._paths.socket.unlink(missing_ok=True)

    async def _stop_components(self) -> None:
        """Backwards: those that use the API server end before it, etcd last."""
        foundations = ("apiserver", "etcd")
        await asyncio.gather(*(c.stop() for c in self._components if c.spec.name not in foundations))
        for name in foundations:
            for component in self._components:
                if component.spec.name == name:
                    await component.stop()

    async def _rotate_logs(self) -> None:
        while True:
            await asyncio.sleep(30)
            for component in self._components:
                component.rotate_log()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            line = await reader.readline()
            try:
                command = json.loads(line).get("command")
            except (ValueError, AttributeError):
                command = None
            if command == "status":
                answer: dict[str, Any] = {"pid": os.getpid(), "components": [c.status() for c in self._components]}
            elif command == "stop":
                self._stop.set()
                answer = {"stopping": True}
            else:
                answer = {"error": "unknown command"}
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        writer.close()


def main(arguments: Sequence[str]) -> int:
    """Exit status 3: another supervisor holds the cluster."""
    paths = ClusterPaths(Path(arguments[0]))
    with paths.lock.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another supervisor runs this cluster", file=sys.stderr)
            return 3
        lock.write(str(os.getpid()))
        lock.flush()
        specs = [ComponentSpec.from_json(s) for s in json.loads((paths.root / "components.json").read_text())]

        async def run() -> None:
            await Supervisor(paths, specs).run()

        asyncio.run(run())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
