"""What writes of services take and give back: IP families, cluster IPs, node ports.

Source: k8s.io/kubernetes/pkg/registry/core/service/storage/alloc.go.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from apiserver.allocators.addresses import AddressError, ClusterIPs, family_of
from apiserver.allocators.ports import NodePorts, PortError
from apiserver.allocators.ranges import is_ip
from apiserver.kinds.core.service_fields import is_headless, needs_cluster_ip, needs_health_check, needs_node_port
from apiserver.kinds.core.service_validation import validate_cluster_ips
from apiserver.registry.kind import Context
from apiserver.registry.write import Finish
from kubeling.api import errors, fields
from kubeling.api.errors import StatusError
from kubeling.api.fields import ErrorList, FieldError, Path
from kubeling.api.meta import Key, Object, key_of, name_of
from kubeling.api.resources import SERVICES

log = logging.getLogger("apiserver.allocators")

_SPEC = Path("spec")
Release = Callable[[], Awaitable[None]]


class ServiceAllocation:
    """Write hooks of services."""

    def __init__(self, addresses: ClusterIPs, ports: NodePorts) -> None:
        self._addresses = addresses
        self._ports = ports

    async def begin_create(self, ctx: Context, obj: Object) -> Finish:
        return await self._begin(ctx, obj, None)

    async def begin_update(self, ctx: Context, obj: Object, old: Object) -> Finish:
        if ctx.subresource:
            return _nothing
        return await self._begin(ctx, obj, old)

    async def after_delete(self, obj: Object) -> None:
        await _run(self._given_back(obj["spec"], {}))

    async def _begin(self, ctx: Context, obj: Object, old: Object | None) -> Finish:
        spec, before = obj["spec"], (old or {}).get("spec") or {}
        taken: list[Release] = []
        try:
            self._families(obj, before if old else None)
            await self._take_addresses(ctx, obj, before, taken)
            await self._take_ports(ctx, obj, before, taken)
        except BaseException:
            await _run(taken)
            raise
        given_back = self._given_back(before, spec)

        async def finish(success: bool) -> None:
            await _run(given_back if success else taken)

        return finish

    def _families(self, obj: Object, before: Object | None) -> None:
        """Defaults of ipFamilies and ipFamilyPolicy. Raises 422 for families that the cluster does not have."""
        spec = obj["spec"]
        if spec.get("type") == "ExternalName":
            return
        found = validate_cluster_ips(spec) or self._family_errors(spec)
        if found:
            raise errors.invalid(SERVICES.group, SERVICES.kind, name_of(obj), found)
        dual = len(self._addresses.families) > 1
        selectorless = is_headless(spec) and not spec.get("selector")
        if not spec.get("ipFamilyPolicy"):
            if len(spec.get("ipFamilies") or ()) > 1 or len(spec.get("clusterIPs") or ()) > 1:
                spec["ipFamilyPolicy"] = "RequireDualStack"
            else:
                spec["ipFamilyPolicy"] = "RequireDualStack" if selectorless and before is None else "SingleStack"
        families = list(spec.get("ipFamilies") or ())
        for address in spec.get("clusterIPs") or ():
            if is_ip(address) and family_of(address) not in families:
                families.append(family_of(address))
        if not families:
            families = [self._addresses.families[0]]
        wants_two = spec["ipFamilyPolicy"] != "SingleStack" and (dual or selectorless)
        if wants_two and len(families) == 1 and (before is None or dual):
            families.append("IPv4" if families[0] == "IPv6" else "IPv6")
        spec["ipFamilies"] = families

    def _family_errors(self, spec: Object) -> ErrorList:
        found: ErrorList = []
        selectorless = is_headless(spec) and not spec.get("selector")
        if selectorless:
            return found
        at = _SPEC.child("ipFamilies")
        for i, family in enumerate(spec.get("ipFamilies") or ()):
            if family in ("IPv4", "IPv6") and family not in self._addresses.families:
                found.append(fields.invalid(at.index(i), family, "not configured on this cluster"))
        if spec.get("ipFamilyPolicy") == "RequireDualStack" and len(self._addresses.families) < 2:
            detail = "this cluster is not configured for dual-stack services"
            found.append(fields.invalid(_SPEC.child("ipFamilyPolicy"), spec["ipFamilyPolicy"], detail))
        for i, address in enumerate(spec.get("clusterIPs") or ()):
            if is_ip(address) and family_of(address) not in self._addresses.families:
                detail = f"{family_of(address)} is not configured on this cluster"
                found.append(fields.invalid(_SPEC.child("clusterIPs").index(i), spec["clusterIPs"], detail))
        return found

    async def _take_addresses(self, ctx: Context, obj: Object, before: Object, taken: list[Release]) -> None:
        spec, owner = obj["spec"], key_of(obj)
        if not needs_cluster_ip(spec) or is_headless(spec):
            return
        had = list(before.get("clusterIPs") or ()) if needs_cluster_ip(before) else []
        wanted = list(spec.get("clusterIPs") or ())
        given: list[str] = []
        for i, family in enumerate(spec["ipFamilies"]):
            if family not in self._addresses.families:
                continue
            asked = wanted[i] if i < len(wanted) else ""
            if asked and (asked in had or not is_ip(asked)):
                given.append(asked)
                continue
            given.append(await self._address(ctx, obj, asked, family, owner, wanted))
            if not ctx.dry_run:
                taken.append(self._releaser(given[-1]))
        if given:
            spec["clusterIPs"], spec["clusterIP"] = given, given[0]

    def _releaser(self, address: str) -> Release:
        return lambda: self._addresses.release(address)

    async def _address(self, ctx: Context, obj: Object, asked: str, family: str, owner: Key, wanted: list[str]) -> str:
        try:
            if asked:
                await self._addresses.take(asked, owner, dry_run=ctx.dry_run)
                return asked
            return await self._addresses.next(family, owner, dry_run=ctx.dry_run)
        except AddressError as err:
            which = f" {asked}" if asked else ""
            detail = f"failed to allocate IP{which}: {err}"
            error = fields.invalid(_SPEC.child("clusterIPs"), wanted or [""], detail)
            raise errors.invalid(SERVICES.group, SERVICES.kind, name_of(obj), [error]) from None

    async def _take_ports(self, ctx: Context, obj: Object, before: Object, taken: list[Release]) -> None:
        spec = obj["spec"]
        had = _ports_of(before)
        given: dict[int, set[str]] = {}
        if needs_node_port(spec):
            for i, port in enumerate(spec.get("ports") or ()):
                at = _SPEC.child("ports").index(i).child("nodePort")
                number, protocol = port.get("nodePort") or 0, port.get("protocol", "")
                shared = number in given and protocol not in given[number]  # one number for TCP and UDP
                if not number or not (number in had or shared):
                    number = port["nodePort"] = await self._port(ctx, obj, number, at, taken)
                given.setdefault(number, set()).add(protocol)
        if needs_health_check(spec):
            number = spec.get("healthCheckNodePort") or 0
            if not number or number not in had:
                at = _SPEC.child("healthCheckNodePort")
                spec["healthCheckNodePort"] = await self._port(ctx, obj, number, at, taken)

    async def _port(self, ctx: Context, obj: Object, number: int, at: Path, taken: list[Release]) -> int:
        owner = str(key_of(obj))
        try:
            if number:
                await self._ports.take(number, owner, dry_run=ctx.dry_run)
            else:
                number = await self._ports.next(owner, dry_run=ctx.dry_run)
        except PortError as err:
            raise errors.invalid(SERVICES.group, SERVICES.kind, name_of(obj), [_port_error(at, number, err)]) from None
        if not ctx.dry_run:
            taken.append(self._port_releaser(number))
        return number

    def _given_back(self, before: Object, now: Object) -> list[Release]:
        """What a service held and holds no more."""
        releases: list[Release] = []
        if needs_cluster_ip(before) and not is_headless(before):
            kept = now.get("clusterIPs") or () if needs_cluster_ip(now) else ()
            for address in before.get("clusterIPs") or ():
                if address not in kept and is_ip(address):
                    releases.append(self._releaser(address))
        kept_ports = _ports_of(now)
        return releases + [self._port_releaser(number) for number in sorted(_ports_of(before) - kept_ports)]

    def _port_releaser(self, number: int) -> Release:
        return lambda: self._ports.release(number)


def _ports_of(spec: Any) -> set[int]:
    found = {p["nodePort"] for p in spec.get("ports") or () if p.get("nodePort")}
    if spec.get("healthCheckNodePort"):
        found.add(spec["healthCheckNodePort"])
    return found


def _port_error(at: Path, number: int, err: PortError) -> FieldError:
    if not number:
        return fields.internal(at, f"failed to allocate a nodePort: {err}")
    return fields.invalid(at, number, str(err))


async def _run(releases: list[Release]) -> None:
    """Nothing that is not given back may fail the write that is done already."""
    for release in releases:
        try:
            await release()
        except StatusError as err:
            log.warning("could not give an address back: %s", err)


async def _nothing(success: bool) -> None:
    return None
