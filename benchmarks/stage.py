"""etcd and an API server for the benchmarks: the server alone on one core, everything else on the others."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

TOKEN = "bench-token"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def pin(pid: int, core: int) -> None:
    """Puts a process on one core; where there is only one, everything shares it."""
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(pid, {core})


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@dataclass
class Stage:
    directory: Path
    etcd_url: str
    port: int
    pid: int
    ready_seconds: float


@contextlib.contextmanager
def etcd(directory: Path, *, pinned: bool = True) -> Iterator[str]:
    client, peer = free_port(), free_port()
    url = f"http://127.0.0.1:{client}"
    process = subprocess.Popen(
        ["etcd", "--data-dir", str(directory / "etcd"), "--unsafe-no-fsync", "--listen-client-urls", url,
         "--advertise-client-urls", url, "--listen-peer-urls", f"http://127.0.0.1:{peer}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{url}/health", timeout=1).close()
                break
            time.sleep(0.02)
        if pinned:
            pin(process.pid, 1)
        yield url
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def apiserver(directory: Path, etcd_url: str, *, pinned: bool = True) -> Iterator[Stage]:
    """Ready when it comes out; ``ready_seconds`` is the time from start to ``/readyz``."""
    import ssl

    (directory / "tokens.csv").write_text(f'{TOKEN},bench,bench,"system:masters"\n')
    port, begun = free_port(), time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "apiserver", f"--etcd-servers={etcd_url}", f"--secure-port={port}",
         f"--cert-dir={directory / 'certs'}", f"--token-auth-file={directory / 'tokens.csv'}",
         "--authorization-mode=Node,RBAC", "--service-cluster-ip-range=10.96.0.0/16"],
        stderr=(directory / "log").open("wb"),
    )  # fmt: skip
    if pinned:
        pin(process.pid, 0)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        while process.poll() is None:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"https://127.0.0.1:{port}/readyz", timeout=5, context=context).close()
                break
            time.sleep(0.01)
        yield Stage(directory, etcd_url, port, process.pid, time.monotonic() - begun)
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def stage(*, pinned: bool = True) -> Iterator[Stage]:
    """``pinned``: the server has a core of its own; else every process takes what it gets."""
    if pinned:
        pin(os.getpid(), 1)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with etcd(directory, pinned=pinned) as url, apiserver(directory, url, pinned=pinned) as made:
            yield made


def kubeconfig(made: Stage) -> Path:
    """A kubeconfig file of the stage's administrator."""
    path = made.directory / "kubeconfig"
    cluster = {"server": f"https://127.0.0.1:{made.port}", "insecure-skip-tls-verify": True}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "bench", "cluster": cluster}],
        "users": [{"name": "bench", "user": {"token": TOKEN}}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
        "current-context": "bench",
    }
    path.write_text(json.dumps(config))
    return path


@contextlib.contextmanager
def component(made: Stage, package: str, *flags: str, log: str = "") -> Iterator[int]:
    """One more process of the cluster (``controllers``, ``scheduler``, ``kubelet``); its pid."""
    with (made.directory / f"{log or package}.log").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", package, f"--kubeconfig={kubeconfig(made)}", *flags],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def controllers(made: Stage) -> Iterator[int]:
    """The controller manager as ``kubeling up`` starts it, with leader election; its pid."""
    ca = made.directory / "certs" / "apiserver.crt"
    with component(made, "controllers", f"--root-ca-file={ca}") as pid:
        yield pid


@contextlib.contextmanager
def simulated_nodes(made: Stage, names: Sequence[str], max_pods: int = 110) -> Iterator[None]:
    """Kubelets whose runtime only pretends, one process a node, without a server of their own."""
    with contextlib.ExitStack() as stack:
        for name in names:
            flags = [
                "--runtime=simulated", f"--hostname-override={name}", f"--root-dir={made.directory / name}",
                f"--max-pods={max_pods}", "--port=0", "--eviction-hard=memory.available<1Mi", "--node-ip=127.0.0.1",
            ]  # fmt: skip
            stack.enter_context(component(made, "kubelet", *flags, log=name))
        yield
