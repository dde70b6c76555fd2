"""Fixtures: a real etcd on a free port, real API server processes in front of it, and clients with tokens.

One etcd and one server serve a test session; tests that stop or break a server start one of their own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

ADMIN, ALICE = "admin-token", "alice-token"
_TOKENS = f'{ADMIN},admin,admin-uid,"system:masters"\n{ALICE},alice,alice-uid\n'
_START_SECONDS = 30.0


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def until(check: Callable[[], Any], seconds: float = 30.0) -> Any:
    """The first true result of ``check``; the last one, whatever it is, when the time is over."""
    deadline = time.monotonic() + seconds
    while not (found := check()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


@dataclass
class Process:
    """A process of the test's own, with its output in a file."""

    popen: subprocess.Popen[bytes]
    log: Path

    def stop(self, sig: int = signal.SIGTERM, timeout: float = 60) -> int:
        """The exit status."""
        if self.popen.poll() is None:
            self.popen.send_signal(sig)
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            return self.popen.wait()


def start(arguments: list[str], log: Path) -> Process:
    return Process(subprocess.Popen(arguments, stdout=log.open("wb"), stderr=subprocess.STDOUT), log)


@dataclass
class Etcd:
    url: str
    process: Process


@dataclass
class ApiServer:
    """A running server. ``client()`` talks to it as admin unless told otherwise."""

    url: str
    process: Process
    directory: Path
    clients: list[httpx.Client] = field(default_factory=list)

    def client(self, token: str = ADMIN) -> httpx.Client:
        headers = {"authorization": f"Bearer {token}", "user-agent": "test/1.0"} if token else {}
        made = httpx.Client(base_url=self.url, headers=headers, verify=unverified(), timeout=30, trust_env=False)
        self.clients.append(made)
        return made

    def stop(self) -> int:
        for client in self.clients:
            client.close()
        return self.process.stop()


def unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def wait_ready(url: str, process: Process) -> None:
    deadline = time.monotonic() + _START_SECONDS
    with httpx.Client(verify=unverified(), trust_env=False) as client:
        while time.monotonic() < deadline and process.popen.poll() is None:
            with contextlib.suppress(httpx.HTTPError):
                if client.get(f"{url}/readyz").status_code == 200:
                    return
            time.sleep(0.05)
    pytest.fail(f"not ready at {url}: {process.log.read_text()[-2000:]}")


@contextlib.contextmanager
def running_etcd(directory: Path) -> Iterator[Etcd]:
    """An etcd of its own with its data in ``directory``; skips the test where none is installed."""
    if shutil.which("etcd") is None:
        pytest.skip("etcd is not installed")
    client, peer = free_port(), free_port()
    url = f"http://127.0.0.1:{client}"
    process = start(
        ["etcd", "--data-dir", str(directory / "data"), "--unsafe-no-fsync",
         "--listen-client-urls", url, "--advertise-client-urls", url,
         "--listen-peer-urls", f"http://127.0.0.1:{peer}"],
        directory / "log",
    )  # fmt: skip
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/health", trust_env=False).status_code == 200:
                break
        time.sleep(0.05)
    yield Etcd(url, process)
    process.stop()


@pytest.fixture(scope="session")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    """The session's etcd; the session's server writes to it on its own, too."""
    with running_etcd(tmp_path_factory.mktemp("etcd")) as running:
        yield running


StartServer = Callable[..., ApiServer]


@pytest.fixture(scope="session")
def start_apiserver(etcd: Etcd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """``start_apiserver("--flag=value", …)``: a server of its own on the session's etcd, or on ``storage``; stopped at the end."""
    running: list[ApiServer] = []

    def run(*flags: str, storage: Etcd = etcd) -> ApiServer:
        directory = tmp_path_factory.mktemp("apiserver")
        (directory / "tokens.csv").write_text(_TOKENS)
        port = free_port()
        process = start(
            [sys.executable, "-m", "apiserver", f"--etcd-servers={storage.url}", f"--secure-port={port}",
             "--bind-address=127.0.0.1", f"--cert-dir={directory / 'certs'}",
             f"--token-auth-file={directory / 'tokens.csv'}", "--authorization-mode=Node,RBAC", "--allow-privileged=true",
             "--service-cluster-ip-range=10.96.0.0/16", *flags],
            directory / "log",
        )  # fmt: skip
        server = ApiServer(f"https://127.0.0.1:{port}", process, directory)
        running.append(server)
        wait_ready(server.url, process)
        return server

    yield run
    for server in running:
        server.stop()


@pytest.fixture(scope="session")
def apiserver(start_apiserver: StartServer) -> ApiServer:
    """The session's server."""
    return start_apiserver()


@pytest.fixture
def api(apiserver: ApiServer) -> httpx.Client:
    """An admin's client of the session's server."""
    return apiserver.client()


@pytest.fixture
def namespace(api: httpx.Client, request: pytest.FixtureRequest) -> str:
    """A namespace of the test's own."""
    name = f"t-{os.getpid()}-{abs(hash(request.node.nodeid)) % 10**8}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    assert api.post("/api/v1/namespaces", json=body).status_code in (201, 409)
    return name
