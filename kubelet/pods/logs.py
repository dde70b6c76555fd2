"""Container logs at the paths that users of Kubernetes know, as symlinks to the engine's own files.

``/var/log/pods/NAMESPACE_NAME_UID/CONTAINER/RESTARTS.log`` leads to the engine's log of that run, and
``/var/log/containers/NAME_NAMESPACE_CONTAINER-ID.log`` to the former (pkg/kubelet/kuberuntime/legacy.go and, of Kubernetes 1.23,
pkg/kubelet/dockershim/docker_container.go). They are there from a container's start until it is removed.

Kubelets that share a machine share these folders: each touches only what has the UID of a pod that it runs, or that its own folder
of pods or its engine's labels name. The pod's folder there outlasts its logs here, so that nothing is forgotten.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from kubelet.runtime.records import PodRecord
from kubelet.runtime.specs import PodRef
from kubeling.client.podlogs import CONTAINERS, entries, folder_name, remove_pod_logs, target_of

log = logging.getLogger(__name__)
_LONGEST_NAME = 255  # of a file, in bytes
_SUFFIX = ".log"

Links = Mapping[Path, str]


class PodLogs(Protocol):
    async def start(self) -> None: ...

    async def settle(self, record: PodRecord) -> None:
        """The links of the pod are those of the containers that there are. Failure is told in the log, not raised."""
        ...

    async def remove(self, uid: str) -> None:
        """Nothing of the pod stays. Raises OSError."""
        ...


class NoPodLogs:
    """For a runtime without log files."""

    async def start(self) -> None:
        return

    async def settle(self, record: PodRecord) -> None:
        return

    async def remove(self, uid: str) -> None:
        return


def wanted_links(record: PodRecord, pods: Path, containers: Path) -> dict[Path, str]:
    """Where each link of the pod leads. One in ``containers`` is for a container that has run."""
    found: dict[Path, str] = {}
    folder = _folder(record.pod, pods)
    for container in reversed(record.containers):  # the newest last: of two with one number, it has the name
        if container.log_path:
            link = folder / container.name / f"{container.attempt}{_SUFFIX}"
            found[link] = container.log_path
            if container.started_at is not None:
                name = _fitted(f"{_beginning(record.pod)}{container.name}-{container.id}")
                found[containers / f"{name}{_SUFFIX}"] = str(link)
    return found


def _beginning(pod: PodRef) -> str:
    return f"{pod.name}_{pod.namespace}_"


def _fitted(name: str) -> str:
    return name[: _LONGEST_NAME - len(_SUFFIX)]


def _folder(pod: PodRef, pods: Path) -> Path:
    return pods / folder_name(pod.namespace, pod.name, pod.uid)


class LinkedLogs:
    """``pods`` and ``containers`` are the folders of links. Files are worked on in threads, those of one pod in turn."""

    def __init__(self, pods: Path, containers: Path = CONTAINERS) -> None:
        self._pods, self._containers = pods, containers
        self._settled: dict[str, Links] = {}
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._active = True

    async def start(self) -> None:
        """Makes both folders. Without them there are no links, which is told once."""
        for folder in (self._pods, self._containers):
            try:
                await asyncio.to_thread(_make_writable, folder)
            except OSError as err:
                log.warning("Container logs are not linked to from %s: %s", folder, err.strerror)
                self._active = False

    async def settle(self, record: PodRecord) -> None:
        wanted, uid = wanted_links(record, self._pods, self._containers), record.pod.uid
        if not self._active or self._settled.get(uid, {}) == wanted:
            return
        self._settled[uid] = wanted
        try:
            await self._in_turn(uid, lambda: self._apply(record.pod, wanted))
        except OSError as err:
            log.warning("Links to the logs of pod %s/%s: %s", record.pod.namespace, record.pod.name, err)

    async def remove(self, uid: str) -> None:
        self._settled.pop(uid, None)
        await self._in_turn(uid, lambda: remove_pod_logs((uid,), self._pods, self._containers))

    async def _in_turn(self, uid: str, work: Callable[[], None]) -> None:
        """Work whose caller was cancelled goes on in its thread: what follows waits for it. Raises OSError."""
        while (before := self._busy.get(uid)) is not None:
            await asyncio.wait([before])
        task = self._busy[uid] = asyncio.create_task(asyncio.to_thread(work))
        task.add_done_callback(lambda _: self._busy.pop(uid, None))
        await asyncio.shield(task)

    def _apply(self, pod: PodRef, wanted: Links) -> None:
        """Links first what is missing, then removes links of containers that are gone."""
        folder = _folder(pod, self._pods)
        for link, target in wanted.items():
            if target_of(link) == target:
                continue
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(target)
        found = [link for inner in entries(folder) for link in entries(inner)]
        named = [link for link in entries(self._containers) if link.name.startswith(_fitted(_beginning(pod)))]
        found += [link for link in named if Path(target_of(link)).is_relative_to(folder)]
        for link in found:
            if link not in wanted and link.is_symlink():
                link.unlink(missing_ok=True)


def _make_writable(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(0, "this process may not write there")
