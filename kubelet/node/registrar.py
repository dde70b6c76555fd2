"""Registers the node, keeps its status and its lease."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from kubelet.node.machine import Machine
from kubelet.node.status import NodeSettings, Pressure, default_labels, differs, new_node, node_status
from kubelet.pods.recorder import Recorder
from kubelet.runtime.protocol import Runtime, RuntimeFailure
from kubeling.api.errors import StatusError, is_already_exists, is_conflict, is_not_found
from kubeling.api.meta import Object, condition_of, labels_of, rfc3339_micro, uid_of
from kubeling.api.resources import LEASES, NODES
from kubeling.client.clock import Clock
from kubeling.client.errors import ClientError
from kubeling.client.rest import Client, PatchKind

log = logging.getLogger(__name__)
LEASE_NAMESPACE = "kube-node-lease"
LEASE_SECONDS = 40
_RENEW_SECONDS = 10.0
_FULL_REPORT = timedelta(minutes=5)
_RETRY_FIRST, _RETRY_MAX = 0.2, 1.0


class NodeRegistrar:
    """``pressure`` and ``problem`` are asked at each report; ``problem`` is empty when the node can run pods.

    ``period`` is the time between looks at the status, in seconds.
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
    ) -> None:
        self._client, self._runtime, self._settings, self._machine = client, runtime, settings, machine
        self._clock, self._recorder, self._pressure, self._problem = clock, recorder, pressure, problem
        self._period = period
        self.node: Object = new_node(settings, machine)
        self._reported = clock.now() - 2 * _FULL_REPORT
        self._lease: Object | None = None
        self._hurry = asyncio.Event()

    async def register(self) -> None:
        """Creates the node with its first status, or takes over the one that is there. Tries until it works."""
        delay = _RETRY_FIRST
        while True:
            try:
                self.node = await self._create_or_adopt()
                self._recorder.event(self._reference(), "Normal", "Starting", "Starting kubelet.")
                return
            except (StatusError, ClientError, RuntimeFailure) as err:
                log.warning("Registering node %s: %s; trying again", self._settings.name, err)
            await self._clock.sleep(delay)
            delay = min(delay * 2, _RETRY_MAX)

    async def _create_or_adopt(self) -> Object:
        wanted = new_node(self._settings, self._machine)
        wanted["status"] = await self._status({})
        try:
            created = await self._client.create(NODES, wanted)
            self._reported = self._clock.now()
            return created
        except StatusError as err:
            if not is_already_exists(err):
                raise
        node = await self._client.get(NODES, self._settings.name)
        labels = {**default_labels(self._settings, self._machine), **self._settings.labels}
        missing = {k: v for k, v in labels.items() if labels_of(node).get(k) != v}
        if missing:
            node = await self._client.patch(NODES, self._settings.name, {"metadata": {"labels": missing}})
        return node

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
        """Reports every ten seconds what has changed, and everything every five minutes."""
        while True:
            try:
                await self._report()
            except (StatusError, ClientError, RuntimeFailure) as err:
                log.warning("Status of node %s: %s", self._settings.name, err)
                if is_not_found(err):
                    await self.register()
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
        self.node = await self._client.get(NODES, self._settings.name)
        old = self.node.get("status") or {}
        status = await self._status(old)
        now = self._clock.now()
        if not differs(old, status) and now - self._reported < _FULL_REPORT:
            return
        before = condition_of(self.node, "Ready")
        patch = {"status": _replacing_lists(old, status)}
        self.node = await self._client.patch(
            NODES, self._settings.name, patch, kind=PatchKind.STRATEGIC, subresource="status"
        )
        self._reported = now
        self._tell_changes(old, status, before)

    def _tell_changes(self, old: Mapping[str, Any], new: Mapping[str, Any], before: Mapping[str, Any] | None) -> None:
        names = {
            "Ready": ("NodeReady", "NodeNotReady"),
            "MemoryPressure": ("NodeHasInsufficientMemory", "NodeHasSufficientMemory"),
            "DiskPressure": ("NodeHasDiskPressure", "NodeHasNoDiskPressure"),
            "PIDPressure": ("NodeHasInsufficientPID", "NodeHasSufficientPID"),
        }
        known = {c["type"]: c.get("status") for c in old.get("conditions") or ()}
        for condition in new["conditions"]:
            if known.get(condition["type"]) != condition["status"]:
                reason = names[condition["type"]][0 if condition["status"] == "True" else 1]
                text = f"Node {self._settings.name} status is now: {reason}"
                self._recorder.event(self._reference(), "Normal", reason, text)

    async def keep_lease(self) -> None:
        """Renews the node's Lease every ten seconds."""
        while True:
            try:
                await self._renew()
            except (StatusError, ClientError) as err:
                self._lease = None
                if not is_conflict(err):
                    log.warning("Lease of node %s: %s", self._settings.name, err)
                await self._clock.sleep(_RETRY_FIRST)
                continue
            await self._clock.sleep(_RENEW_SECONDS)

    async def _renew(self) -> None:
        name = self._settings.name
        renewed = rfc3339_micro(self._clock.now())
        if self._lease is None:
            try:
                self._lease = await self._client.get(LEASES, name, LEASE_NAMESPACE)
            except StatusError as err:
                if not is_not_found(err):
                    raise
                self._lease = await self._client.create(LEASES, self._new_lease(renewed))
                return
        spec = {
            **self._lease["spec"],
            "holderIdentity": name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": renewed,
        }
        self._lease = await self._client.update(LEASES, {**self._lease, "spec": spec})

    def _new_lease(self, renewed: str) -> Object:
        name = self._settings.name
        owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid_of(self.node)}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name, "namespace": LEASE_NAMESPACE, "ownerReferences": [owner]},
            "spec": {"holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": renewed},
        }


def _replacing_lists(old: Mapping[str, Any], new: Mapping[str, Any]) -> Object:
    """A strategic patch in which the addresses replace the old ones; only what differs is in it."""
    patch = {k: v for k, v in new.items() if old.get(k) != v}
    if "addresses" in patch and old.get("addresses"):
        patch["addresses"] = [{"$patch": "replace"}, *patch["addresses"]]
    return patch
