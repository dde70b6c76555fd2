"""What the Docker engine holds of this node: containers, sandboxes, and what changes."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator

import aiodocker
import aiohttp

from kubelet.runtime import docker_config as config
from kubelet.runtime.docker_helpers import helper_labels
from kubelet.runtime.docker_images import DockerImages, call
from kubelet.runtime.identity import bundle_roots, read_identity
from kubelet.runtime.protocol import NotFound
from kubelet.runtime.records import (
    ContainerRecord,
    Identity,
    PodRecord,
    RuntimeEvent,
    SandboxRecord,
    State,
)
from kubelet.runtime.specs import PodRef

_EVENTS = ["start", "die", "oom", "destroy"]


class DockerRecords(DockerImages):
    """Answers from memory what was not reported changed. Whoever derives from it sets ``_engine``."""

    def __init__(self, cluster: str, node: str) -> None:
        super().__init__(cluster)
        self._node, self._helper_labels = node, helper_labels(cluster, node)
        self._known: dict[str, ContainerRecord | SandboxRecord] = {}
        self._of_pod: dict[str, set[str]] = {}
        self._changed: dict[str, int] = {}
        self._identities: dict[str, Identity] = {}
        self._bundles = bundle_roots()

    @property
    def _filters(self) -> list[str]:
        return [f"{config.CLUSTER}={self._cluster}", f"{config.NODE}={self._node}"]

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        filters = json.dumps({"type": ["container"], "label": self._filters, "event": _EVENTS})
        subscriber = self._engine.events.subscribe(create_task=False)  # type: ignore[no-untyped-call]  # untyped in aiodocker
        task = asyncio.create_task(self._engine.events.run(filters=filters))
        try:
            while (event := await subscriber.get()) is not None:
                attributes = event["Actor"]["Attributes"]
                container_id, action, uid = event["Actor"]["ID"], event["Action"], attributes.get(config.POD_UID, "")
                if action == "destroy":
                    self._forget(container_id)
                else:
                    self._touch(uid, container_id)
                yield RuntimeEvent(uid, action, container_id)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, aiohttp.ClientError, OSError, aiodocker.DockerError):
                await task

    def _touch(self, uid: str, container_id: str) -> None:
        """What is known of the container is out of date."""
        self._changed[container_id] = self._changed.get(container_id, 0) + 1
        self._known.pop(container_id, None)
        self._of_pod.setdefault(uid, set()).add(container_id)

    def _forget(self, container_id: str) -> None:
        self._known.pop(container_id, None)
        self._changed.pop(container_id, None)
        self._identities.pop(container_id, None)
        for uid in [u for u, ids in self._of_pod.items() if container_id in ids]:
            self._of_pod[uid].discard(container_id)
            if not self._of_pod[uid]:
                del self._of_pod[uid]

    async def _inspect(self, container_id: str) -> ContainerRecord | SandboxRecord | None:
        """The record; from memory while nothing was reported about it. None when it is gone."""
        found = self._known.get(container_id)
        if found is not None:
            return found
        seen = self._changed.get(container_id, 0)
        try:
            answer = await call(self._engine.containers.container(container_id).show())
        except NotFound:
            self._forget(container_id)
            return None
        is_sandbox = answer["Config"]["Labels"].get(config.CONTAINER_NAME) == config.POD_CONTAINER
        record: ContainerRecord | SandboxRecord
        if is_sandbox:
            record = config.sandbox_record(answer)
        else:
            record = config.container_record(answer)
            record = dataclasses.replace(record, identity=await self._identify(record))
        if self._changed.get(container_id, 0) == seen:
            self._known[container_id] = record
        return record

    async def _identify(self, record: ContainerRecord) -> Identity | None:
        """Whom it began as; remembered, since a container that has ended does not tell any more."""
        if record.id not in self._identities and record.state is State.RUNNING:
            found = await asyncio.to_thread(read_identity, record.id, self._bundles)
            if found is not None:
                self._identities[record.id] = found
        return self._identities.get(record.id)

    async def pods(self) -> dict[str, PodRecord]:
        filters = json.dumps({"label": self._filters})
        listed = await call(self._engine.containers.list(all=True, filters=filters))
        refs: dict[str, PodRef] = {}
        of_pod: dict[str, set[str]] = {}
        for summary in listed:
            ref = config.pod_of(summary["Labels"])
            refs[ref.uid] = ref
            of_pod.setdefault(ref.uid, set()).add(summary.id)
            known = self._known.get(summary.id)
            running = summary["State"] == "running"
            if known is not None and running != self._is_running(known):
                self._touch(ref.uid, summary.id)
        present = set().union(*of_pod.values()) if of_pod else set()
        for gone in [i for i in self._known if i not in present]:
            self._forget(gone)
        self._of_pod = of_pod
        return {uid: await self.pod(ref) for uid, ref in refs.items()}

    @staticmethod
    def _is_running(record: ContainerRecord | SandboxRecord) -> bool:
        return record.running if isinstance(record, SandboxRecord) else record.state == "running"

    async def pod(self, ref: PodRef) -> PodRecord:
        ids = sorted(self._of_pod.get(ref.uid, ()))
        records = [r for r in await asyncio.gather(*map(self._inspect, ids)) if r is not None]
        sandboxes = [r for r in records if isinstance(r, SandboxRecord)]
        containers = [r for r in records if isinstance(r, ContainerRecord)]
        return PodRecord(
            ref,
            tuple(sorted(sandboxes, key=lambda r: (r.attempt, r.created_at), reverse=True)),
            tuple(sorted(containers, key=lambda r: (r.attempt, r.created_at), reverse=True)),
        )
