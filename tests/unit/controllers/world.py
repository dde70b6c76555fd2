"""Controllers on the fake API, with kubelets that only pretend: a world that a test moves on step by step."""

from __future__ import annotations

import asyncio
from typing import Any

from controllers.context import Context, ControllerSpec
from controllers.options import Options
from kubeling.api.meta import Object, is_deleting, name_of, namespace_of, rfc3339, with_condition
from kubeling.api.resource import Resource
from kubeling.api.resources import PODS
from kubeling.client.clock import FakeClock
from kubeling.client.informers import SharedInformers
from tests.unit.controllers.fakeapi import FakeApi

MOST_MOMENTS = 500  # in which something may still change


class World:
    """``async with World(CONTROLLER, ...) as world``; ``settle`` lets the controllers work until nothing changes."""

    def __init__(self, *specs: ControllerSpec, **options: Any) -> None:
        self.clock = FakeClock()
        self.api = FakeApi(self.clock)
        self.specs = specs
        self.options = Options(**options)
        self.tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> World:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, *, settle: bool = True) -> None:
        client = self.api.client()
        informers = SharedInformers(client, clock=self.clock)
        self.context = Context(client, informers, self.clock, self.options)
        runnables = [r for spec in self.specs for r in spec.build(self.context)]
        for runnable in (informers, *runnables, *self.context.recorders.values()):
            self.tasks.append(asyncio.create_task(runnable.run()))
        if settle:
            await self.settle()

    async def stop(self) -> None:
        """As kill -9 does it: nothing is finished properly."""
        for task in self.tasks:
            task.cancel()
        _, stuck = await asyncio.wait(self.tasks, timeout=30)
        assert not stuck, [task.get_stack() for task in stuck]
        for result in await asyncio.gather(*self.tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result
        self.tasks = []

    async def settle(self, seconds: float = 1.0) -> None:
        """Passes time until the controllers are quiet for that long."""
        for _ in range(MOST_MOMENTS):
            before = self.api.version
            await self.clock.advance(seconds)
            for _ in range(50):
                await asyncio.sleep(0)
            if self.api.version == before:
                return
        raise AssertionError(f"never quiet: {self.api.writes[-10:]}")

    def create(self, resource: Resource, name: str, spec: Object, namespace: str = "ns", **metadata: Any) -> Object:
        obj = {"metadata": {"name": name, "namespace": namespace, **metadata}, "spec": spec}
        return self.api.create(resource, obj)

    def get(self, resource: Resource, name: str, namespace: str = "ns") -> Object:
        where = namespace if resource.namespaced else ""
        return self.api.objects[(resource.group, resource.plural, where, name)]

    def pods(self, namespace: str = "ns") -> list[Object]:
        return self.api.all(PODS, namespace)

    def make_ready(self, *pods: Object) -> None:
        """The kubelet runs the pods, and they are ready."""
        for pod in pods or self.pods():
            if not is_deleting(pod):
                self.set_status(pod, phase="Running", ready=True)

    def set_status(self, pod: Object, *, phase: str, ready: bool = False, **more: Any) -> None:
        now = self.clock.now()

        def change(obj: Object) -> None:
            status = obj.setdefault("status", {})
            status["phase"] = phase
            value = "True" if ready else "False"
            status["conditions"] = with_condition(status.get("conditions"), "Ready", value, now)
            status.update(more, startTime=status.get("startTime") or rfc3339(now))

        self.api.update(PODS, namespace_of(pod), name_of(pod), change)

    def finish_deleted(self) -> None:
        """The kubelet has stopped every pod that was being deleted."""
        for pod in self.pods():
            if is_deleting(pod) and not pod["metadata"].get("finalizers"):
                self.api.finish(namespace_of(pod), name_of(pod))

    def events(self) -> list[tuple[str, str]]:
        """(reason, message) of every event written, in order."""
        return [(e["reason"], e["message"]) for (_, p, _, _), e in self.api.objects.items() if p == "events"]
