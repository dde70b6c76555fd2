"""Services and IPAddress objects kept level: what one side knows and the other has lost is put right, and told.

Source: pkg/registry/core/service/ipallocator/controller, the repair loop of IPAddress objects.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from apiserver.allocators.addresses import address_object, family_of
from apiserver.kinds.core.service_fields import is_headless, needs_cluster_ip
from apiserver.registry.facade import Registries
from kubeling.api import errors
from kubeling.api.errors import StatusError
from kubeling.api.meta import Key, Object, key_of, labels_of, name_of, object_reference, parse_time, rfc3339, utcnow
from kubeling.api.resources import EVENTS, IP_ADDRESSES, SERVICES

_LOG = logging.getLogger(__name__)
PERIOD_SECONDS = 180.0
LEAK_AGE = timedelta(minutes=1)  # a Service that is being created has its addresses before it is there
MANAGED_BY = ("ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io")
COMPONENT = "ipallocator-repair-controller"


@dataclass(frozen=True, slots=True)
class Repair:
    """``create``: the owner of an address that has no object; ``delete``: an object that has no owner. ``regarding``: what
    the event is about."""

    address: str
    reason: str
    message: str
    regarding: Object
    create: Key | None = None
    delete: bool = False


def addresses_of(service: Object) -> list[str]:
    spec = service["spec"]
    if not needs_cluster_ip(spec) or is_headless(spec):
        return []
    return [str(ipaddress.ip_address(a)) for a in spec.get("clusterIPs") or () if a]


def plan(services: Iterable[Object], objects: Iterable[Object], now: datetime) -> list[Repair]:
    """What is not level. An address that two Services have stays with the one that its object names; the other is told."""
    known = {name_of(o): o for o in objects}
    owned: set[tuple[str, Key]] = set()
    found: list[Repair] = []
    for service in services:
        for address in addresses_of(service):
            owned.add((address, key_of(service)))
            found += _of_service(service, address, known.get(address))
    for address, obj in known.items():
        owner = _owner(obj)
        if (address, owner) in owned or labels_of(obj).get(MANAGED_BY[0]) != MANAGED_BY[1]:
            continue
        if parse_time(obj["metadata"]["creationTimestamp"]) + LEAK_AGE < now:
            text = (
                f"IPAddress: {address} for Service {owner.namespace}/{owner.name} appears to have leaked: cleaning up"
            )
            found.append(Repair(address, "IPAddressNotAllocated", text, obj, delete=True))
    return found


def _of_service(service: Object, address: str, obj: Object | None) -> list[Repair]:
    owner = key_of(service)
    which = f"Cluster IP [{family_of(address)}]: {address}"
    if obj is None:
        text = f"{which} is not allocated; repairing"
        return [Repair(address, "ClusterIPNotAllocated", text, service, create=owner)]
    if _owner(obj) != owner:
        text = f"{which} was assigned to multiple services; please recreate service"
        return [Repair(address, "ClusterIPAlreadyAllocated", text, service)]
    return []


def _owner(obj: Object) -> Key:
    parent = obj["spec"].get("parentRef") or {}
    return Key(parent.get("namespace", ""), parent.get("name", ""))


class AddressRepair:
    """Looks every three minutes."""

    def __init__(self, registries: Registries, clock: Callable[[], datetime] = utcnow) -> None:
        self._registries = registries
        self._clock = clock

    async def run(self) -> None:
        """Forever; a failure is logged and tried again."""
        while True:
            await asyncio.sleep(PERIOD_SECONDS)
            try:
                await self.repair()
            except StatusError as err:
                _LOG.warning("cannot repair service addresses", extra={"error": err.message})

    async def repair(self) -> None:
        """Raises ``StatusError``."""
        objects = await self._registries.of(IP_ADDRESSES).list()
        services = await self._registries.of(SERVICES).list()
        for step in plan(services, objects, self._clock()):
            await self._carry_out(step)

    async def _carry_out(self, step: Repair) -> None:
        registry = self._registries.of(IP_ADDRESSES)
        try:
            if step.create is not None:
                await registry.create(address_object(step.address, step.create))
            elif step.delete:
                await registry.delete(step.address)
        except StatusError as err:
            if not (errors.is_already_exists(err) or errors.is_not_found(err)):
                raise
            return
        await self._tell(step)

    async def _tell(self, step: Repair) -> None:
        now = self._clock()
        regarding = object_reference(step.regarding)
        namespace = regarding.get("namespace") or "default"
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{regarding['name']}.{int(now.timestamp() * 1e9):x}", "namespace": namespace},
            "involvedObject": regarding,
            "type": "Warning",
            "reason": step.reason,
            "message": step.message,
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "count": 1,
            "firstTimestamp": rfc3339(now),
            "lastTimestamp": rfc3339(now),
        }
        await self._registries.of(EVENTS).create(event)
