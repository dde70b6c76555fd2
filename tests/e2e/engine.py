"""A Docker engine of a test's own, in a network of its own: killed, restarted and rebooted without anybody else noticing.

Its processes, state and sockets lie in one folder; its bridges, addresses and packet filter rules in one network namespace, where
the clusters that use it run too.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.support import IMAGE, IMAGE2, eventually, run


class Engine:
    """``start`` it, give ``env`` and ``prefix`` to what is to use it, ``remove`` it at the end."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.socket = folder / "docker.sock"
        self.env = {"DOCKER_HOST": f"unix://{self.socket}"}
        self.prefix = ("nsenter", f"--net=/run/netns/{name}", "--")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        if not Path(f"/run/netns/{self.name}").exists():
            run("ip", "netns", "add", self.name)
            run(*self.prefix, "ip", "link", "set", "lo", "up")
            # a way out that leads nowhere: a service's address needs a route before it becomes a pod's
            run(*self.prefix, "ip", "link", "add", "out", "type", "veth", "peer", "name", "away")
            run(*self.prefix, "ip", "address", "add", "192.0.2.1/24", "dev", "out")
            for end in ("away", "out"):
                run(*self.prefix, "ip", "link", "set", end, "up")
            run(*self.prefix, "ip", "route", "add", "default", "via", "192.0.2.2", "dev", "out")
        argv = [
            *self.prefix, "dockerd", f"--host=unix://{self.socket}", f"--data-root={self.folder / 'data'}",
            f"--exec-root={self.folder / 'exec'}", f"--pidfile={self.folder / 'pid'}",
            f"--containerd-namespace={self.name}", f"--containerd-plugins-namespace=plugins-{self.name}",
            "--add-runtime=other=runc",
        ]  # fmt: skip
        # a pid file of a killed engine, or of its containerd, may name a process that init has not reaped yet
        eventually(lambda: not _processes((f"containerd --config {self.folder}",)), 30)
        for file in ("pid", "exec/containerd/containerd.pid"):
            (self.folder / file).unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True)
        eventually(lambda: run("docker", "version", "--format", "{{.Server.Version}}", env=self._environment), 60)

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, **self.env}

    def load_images(self) -> None:
        """Those of the tests, from the machine's engine: no registry is needed."""
        archive = self.folder / "images.tar"
        run("docker", "save", "-o", str(archive), IMAGE, IMAGE2)
        run("docker", "load", "-i", str(archive), env=self._environment)
        archive.unlink()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Returns when the engine's process has ended; killed, it leaves its containers running."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None

    def restart(self, number: signal.Signals) -> None:
        self.stop(number)
        self.start()

    def power_off(self, *also: str) -> None:
        """What a loss of power does: every process of the engine, its containers, and those that name one of ``also`` in
        their command line end at once; what is in memory alone (mounts, interfaces, rules, sockets) is gone."""
        words = (str(self.folder), f"-namespace {self.name} ", *also)

        def alive() -> set[int]:
            return {pid for pid in _processes(words) if pid != os.getpid()}

        while doomed := alive():
            for pid in doomed:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if self._process is not None:
                self._process.wait(30)
                self._process = None
            eventually(lambda gone=doomed: not gone & alive(), 30)
        for place in (str(self.folder), *also):
            for point in _mounts_below(place):
                run("umount", "-l", point, check=False)
        if Path(f"/run/netns/{self.name}").exists():
            run("ip", "netns", "delete", self.name)
        shutil.rmtree(self.folder / "exec", ignore_errors=True)

    def remove(self) -> None:
        """Ends it and leaves nothing behind."""
        self.power_off()
        shutil.rmtree(self.folder)


@contextlib.contextmanager
def own_engine(name: str, folder: Path) -> Iterator[Engine]:
    """An engine with the tests' images, gone when the block ends. ``name`` (12 characters at most) is its own on this machine."""
    made = Engine(name, folder)
    try:
        made.start()
        made.load_images()
        yield made
    finally:
        made.remove()


def _processes(words: tuple[str, ...]) -> set[int]:
    """Processes with one of the words in their command line, and what they have started."""
    found: set[int] = set()
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            after = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if after[0] == "Z":
            continue
        parents[int(entry.name)] = int(after[1])
        if any(word in command for word in words):
            found.add(int(entry.name))
    while more := {pid for pid, parent in parents.items() if parent in found and pid not in found}:
        found |= more
    return found


def _mounts_below(folder: str) -> list[str]:
    points = [line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return sorted((p for p in points if p.startswith(folder + "/")), key=len, reverse=True)
