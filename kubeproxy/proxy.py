"""The proxy's loop: whenever Services, EndpointSlices or Nodes change, and every so often, make the host right."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from kubeling.api.meta import Object, name_of
from kubeling.api.resources import ENDPOINT_SLICES, NODES, SERVICES
from kubeling.client.clock import Clock, SystemClock
from kubeling.client.informers import SharedInformers
from kubeproxy.command import CommandMissing
from kubeproxy.conntrack import Conntrack
from kubeproxy.healthcheck import HealthChecks
from kubeproxy.host import Host, is_local
from kubeproxy.metrics import ProxyMetrics
from kubeproxy.model import ServicePort, on_nodes, service_ports, usable
from kubeproxy.nft import Nft, NftError
from kubeproxy.nodeports import NodePortReserver, wanted_ports
from kubeproxy.render import Settings, render_ports

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SyncTimes:
    """Seconds: ``minimum`` between two syncs, ``full`` between two looks at what others may have changed on the host.

    A sync also waits at least as long as the last one took, so that a burst of changes never takes more than half of a core.
    """

    minimum: float = 0.1
    full: float = 30.0
    retry: float = 1.0


class Proxy:
    """Keeps the rules of one cluster. ``run`` works until cancelled and leaves the rules in place."""

    def __init__(
        self,
        informers: SharedInformers,
        settings: Settings,
        *,
        nft: Nft,
        host: Host,
        conntrack: Conntrack,
        reserver: NodePortReserver,
        health_checks: HealthChecks,
        own_node: str = "",
        times: SyncTimes | None = None,
        metrics: ProxyMetrics | None = None,
        clock: Clock | None = None,
        is_local: Callable[[str], bool] = is_local,
    ) -> None:
        self._services = informers.informer(SERVICES)
        self._slices = informers.informer(ENDPOINT_SLICES)
        self._nodes = informers.informer(NODES)
        self._informers = informers
        self._settings = settings
        self._nft = nft
        self._host = host
        self._conntrack = conntrack
        self._reserver = reserver
        self._health_checks = health_checks
        self._own_node = own_node
        self._times = times or SyncTimes()
        self._metrics = metrics or ProxyMetrics()
        self._clock = clock or SystemClock()
        self._is_local = is_local
        self._changed = asyncio.Event()
        self._applied = ""
        self._udp: frozenset[ServicePort] = frozenset()
        self._synced_at = 0.0
        self._queued_at = 0.0

    async def run(self) -> None:
        """Refuses service addresses before anything else, then follows the API."""
        await self._first_rules()
        self._services.add_handler(self._noted(self._metrics.service_changes.inc))
        self._slices.add_handler(self._noted(self._metrics.endpoint_changes.inc))
        self._nodes.add_handler(self._node_changed)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._informers.run())
                group.create_task(self._loop())
        finally:
            self._reserver.close()
            await self._health_checks.close()

    def healthy(self) -> str:
        """Empty, or why the proxy is unwell: changes have been waiting for longer than two full periods."""
        waiting = self._queued_at > self._synced_at and time.time() - self._queued_at > 2 * self._times.full
        return "the rules could not be synced for too long" if waiting else ""

    def synced(self) -> str:
        return "" if self._synced_at else "the rules have not been synced yet"

    async def _first_rules(self) -> None:
        """An empty table refuses every service address; a table of an earlier run is better than that and stays."""
        try:
            if await self._nft.existing() is None:
                await self._nft.apply(render_ports([], self._seen_host()))
        except NftError as err:
            log.error("cannot write the first rules: %s", err)

    def _noted(self, count: Callable[[], None]) -> Callable[[Object | None, Object | None], None]:
        def changed(old: Object | None, new: Object | None) -> None:
            count()
            self._note()

        return changed

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        """Heartbeats change nodes all the time; only their coming, going and addresses matter."""
        if old is None or new is None or _addresses(old) != _addresses(new):
            self._note()

    def _note(self) -> None:
        self._queued_at = time.time()
        self._metrics.last_queued.set(self._queued_at)
        self._changed.set()

    async def _loop(self) -> None:
        for informer in (self._services, self._slices, self._nodes):
            await informer.wait_synced()
        full_due = 0.0
        while True:
            self._changed.clear()
            started = self._clock.monotonic()
            full = started >= full_due
            if full:
                full_due = started + self._times.full
            succeeded = await self._try_sync(full)
            took = self._clock.monotonic() - started
            await self._clock.sleep(max(self._times.minimum, took) if succeeded else self._times.retry)
            if not succeeded:
                full_due = 0.0
                continue
            timer = self._clock.call_later(max(0.0, full_due - self._clock.monotonic()), self._changed.set)
            await self._changed.wait()
            timer.cancel()

    async def _try_sync(self, full: bool) -> bool:
        """One sync; its failure is logged, counted and tried again."""
        with self._metrics.duration.time():
            try:
                await self._sync(full)
            except (NftError, CommandMissing, OSError) as err:
                self._metrics.failures.inc()
                log.error("cannot sync the service rules: %s", err)
                return False
        self._synced_at = time.time()
        self._metrics.last.set(self._synced_at)
        return True

    async def _sync(self, full: bool) -> None:
        if full:
            await self._host.prepare(self._host.bridge())
        settings = self._seen_host()
        ports = service_ports(self._services.store.list(), self._slices.store.list())
        if settings.bridge:
            self._host.allow_hairpin(settings.bridge)
        self._reserver.hold(wanted_ports(ports))
        text = render_ports(ports, settings)
        if text != self._applied or (full and await self._nft.existing() is None):
            self._applied = ""
            await self._nft.apply(text)
            self._applied = text
        udp = frozenset(p for p in ports if p.protocol == "udp")
        if udp != self._udp:
            await self._conntrack.clean(udp)
            self._udp = udp
        await self._health_checks.serve(ports, settings.local_nodes)
        self._count_no_local(ports, settings.local_nodes)

    def _seen_host(self) -> Settings:
        """The settings with what the host shows now. A bridge once seen is kept: its rules must outlive it."""
        bridge = self._host.bridge() or self._settings.bridge
        bridged = self._host.sees_bridged_packets() or not bridge
        here = [(name_of(n), a) for n in self._nodes.store.list() for a in _addresses(n) if self._is_local(a)]
        local = {name for name, _ in here}
        self._settings = replace(
            self._settings,
            bridge=bridge,
            masquerade_pods=not bridged,
            local_nodes=frozenset({*local, *([self._own_node] if self._own_node else [])}),
            node_addresses=tuple(sorted(here)) if len(local) > 1 else (),
        )
        return self._settings

    def _count_no_local(self, ports: list[ServicePort], nodes: frozenset[str]) -> None:
        without = [p for p in ports if p.endpoints and not usable(on_nodes(p.endpoints, nodes))]
        self._metrics.no_local.labels("internal").set(sum(p.internal_local for p in without))
        self._metrics.no_local.labels("external").set(sum(p.external_local for p in without))


def _addresses(node: Object) -> list[str]:
    entries = (node.get("status") or {}).get("addresses") or ()
    return [a["address"] for a in entries if a.get("type") == "InternalIP"]
