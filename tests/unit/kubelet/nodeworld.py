"""One kubelet's pods on a fake API and an engine that only pretends, in a time that tests move."""

from __future__ import annotations

import asyncio
import dataclasses
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kubelet.containers.build import NodeFacts
from kubelet.containers.hooks import HookRunner
from kubelet.images.manager import ImageManager
from kubelet.pods.killer import Exits, Killer
from kubelet.pods.kit import Kit
from kubelet.pods.logs import NoPodLogs, PodLogs
from kubelet.pods.manager import PodManager
from kubelet.pods.mounts import ClusterDns, PodMounts
from kubelet.pods.objects import NoObjects
from kubelet.pods.pulls import PodImages
from kubelet.pods.reporter import StatusReporter
from kubelet.pods.services import NoServices
from kubelet.pods.sources import ApiPods
from kubelet.pods.starter import ContainerStarter
from kubelet.probes.manager import ProbeManager
from kubelet.probes.outcome import Outcome, Verdict
from kubelet.runtime.protocol import RuntimeUnavailable
from kubelet.runtime.records import ContainerRecord, PodRecord, State
from kubelet.runtime.simulated import SimulatedRuntime
from kubelet.runtime.specs import PodRef
from kubelet.volumes.image import ImageVolumes
from kubelet.volumes.manager import VolumeManager
from kubelet.volumes.tokens import NoTokens
from kubeling.api.errors import conflict
from kubeling.api.meta import Object
from kubeling.api.patch import strategic_merge
from kubeling.api.resource import Resource
from kubeling.api.resources import PODS
from kubeling.api.schema import schemas_for
from kubeling.client.clock import FakeClock
from tests.unit.controllers.fakeapi import FakeApi

NODE = "n1"
POD = schemas_for().of("", "v1", "Pod")


