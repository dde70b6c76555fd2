"""Links to container logs: which there are, whose they are, and what becomes of them."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kubelet.app import Kubelet
from kubelet.node.machine import Machine
from kubelet.options import Options
from kubelet.parts import make_logs
from kubelet.pods.logs import LinkedLogs, NoPodLogs, wanted_links
from kubelet.runtime.records import ContainerRecord, PodRecord, State
from kubelet.runtime.simulated import SimulatedRuntime
from kubelet.runtime.specs import PodRef
from kubeling.api.resources import PODS
from kubeling.client.clock import FakeClock
from kubeling.client.errors import StartError
from kubeling.client.podlogs import remove_pod_logs, uid_of_folder
from tests.unit.kubelet.nodeworld import Engine, NodeWorld

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POD = PodRef("ns", "web", "u-1")


@pytest.fixture
def pods(tmp_path: Path) -> Path:
    return tmp_path / "log/pods"


@pytest.fixture
def containers(tmp_path: Path) -> Path:
    return tmp_path / "log/containers"


@pytest.fixture
def engine_logs(tmp_path: Path) -> Path:
    (tmp_path / "engine").mkdir()
    return tmp_path / "engine"


def run_of(attempt: int, folder: Path, pod: PodRef = POD, **more: Any) -> ContainerRecord:
    """A container of the engine with a log there."""
    name = f"{pod.uid}-{attempt}"
    (folder / name).write_text("said\n")
    values: dict[str, Any] = {"state": State.EXITED, "started_at": NOW, "log_path": str(folder / name), **more}
    return ContainerRecord(id=name, pod=pod, name="c", attempt=attempt, created_at=NOW, **values)


def links_in(*folders: Path) -> dict[str, str]:
    """Name and where it leads."""
    found = [p for folder in folders for p in folder.rglob("*") if p.is_symlink()]
    return {str(p.relative_to(p.parents[2] if "pods" in p.parts else p.parent)): str(p.readlink()) for p in found}


def test_links_of_a_pod_have_upstreams_names(pods: Path, containers: Path, engine_logs: Path) -> None:
    newest, old = run_of(1, engine_logs), run_of(0, engine_logs)
    assert wanted_links(PodRecord(POD, containers=(newest, old)), pods, containers) == {
        pods / "ns_web_u-1/c/0.log": old.log_path,
        containers / "web_ns_c-u-1-0.log": str(pods / "ns_web_u-1/c/0.log"),
        pods / "ns_web_u-1/c/1.log": newest.log_path,
        containers / "web_ns_c-u-1-1.log": str(pods / "ns_web_u-1/c/1.log"),
    }


def test_a_container_that_could_not_be_started_has_no_link_by_id(
    pods: Path, containers: Path, engine_logs: Path
) -> None:
    failed = run_of(0, engine_logs, started_at=None)
    assert list(wanted_links(PodRecord(POD, containers=(failed,)), pods, containers)) == [pods / "ns_web_u-1/c/0.log"]
    made = dataclasses.replace(failed, state=State.CREATED, log_path="")
    assert wanted_links(PodRecord(POD, containers=(made,)), pods, containers) == {}


def test_a_name_fits_into_a_file_system(pods: Path, containers: Path, engine_logs: Path) -> None:
    pod = PodRef("n" * 63, "p" * 200, "u")
    wanted = wanted_links(PodRecord(pod, containers=(run_of(0, engine_logs, pod),)), pods, containers)
    name = next(link.name for link in wanted if link.parent == containers)
    assert len(name) == 255 and name.startswith("p" * 200 + "_nnn") and name.endswith("n.log")


async def test_links_follow_the_containers(pods: Path, containers: Path, engine_logs: Path) -> None:
    logs = LinkedLogs(pods, containers)
    await logs.start()
    first, second = run_of(0, engine_logs), run_of(1, engine_logs)
    await logs.settle(PodRecord(POD, containers=(first,)))
    assert (containers / "web_ns_c-u-1-0.log").read_text() == "said\n"
    await logs.settle(PodRecord(POD, containers=(second, first)))
    assert len(links_in(pods, containers)) == 4
    await logs.settle(PodRecord(POD, containers=(second,)))
    assert links_in(pods, containers) == {
        "ns_web_u-1/c/1.log": second.log_path,
        "web_ns_c-u-1-1.log": str(pods / "ns_web_u-1/c/1.log"),
    }


async def test_a_kubelet_that_begins_mends_what_it_finds(pods: Path, containers: Path, engine_logs: Path) -> None:
    first, second = run_of(0, engine_logs), run_of(1, engine_logs)
    await LinkedLogs(pods, containers).settle(PodRecord(POD, containers=(second, first)))
    (pods / "ns_web_u-1/c/1.log").unlink()
    (pods / "ns_web_u-1/c/1.log").symlink_to(engine_logs / "elsewhere")
    await LinkedLogs(pods, containers).settle(PodRecord(POD, containers=(second,)))
    assert links_in(pods, containers) == {
        "ns_web_u-1/c/1.log": second.log_path,
        "web_ns_c-u-1-1.log": str(pods / "ns_web_u-1/c/1.log"),
    }


async def test_pods_of_other_kubelets_are_not_touched(pods: Path, containers: Path, engine_logs: Path) -> None:
    """They share the folders, and may have pods of the very same name."""
    other = PodRef("ns", "web", "u-2")
    theirs = LinkedLogs(pods, containers)
    await theirs.settle(PodRecord(other, containers=(run_of(0, engine_logs, other),)))
    (pods / "ns_web_u-2/c/9.log").symlink_to(engine_logs / "gone")
    before = links_in(pods, containers)
    ours = LinkedLogs(pods, containers)
    await ours.settle(PodRecord(POD, containers=(run_of(0, engine_logs),)))
    await ours.settle(PodRecord(POD))
    await ours.remove("u-1")
    await ours.remove("2")
    assert links_in(pods, containers) == before and len(before) == 3


async def test_a_removed_pod_leaves_nothing(pods: Path, containers: Path, engine_logs: Path) -> None:
    logs = LinkedLogs(pods, containers)
    await logs.settle(PodRecord(POD, containers=(run_of(0, engine_logs),)))
    (pods / "ns_web_u-1/c/collector.db").write_text("somebody's")
    await LinkedLogs(pods, containers).remove("u-1")
    assert list(pods.iterdir()) == list(containers.iterdir()) == []


async def test_links_do_not_need_files_that_this_process_can_read(
    pods: Path, containers: Path, engine_logs: Path
) -> None:
    """A kubelet in a container cannot, those who follow the links can."""
    record = run_of(0, engine_logs)
    Path(record.log_path).unlink()
    await LinkedLogs(pods, containers).settle(PodRecord(POD, containers=(record,)))
    assert len(links_in(pods, containers)) == 2


async def test_without_its_folders_a_kubelet_says_so_once(
    tmp_path: Path, containers: Path, engine_logs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    logs = LinkedLogs(tmp_path / "file/pods", containers)
    with caplog.at_level(logging.WARNING):
        await logs.start()
        await logs.settle(PodRecord(POD, containers=(run_of(0, engine_logs),)))
        await logs.remove("u-1")
    assert [r.getMessage() for r in caplog.records] == [
        f"Container logs are not linked to from {tmp_path}/file/pods: Not a directory"
    ]


async def test_what_was_broken_off_does_not_outlive_the_pod(pods: Path, containers: Path, engine_logs: Path) -> None:
    """Its thread goes on; the removal waits for it."""
    go = threading.Event()

    class Slow(LinkedLogs):
        def _apply(self, *args: Any) -> None:
            go.wait(10)
            super()._apply(*args)

    logs = Slow(pods, containers)
    settling = asyncio.create_task(logs.settle(PodRecord(POD, containers=(run_of(0, engine_logs),))))
    await asyncio.sleep(0)
    settling.cancel()
    removing = asyncio.create_task(logs.remove("u-1"))
    await asyncio.sleep(0)
    go.set()
    await removing
    assert settling.cancelled() and not list(pods.iterdir()) and not list(containers.iterdir())


async def test_folders_elsewhere_are_found_by_the_links(tmp_path: Path, containers: Path, engine_logs: Path) -> None:
    """``kubeling down`` does not know which ``podLogsDir`` a kubelet had."""
    await LinkedLogs(tmp_path / "own", containers).settle(PodRecord(POD, containers=(run_of(0, engine_logs),)))
    remove_pod_logs({"u-1"}, tmp_path / "log/pods", containers)
    assert not list((tmp_path / "own").iterdir()) and not list(containers.iterdir())


@pytest.mark.parametrize(("name", "uid"), [("ns_web_u-1", "u-1"), ("ns_web_u_1", "u_1"), ("web_u-1", ""), ("", "")])
def test_the_uid_of_a_folder(name: str, uid: str) -> None:
    assert uid_of_folder(name) == uid


@pytest.mark.parametrize(
    ("folder", "why"), [("logs", "be absolute path"), ("/a//b", "be normalized"), ("/a/", "be normalized")]
)
def test_the_folder_is_checked_as_upstream_does(folder: str, why: str) -> None:
    with pytest.raises(StartError) as caught:
        make_logs(Options(pod_logs_dir=folder))
    assert f'invalid configuration: pod logs path "{folder}" must {why}' in str(caught.value)


def test_a_simulated_engine_has_no_logs(tmp_path: Path) -> None:
    options = Options(runtime="simulated", root_dir=str(tmp_path), hostname_override="n")
    clock = FakeClock()
    kubelet = Kubelet(options, None, SimulatedRuntime(clock), Machine(2, 1 << 33, 1 << 40, 1 << 20, "amd64"), clock)
    assert isinstance(kubelet.logs, NoPodLogs)
    assert isinstance(make_logs(Options()), LinkedLogs)


# --- with a whole kubelet --------------------------------------------------------------------------------------------


class LoggingEngine(Engine):
    """Every container that has started has a log."""

    folder: Path

    async def start_container(self, container_id: str) -> None:
        await super().start_container(container_id)
        path = self.folder / container_id
        path.write_text("said\n")
        record = dataclasses.replace(self._record(container_id), log_path=str(path))
        self._containers[container_id] = record


class LoggingWorld(NodeWorld):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "root")
        self.engine = LoggingEngine(self.clock)
        self.engine.folder = folder / "engine"
        self.engine.folder.mkdir()
        self.pod_logs, self.container_logs = folder / "log/pods", folder / "log/containers"

    async def start(self) -> None:
        self.logs = LinkedLogs(self.pod_logs, self.container_logs)
        await super().start()

    def names(self) -> list[str]:
        return sorted(links_in(self.pod_logs, self.container_logs))


POD_OBJECT: dict[str, Any] = {
    "metadata": {"name": "web", "namespace": "ns"},
    "spec": {"nodeName": "n1", "restartPolicy": "Always", "containers": [{"name": "c", "image": "i"}]},
    "status": {"phase": "Pending"},
}


def mark_deleted(pod: Any) -> None:
    pod["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 1}


@pytest.fixture
async def world(tmp_path: Path) -> Any:
    made = LoggingWorld(tmp_path)
    await made.start()
    yield made
    await made.kill()


async def test_links_live_as_long_as_the_pods_containers(world: LoggingWorld) -> None:
    pod = world.api.create(PODS, POD_OBJECT)
    folder = f"ns_web_{pod['metadata']['uid']}"
    await world.pass_time(1)
    (run,) = world.engine.everything()
    assert world.names() == [f"{folder}/c/0.log", f"web_ns_c-{run.id}.log"]
    for attempt in (1, 2, 3):
        world.engine.end(next(r for r in world.engine.everything() if r.state is State.RUNNING), 0)
        await world.pass_time(400)
        kept = [f"{folder}/c/{n}.log" for n in (attempt - 1, attempt)]
        assert [n for n in world.names() if n.startswith("ns_")] == kept
        assert len(world.names()) == 4
    world.api.update(PODS, "ns", "web", mark_deleted)
    await world.pass_time(60)
    assert not list(world.pod_logs.iterdir()) and not list(world.container_logs.iterdir())


async def test_a_container_that_somebody_else_removes_takes_its_links_along(world: LoggingWorld) -> None:
    once = {**POD_OBJECT, "spec": {**POD_OBJECT["spec"], "restartPolicy": "Never"}}
    world.api.create(PODS, once)
    await world.pass_time(1)
    (run,) = world.engine.everything()
    world.engine.end(run, 0)
    await world.pass_time(60)
    assert len(world.names()) == 2 and world.all()[0]["status"]["phase"] == "Succeeded"
    world.engine.lose(run)
    await world.pass_time(60)
    assert world.names() == []


async def test_logs_of_orphans_go_and_those_of_strangers_stay(world: LoggingWorld) -> None:
    world.api.create(PODS, POD_OBJECT)
    await world.pass_time(1)
    await world.kill()
    assert len(world.names()) == 2
    stranger = world.pod_logs / "ns_web_stranger"
    stranger.mkdir()
    world.api.delete(PODS, "ns", "web", {"gracePeriodSeconds": 0})  # while the kubelet was away
    await world.start()
    await world.pass_time(60)
    assert list(world.pod_logs.iterdir()) == [stranger] and not list(world.container_logs.iterdir())
