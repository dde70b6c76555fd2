"""The shell that brings the server's own objects into the store: once when it starts.

Everything is level-triggered: what is there and right is left alone, so that a restart writes nothing, and several servers
may do it at the same time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from apiserver.bootstrap import cluster, flow
from apiserver.bootstrap.policy.cluster import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    DEVICE_TAINT_RULES_ROLES,
    METRICS_ROLES,
)
from apiserver.bootstrap.policy.controllers import (
    CONTROLLER_ROLE_BINDINGS,
    CONTROLLER_ROLES,
    MIGRATOR_ROLE_BINDINGS,
    MIGRATOR_ROLES,
)
from apiserver.bootstrap.policy.namespaces import NAMESPACE_ROLE_BINDINGS, NAMESPACE_ROLES
from apiserver.bootstrap.rbac import reconciled_binding, reconciled_role, replaces_role
from apiserver.registry.facade import Registries, Registry, WriteOptions
from kubeling.api import errors
from kubeling.api.meta import Object, has_condition, name_of, namespace_of, utcnow

_LOG = logging.getLogger(__name__)
_AT_ONCE = 32
_FLOW = WriteOptions(manager=flow.MANAGER)
_SERVER = WriteOptions()
_CIDRS = WriteOptions(manager="kubernetes-service-cidr-controller")


@dataclass(frozen=True, slots=True)
class BootstrapSettings:
    """``service_ranges``: CIDRs; ``client_ca``: PEM of ``--client-ca-file``; ``request_header``: see ``cluster``;
    ``metrics``: whether the server serves metrics.k8s.io itself; ``features``: the feature gates that are on;
    ``group_versions``: all that the server serves."""

    service_ranges: tuple[str, ...]
    client_ca: str = ""
    request_header: dict[str, str] = field(default_factory=dict)
    rbac: bool = True
    metrics: bool = False
    features: frozenset[str] = frozenset()
    group_versions: tuple[tuple[str, str], ...] = ()


class Bootstrap:
    """``run`` returns when everything that a fresh cluster starts with is there."""

    def __init__(
        self, registries: Registries, settings: BootstrapSettings, clock: Callable[[], datetime] = utcnow
    ) -> None:
        self._registries = registries
        self._settings = settings
        self._clock = clock

    async def run(self) -> None:
        """Raises ``StatusError`` when the store refuses or cannot be reached."""
        await self._ensure_all(cluster.NAMESPACES)
        if self._settings.rbac:
            await self._rbac()
        now = self._clock()
        await self._ensure_all((*flow.PRIORITY_LEVELS, *flow.FLOW_SCHEMAS), _FLOW)
        await self._ensure_all(cluster.PRIORITY_CLASSES)
        await self._service_cidr(now)
        await self._ensure_all([cluster.token_tracking_config(now)])
        await self._authentication_config()
        await self._ensure_all(cluster.api_services(self._settings.group_versions))

    def _registry(self, obj: Object) -> Registry | None:
        group = obj["apiVersion"].rpartition("/")[0]
        return self._registries.find_kind(group, obj["kind"])

    async def _service_cidr(self, now: datetime) -> None:
        wanted = cluster.service_cidr(self._settings.service_ranges)
        registry = self._registry(wanted)
        if registry is None:
            return
        await self._ensure(wanted, _SERVER)
        stored = registry.cached(name_of(wanted))
        if stored is None or not has_condition(stored, "Ready"):
            await registry.apply(cluster.service_cidr_status(now), subresource="status", options=_CIDRS)

    async def _ensure_all(self, objects: Iterable[Object], options: WriteOptions = _SERVER) -> None:
        await self._gather([self._ensure(obj, options) for obj in objects])

    async def _ensure(self, obj: Object, options: WriteOptions) -> None:
        """Creates the object unless it is there."""
        registry = self._registry(obj)
        if registry is None or registry.cached(name_of(obj), namespace_of(obj)) is not None:
            return
        try:
            await registry.create(obj, options)
        except errors.StatusError as error:
            if not errors.is_already_exists(error):
                raise

    async def _rbac(self) -> None:
        metrics = METRICS_ROLES if self._settings.metrics else ()
        features = self._settings.features
        roles, bindings = (MIGRATOR_ROLES, MIGRATOR_ROLE_BINDINGS) if "StorageVersionMigrator" in features else ((), ())
        rules = DEVICE_TAINT_RULES_ROLES if "DRADeviceTaintRules" in features else ()
        all_roles = {name_of(r): r for r in (*CLUSTER_ROLES, *CONTROLLER_ROLES, *metrics, *roles, *rules)}
        await self._gather([self._role(role) for role in all_roles.values()])
        await self._gather([self._binding(b) for b in (*CLUSTER_ROLE_BINDINGS, *CONTROLLER_ROLE_BINDINGS, *bindings)])
        await self._gather([self._role(role) for role in NAMESPACE_ROLES])
        await self._gather([self._binding(b) for b in NAMESPACE_ROLE_BINDINGS])

    async def _role(self, wanted: Object) -> None:
        await self._reconcile(wanted, reconciled_role)

    async def _binding(self, wanted: Object) -> None:
        registry = self._registry(wanted)
        stored = registry.cached(name_of(wanted), namespace_of(wanted)) if registry is not None else None
        if registry is not None and stored is not None and replaces_role(stored, wanted):
            await registry.delete(name_of(wanted), namespace_of(wanted))
            await registry.create(wanted)
            return
        await self._reconcile(wanted, reconciled_binding)

    async def _reconcile(self, wanted: Object, change: Callable[[Object, Object], Object | None]) -> None:
        registry = self._registry(wanted)
        if registry is None:
            return
        name, namespace = name_of(wanted), namespace_of(wanted)
        stored = registry.cached(name, namespace)
        if stored is None:
            await self._ensure(wanted, _SERVER)
        elif change(stored, wanted) is not None:
            _LOG.info("reconciled default policy", extra={"kind": wanted["kind"], "object": name})
            await registry.update(name, lambda current: change(current, wanted), namespace)

    async def _authentication_config(self) -> None:
        wanted = cluster.authentication_config(self._settings.client_ca, self._settings.request_header)
        registry = self._registry(wanted)
        if registry is None:
            return
        stored = registry.cached(name_of(wanted), namespace_of(wanted))
        if stored is None:
            await self._ensure(wanted, _SERVER)
            return
        data = {**(stored.get("data") or {}), **(wanted.get("data") or {})}
        if data != (stored.get("data") or {}):
            await registry.update(name_of(wanted), lambda current: {**current, "data": data}, namespace_of(wanted))

    async def _gather(self, tasks: Iterable[Awaitable[None]]) -> None:
        limit = asyncio.Semaphore(_AT_ONCE)

        async def limited(task: Awaitable[None]) -> None:
            async with limit:
                await task

        async with asyncio.TaskGroup() as group:
            for task in tasks:
                group.create_task(limited(task))
