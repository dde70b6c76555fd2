"""Termination messages: what a container wrote to its file, or the end of its log."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from kubelet.pods import spec as podspec
from kubelet.pods.mounts import termination_file
from kubelet.runtime.protocol import LogRequest, Runtime, RuntimeFailure
from kubelet.runtime.records import ContainerRecord, PodRecord, State
from kubeling.api.meta import Object

_FILE_LIMIT, _LOG_LIMIT, _LOG_LINES = 4096, 2048, 80


class TerminationMessages:
    """Reads each run's message once."""

    def __init__(self, runtime: Runtime, pods_folder: Path) -> None:
        self._runtime, self._folder = runtime, pods_folder
        self._known: dict[str, str] = {}

    async def of(self, pod: Object, observed: PodRecord) -> Mapping[str, str]:
        """Messages by container id, for every run that has ended."""
        ended = [r for r in observed.containers if r.state is State.EXITED]
        for record in ended:
            if record.id not in self._known:
                self._known[record.id] = await self._read(pod, record)
        return {r.id: self._known[r.id] for r in ended}

    def forget(self, observed: PodRecord) -> None:
        for record in observed.containers:
            self._known.pop(record.id, None)

    async def _read(self, pod: Object, record: ContainerRecord) -> str:
        container = podspec.container_named(pod, record.name) or {}
        path = termination_file(self._folder, record.pod.uid, record.name, record.attempt)
        text = await asyncio.to_thread(_head, path)
        if text is None:
            return self._reported(pod, record)
        policy = container.get("terminationMessagePolicy")
        if not text and policy == "FallbackToLogsOnError" and record.exit_code:
            text = await self._log_tail(record)
        return text

    @staticmethod
    def _reported(pod: Object, record: ContainerRecord) -> str:
        """What the API knows already, where the file is gone."""
        status = podspec.status_named(pod, record.name)
        for state in ("state", "lastState"):
            ended = (status.get(state) or {}).get("terminated") or {}
            if str(ended.get("containerID") or "").endswith(record.id):
                return str(ended.get("message") or "")
        return ""

    async def _log_tail(self, record: ContainerRecord) -> str:
        tail = bytearray()
        try:
            async for data in self._runtime.logs(record.id, LogRequest(tail=_LOG_LINES)):
                tail += data
                del tail[: -2 * _LOG_LIMIT]
        except RuntimeFailure as err:
            return f"Error reading termination message from logs: {err}"
        return bytes(tail[-_LOG_LIMIT:]).decode(errors="replace")


def _head(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(_FILE_LIMIT).decode(errors="replace")
    except OSError:
        return None
