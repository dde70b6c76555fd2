"""Fixtures: the controller manager as in production, against the session's API server, and kubelets that only pretend."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from kubeling.api.errors import StatusError, is_conflict, is_not_found
from kubeling.api.meta import Object, is_deleting, name_of, namespace_of, rfc3339, utcnow
from kubeling.api.resources import PODS
from kubeling.client.informer import Informer
from kubeling.client.rest import Client, PatchKind
from tests.integration.conftest import ADMIN, ApiServer, Process, StartServer, free_port, running_etcd, start

FAST_LEASE = (
    "--leader-elect-lease-duration=5s",
    "--leader-elect-renew-deadline=4s",
    "--leader-elect-retry-period=500ms",
)


def write_kubeconfig(server: ApiServer, path: Path) -> Path:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "t", "cluster": {"server": server.url, "insecure-skip-tls-verify": True}}],
        "users": [{"name": "t", "user": {"token": ADMIN}}],
        "contexts": [{"name": "t", "context": {"cluster": "t", "user": "t"}}],
        "current-context": "t",
    }
    path.write_text(yaml.safe_dump(config))
    return path


class Manager:
    """``python -m controllers``, which a test may kill and start again."""

    def __init__(
        self, kubeconfig: Path, directory: Path, lease: Sequence[str] = FAST_LEASE, flags: Sequence[str] = ()
    ) -> None:
        self._arguments = [sys.executable, "-m", "controllers", f"--kubeconfig={kubeconfig}", *lease, *flags]
        self._arguments.append(f"--root-ca-file={kubeconfig}")
        self._arguments.append("--horizontal-pod-autoscaler-sync-period=1s")
        self._arguments += ["--allocate-node-cidrs", "--cluster-cidr=10.244.0.0/16"]
        self._arguments += ["--use-service-account-credentials", "--controllers=*,bootstrapsigner,tokencleaner"]
        self.health_port = free_port()
        self._arguments.append(f"--healthz-port={self.health_port}")
        self._directory = directory
        self._starts = 0
        self.process: Process | None = None

    def start(self) -> None:
        self._starts += 1
        self.process = start(self._arguments, self._directory / f"controllers-{self._starts}.log")

    def kill(self) -> None:
        if self.process is not None:
            self.process.stop(signal.SIGKILL)

    def says(self, text: str) -> bool:
        """True when the running process has logged the text."""
        return self.process is not None and text in self.process.log.read_text()

    def log_end(self) -> str:
        return self.process.log.read_text()[-3000:] if self.process is not None else ""

    def stop(self) -> int:
        return self.process.stop() if self.process is not None else 0


@pytest.fixture(scope="session")
def apiserver(start_apiserver: StartServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """On an etcd of its own: controllers write into every namespace, and other tests count what is there."""
    with running_etcd(tmp_path_factory.mktemp("controllers-etcd")) as storage:
        made = start_apiserver(storage=storage)
        yield made
        made.stop()


@pytest.fixture(scope="session")
def kubeconfig(apiserver: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_kubeconfig(apiserver, tmp_path_factory.mktemp("kubeconfig") / "config")


@pytest.fixture(scope="session")
def manager(kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    made = Manager(kubeconfig, tmp_path_factory.mktemp("controllers"))
    made.start()
    yield made
    assert made.stop() in (0, -signal.SIGTERM), made.log_end()  # the latter when it had only just been started


@pytest.fixture
async def client(kubeconfig: Path) -> AsyncIterator[Client]:
    made = Client.from_kubeconfig(kubeconfig)
    yield made
    await made.aclose()


class PretendKubelets:
    """Runs every pod of a namespace at once, and ends at once those that are deleted."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self.informer = Informer(client, PODS, namespace=namespace)
        self.informer.add_handler(self._changed)
        self._queue: asyncio.Queue[Object] = asyncio.Queue()
        self.phase = "Running"

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None and (is_deleting(new) or not (new.get("status") or {}).get("startTime")):
            self._queue.put_nowait(new)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.informer.run())
            for _ in range(8):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            pod = await self._queue.get()
            try:
                await (self._end(pod) if is_deleting(pod) else self._start(pod))
            except StatusError as err:
                if not is_not_found(err) and not is_conflict(err):
                    raise

    async def _start(self, pod: Object) -> None:
        now = rfc3339(utcnow())
        ready = {"type": "Ready", "status": "True" if self.phase == "Running" else "False", "lastTransitionTime": now}
        status = {"phase": self.phase, "startTime": now, "conditions": [ready]}
        await self._client.patch(
            PODS, name_of(pod), {"status": status}, namespace_of(pod), kind=PatchKind.STRATEGIC, subresource="status"
        )

    async def _end(self, pod: Object) -> None:
        await self._client.delete(
            PODS, name_of(pod), namespace_of(pod), grace_period_seconds=0, uid=pod["metadata"]["uid"]
        )


@pytest.fixture
async def kubelets(client: Client, namespace: str) -> AsyncIterator[PretendKubelets]:
    made = PretendKubelets(client, namespace)
    async with running(made.run):
        yield made


@asynccontextmanager
async def running(main: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(main())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and (err := task.exception()) is not None:
            raise err


async def eventually(check: Callable[[], Awaitable[object]], seconds: float = 20.0) -> object:
    """The check's first true answer; fails with its last one when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = await check()
        except StatusError as err:
            if not is_not_found(err):
                raise
            found = None
        if found or time.monotonic() > deadline:
            assert found, f"not within {seconds} s: {check.__doc__ or check}"
            return found
        await asyncio.sleep(0.05)