class InTurn(ThreadPoolExecutor):
    """What others do in threads is done at once: the order of events depends on nothing but the test."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as err:  # noqa: BLE001  # whoever waits for the result gets it
            future.set_exception(err)
        return future


class PodApi(FakeApi):
    """Pods are patched by their schema, and deleted as the API server deletes them: gracefully, then for good."""

    def _patch(self, resource: Resource, namespace: str, name: str, patch: Object, strategic: bool) -> Object:
        ident = (resource.group, resource.plural, namespace, name)
        if resource != PODS:
            return super()._patch(resource, namespace, name, patch, strategic)
        old = self._get(ident)
        if (uid := (patch.get("metadata") or {}).get("uid")) and uid != old["metadata"]["uid"]:
            raise conflict("", "pods", name)
        return self._changed(ident, old, strategic_merge(old, patch, POD))

    def delete(self, resource: Resource, namespace: str, name: str, options: Object | None = None) -> Object:
        if resource == PODS and (options or {}).get("gracePeriodSeconds") == 0:
            ident = (resource.group, resource.plural, namespace, name)
            return self._remove(ident, self._get(ident))
        return super().delete(resource, namespace, name, options)


class Engine(SimulatedRuntime):
    """``away``: it answers nobody. Containers end, and vanish, when the test says so."""

    away = False

    def _answer(self) -> None:
        if self.away:
            raise RuntimeUnavailable("the engine does not answer")

    async def pods(self) -> dict[str, PodRecord]:
        self._answer()
        return await super().pods()

    async def pod(self, ref: PodRef) -> PodRecord:
        self._answer()
        return await super().pod(ref)

    async def run_sandbox(self, spec: Any) -> Any:
        self._answer()
        return await super().run_sandbox(spec)

    async def create_container(self, spec: Any, sandbox: Any, image: Any) -> str:
        self._answer()
        return await super().create_container(spec, sandbox, image)

    async def start_container(self, container_id: str) -> None:
        self._answer()
        await super().start_container(container_id)

    async def signal(self, container_id: str, signal: str) -> None:
        self._answer()
        await super().signal(container_id, signal)

    async def remove_container(self, container_id: str) -> None:
        self._answer()
        await super().remove_container(container_id)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        self._answer()
        await super().remove_sandbox(sandbox_id)

    def everything(self) -> list[ContainerRecord]:
        return list(self._containers.values())

    def end(self, record: ContainerRecord, code: int) -> None:
        self._end(record.id, code)

    def lose(self, record: ContainerRecord) -> None:
        """As ``docker rm -f``: no event is seen, nothing is left."""
        self._containers.pop(record.id, None)

    def break_sandbox(self, uid: str) -> None:
        for record in list(self._sandboxes.values()):
            if record.pod.uid == uid:
                self._sandboxes[record.id] = dataclasses.replace(record, running=False)
        for container in self.everything():
            if container.pod.uid == uid and container.state is State.RUNNING:
                self.end(container, 137)


class Answers:
    """A prober: every probe of a container gets the answer that the test gave it last."""

    def __init__(self) -> None:
        self.bad: set[tuple[str, str]] = set()  # container's name and kind of probe

    async def probe(self, probe: Any, container: Any, container_id: str, ip: str) -> Outcome:
        kind = probe["exec"]["command"][0]
        return Outcome(Verdict.FAILURE if (container["name"], kind) in self.bad else Verdict.SUCCESS)


class Events:
    def event(self, obj: Any, type_: str, reason: str, message: str, **more: Any) -> None:
        """Nobody reads them here."""


class NodeWorld:
    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.api = PodApi(self.clock)
        self.engine = Engine(self.clock)
        self.answers = Answers()
        self.http: Any = None  # no hook here speaks HTTP
        self.folder = folder
        self.logs: PodLogs = NoPodLogs()
        self.tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """A kubelet as if it had just been started."""
        asyncio.get_running_loop().set_default_executor(InTurn())
        clock, events, folder = self.clock, Events(), self.folder
        runtime: Any = self.engine
        prober: Any = self.answers
        node = NodeFacts(NODE, "192.0.2.1", "cluster.local", 1 << 30, folder)
        hooks, exits, client = HookRunner(runtime, clock, self.http, events), Exits(clock), self.api.client()
        images = PodImages(ImageManager(runtime, clock), NoObjects(), events, ImageVolumes(runtime, may_mount=False))
        dns = ClusterDns(("10.96.0.10",), "cluster.local", folder / "none")
        starter = ContainerStarter(
            runtime=runtime, services=NoServices(), objects=NoObjects(), recorder=events, hooks=hooks, node=node,
            images=images, mounts=PodMounts(folder, node, dns, may_mount=False), logs=self.logs,
        )  # fmt: skip
        pods = ApiPods(client, NODE, clock)
        self.reporter = StatusReporter(client, pods.latest, clock)
        self.kit = Kit(
            runtime=runtime, starter=starter, killer=Killer(runtime, hooks, events, clock, exits, "192.0.2.1"), exits=exits,
            volumes=VolumeManager(folder, objects=NoObjects(), tokens=NoTokens(), recorder=events, clock=clock),
            probes=ProbeManager(prober, events, clock), recorder=events, clock=clock, node=node, pods_folder=folder,
            publish=self.reporter.publish, finish=self.reporter.finish, release=lambda uid: None, logs=self.logs,
        )  # fmt: skip
        self.pods = PodManager(self.kit, lambda pod, others: None, lambda: pods.synced)
        pods.follow(self.pods.put, self.pods.drop)
        self.tasks = [
            asyncio.create_task(step) for step in (pods.run(), self.pods.follow_runtime(), self.pods.relist())
        ]

    async def kill(self) -> None:
        """The kubelet is killed; its containers go on."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.pods.close()
        await self.reporter.close()
        self.tasks = []

    async def pass_time(self, seconds: float) -> None:
        await self.clock.advance(seconds)
        for _ in range(30):
            await asyncio.sleep(0)

    def all(self) -> list[Object]:
        return self.api.all(PODS)
