"""What is written of a pod's claims before the pod is bound, and the wait for devices that have to be made ready."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from kubeling.api.meta import Object, name_of, namespace_of, uid_of
from scheduler.framework.status import PluginError, Rejection
from scheduler.model.pod import PodInfo
from scheduler.model.snapshot import Listers
from scheduler.plugins.dynamicresources.binding import readiness_of, waits_for_binding
from scheduler.plugins.dynamicresources.claims import allocation_in
from scheduler.plugins.dynamicresources.extended import Special

_RUNNING = 'running PreBind plugin "DynamicResources"'


class ClaimWriter(Protocol):
    """Writes what was decided about a claim. Raises StatusError, ClientError."""

    async def take_claim(self, claim: Object, pod: PodInfo, allocation: Object | None) -> None:
        """Reserves the claim for the pod; ``allocation`` is written when it has none yet."""

    async def release_claim(self, claim: Object, pod: PodInfo) -> None:
        """Takes the pod's reservation away."""

    async def deallocate(self, claim: Object) -> None:
        """Takes the claim's devices and reservations away."""

    async def create_claim(self, claim: Object) -> Object:
        """Makes the special claim; answers what the server has made of it."""

    async def delete_claim(self, claim: Object) -> None:
        """Deletes a special claim, whatever it holds."""

    async def note_special_claim(self, pod: PodInfo, claim: Object, special: Special) -> None:
        """Tells in the pod's status which claim serves its extended resources."""

    def tell_waiting(self, pod: PodInfo, node: str) -> None:
        """Says that the pod waits for devices to become ready."""

    async def claims_changed(self) -> None:
        """Returns when some claim has changed."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The claims of a pod that has its node, what those without an allocation are to get (by uid), and its special claim."""

    claims: list[Object]
    allocations: Mapping[str, Object]
    special: Special | None
    listers: Listers


class Binder:
    """Carries out what was prepared. ``written`` is told that a special claim is in the API now (as decided, as made)."""

    def __init__(self, writer: ClaimWriter, seconds: float, written: Callable[[Object, Object], None]) -> None:
        self._writer, self._seconds, self._written = writer, seconds, written

    async def bind(self, pod: PodInfo, node: str, prepared: Prepared) -> Rejection | None:
        """Raises PluginError where devices cannot be made ready; another attempt may find others."""
        for claim in prepared.claims:
            await self._writer.take_claim(claim, pod, prepared.allocations.get(uid_of(claim)))
        claims = list(prepared.claims)
        allocations = [prepared.allocations.get(uid_of(c)) or allocation_in(c) or {} for c in claims]
        if prepared.special is not None:
            allocation = prepared.allocations[uid_of(prepared.special.claim)]
            claims.append(await self._take_special(pod, prepared.special, allocation))
            allocations.append(allocation)
        if any(waits_for_binding(a) for a in allocations):
            await self._wait_for_devices(pod, node, claims, prepared.listers)
        return None

    async def _take_special(self, pod: PodInfo, special: Special, allocation: Object) -> Object:
        created = await self._writer.create_claim(special.claim)
        self._written(special.claim, created)
        await self._writer.take_claim(created, pod, allocation)
        await self._writer.note_special_claim(pod, created, special)
        return created

    async def _wait_for_devices(self, pod: PodInfo, node: str, claims: list[Object], listers: Listers) -> None:
        """Until the drivers have made the devices ready."""
        self._writer.tell_waiting(pod, node)
        failure = "device binding timeout"
        try:
            async with asyncio.timeout(self._seconds):
                while True:
                    known = (listers.get("ResourceClaim", name_of(c), namespace_of(c)) for c in claims)
                    current = [c for c in known if c is not None]
                    found = readiness_of(current)
                    if found.failure:
                        failure = found.failure
                        break
                    if found.ready and len(current) == len(claims) and all(allocation_in(c) for c in current):
                        return
                    await self._writer.claims_changed()
        except TimeoutError:
            pass  # said below
        for claim in claims:
            await self._writer.release_claim(claim, pod)
        raise PluginError(f"{_RUNNING}: {failure}")
