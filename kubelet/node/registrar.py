"""Registers the node and keeps its status."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from kubelet.node.changes import Event, reconciling, schedulable_event, status_events
from kubelet.node.machine import Machine
from kubelet.node.status import NodeSettings, Pressure, differs, new_node, node_status
from kubelet.pods.recorder import Recorder
from kubelet.runtime.protocol import Runtime, RuntimeFailure
from kubeling.api.errors import StatusError, is_already_exists
from kubeling.api.meta import Object
from kubeling.api.resources import NODES
from kubeling.client.clock import Clock
from kubeling.client.errors import ClientError
from kubeling.client.rest import Client, PatchKind

log = logging.getLogger(__name__)
_RETRY_FIRST, _RETRY_MAX = 0.2, 1.0


class NodeRegistrar:
    """``pressure`` and ``problem`` are asked at each report; ``problem`` is empty when the node can run pods.

    ``period`` is the time between looks at the status, ``full`` between reports when nothing has changed, in seconds.
    """

    def __init__(
        self,
        client: Client,
        runtime: Runtime,
        settings: NodeSettings,
        machine: Machine,
        clock: Clock,
        recorder: Recorder,
        *,
        pressure: Callable[[], Pressure],
        problem: Callable[[], str],
        period: float = 10.0,
        full: float = 300.0,
    ) -> None:
        self._client, self._runtime, self._settings, self._machine = client, runtime, settings, machine
        self._clock, self._recorder, self._pressure, self._problem = clock, recorder, pressure, problem
        self._period, self._full = period, timedelta(seconds=full)
        self.node: Object = new_node(settings, machine)
        self._reported = clock.now() - 2 * self._full
        self._unschedulable = False
        self._hurry = asyncio.Event()

    async def register(self) -> None:
        """Creates the node with its first status, or takes over the one that is there. Tries until it works.

        A node that is deleted later stays so until the kubelet starts again, as with upstream's.
        """
        delay = _RETRY_FIRST
        self._tell(("Normal", "Starting", "Starting kubelet."))
        while True:
            try:
                self.node = await (self._create_or_adopt() if self._settings.register else self._find())
                return
            except (StatusError, ClientError, RuntimeFailure) as err:
                log.warning("Registering node %s: %s; trying again", self._settings.name, err)
            await self._clock.sleep(delay)
            delay = min(delay * 2, _RETRY_MAX)

    async def _find(self) -> Object:
        return await self._client.get(NODES, self._settings.name)

    async def _create_or_adopt(self) -> Object:
        wanted = new_node(self._settings, self._machine)
        wanted["status"] = await self._status({})
        try:
            created = await self._client.create(NODES, wanted)
        except StatusError as err:
            if not is_already_exists(err):
                raise
            node = await self._find()
            patch = reconciling(wanted, node)
            return await self._client.patch(NODES, self._settings.name, patch) if patch else node
        self._reported = self._clock.now()
        self._tell(*status_events(self._settings.name, {}, wanted["status"]))
        return created

    async def _status(self, old: Mapping[str, Any]) -> Object:
        problem = self._problem()
        try:
            runtime, images = await self._runtime.version(), await self._runtime.images()
        except RuntimeFailure as err:
            problem = problem or f"container runtime is down: {err}"
            runtime, images = {}, []
        status = node_status(
            old,
            self._settings,
            self._machine,
            runtime,
            images,
            now=self._clock.now(),
            pressure=self._pressure(),
            not_ready=problem,
        )
        if not runtime and old:
            status |= {k: old[k] for k in ("nodeInfo", "images") if k in old}
        return status

    def _reference(self) -> Object:
        """As upstream's kubelet refers to its node in events: the name is the UID, too."""
        name = self._settings.name
        return {"kind": "Node", "name": name, "uid": name}

    async def keep_status(self) -> None:
        """Reports what has changed at every look, and everything from time to time."""
        while True:
            try:
                await self._report()
            except (StatusError, ClientError, RuntimeFailure) as err:
                log.warning("Status of node %s: %s", self._settings.name, err)
            await self._pause()

    def hurry(self) -> None:
        """Reports at once: something has changed that others wait for."""
        self._hurry.set()

    async def _pause(self) -> None:
        over = asyncio.ensure_future(self._clock.sleep(self._period))
        asked = asyncio.ensure_future(self._hurry.wait())
        try:
            await asyncio.wait({over, asked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (over, asked):
                task.cancel()
            await asyncio.gather(over, asked, return_exceptions=True)
        self._hurry.clear()

    async def know_node(self) -> None:
        """Reads the node as it is now; ``node`` stays as it was where the API server does not answer."""
        try:
            self.node = await self._client.get(NODES, self._settings.name)
        except (StatusError, ClientError) as err:
            log.warning("Reading node %s: %s", self._settings.name, err)

    async def _report(self) -> None:
        self.node = await self._find()
        self._tell_schedulable()
        old = self.node.get("status") or {}
        status = await self._status(old)
        now = self._clock.now()
        if not differs(old, status) and now - self._reported < self._full:
            return
        patch = {"status": _replacing_lists(old, status)}
        self.node = await self._client.patch(
            NODES, self._settings.name, patch, kind=PatchKind.STRATEGIC, subresource="status"
        )
        self._reported = now
        self._tell(*status_events(self._settings.name, old, status))

    def _tell(self, *events: Event) -> None:
        for event in events:
            self._recorder.event(self._reference(), *event)

    def _tell_schedulable(self) -> None:
        now = bool((self.node.get("spec") or {}).get("unschedulable"))
        if now != self._unschedulable:
            self._tell(schedulable_event(self._settings.name, now))
        self._unschedulable = now


def _replacing_lists(old: Mapping[str, Any], new: Mapping[str, Any]) -> Object:
    """A strategic patch in which the addresses replace the old ones; only what differs is in it."""
    patch = {k: v for k, v in new.items() if old.get(k) != v}
    if "addresses" in patch and old.get("addresses"):
        patch["addresses"] = [{"$patch": "replace"}, *patch["addresses"]]
    return patch
