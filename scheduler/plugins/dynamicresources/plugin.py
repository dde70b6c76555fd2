"""The plugin: claims that are allocated already bind the pod to where they can be used, others are allocated for its node.

Source: upstream's DynamicResources.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from kubeling.api.meta import Object, is_deleting, name_of, namespace_of, uid_of
from scheduler.framework.events import ClusterEvent
from scheduler.framework.plugin import Filtering, Plugin, PostFiltered, TryOut
from scheduler.framework.status import Diagnosis, PluginError, Rejection, reject
from scheduler.model.node import NodeInfo
from scheduler.model.pod import PodInfo
from scheduler.model.snapshot import Snapshot
from scheduler.plugins.dynamicresources.allocator import Allocator, Matches, Unallocatable, Wanted, requests_of
from scheduler.plugins.dynamicresources.binding import readiness_of, waits_for_binding
from scheduler.plugins.dynamicresources.capacity import results_of, shared_of
from scheduler.plugins.dynamicresources.devices import devices_on, latest, selects, tainted
from scheduler.plugins.dynamicresources.selectors import matches

MOST_CONSUMERS = 256
_NOT_HERE = reject("resourceclaim not available on the node", final=True)
_CANNOT = reject("cannot allocate all claims")


class ClaimWriter(Protocol):
    """Writes what was decided about a claim. Raises StatusError, ClientError."""

    async def take_claim(self, claim: Object, pod: PodInfo, allocation: Object | None) -> None:
        """Reserves the claim for the pod; ``allocation`` is written when it has none yet."""

    async def give_claim_back(self, claim: Object, pod: PodInfo) -> None:
        """Takes the pod's reservation away, and with the last one the allocation."""

    async def claims_changed(self) -> None:
        """Returns when some claim has changed."""


@dataclass(frozen=True, slots=True)
class _Pending:
    """An allocation that was decided on and that the informer has not shown yet."""

    pod: str
    allocation: Object


class DynamicResources(Plugin):
    """Devices for pods. ``matches`` evaluates the selectors of classes and requests."""

    name = "DynamicResources"
    helped_by = frozenset(
        {
            ClusterEvent.RESOURCE_CLAIM,
            ClusterEvent.DEVICES,
            ClusterEvent.DEVICE_CLASS,
            ClusterEvent.NODE_ADDED,
            ClusterEvent.NODE_LABELS,
            ClusterEvent.OWN_UPDATE,
        }
    )

    def __init__(self, args: Mapping[str, Any]) -> None:
        super().__init__(args)
        self._pending: dict[str, _Pending] = {}  # uid of a claim
        self._claims: dict[str, list[Object]] = {}  # uid of a pod that has its node
        self._snapshot: Snapshot | None = None
        self._seconds = float(args.get("bindingTimeoutSeconds") or 600)
        self.matches: Matches = matches
        self.writer: ClaimWriter | None = None

    def pre_enqueue(self, pod: PodInfo) -> Rejection | None:
        """A pod whose claims are still to be made is not tried at all: their names in its status bring it in."""
        for entry in pod.spec.get("resourceClaims") or ():
            if not entry.get("resourceClaimName") and entry["name"] not in _made(pod):
                return _not_made(pod)
        return None

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> Filtering:
        if not pod.spec.get("resourceClaims"):
            return None
        claims = self._find(pod, snapshot)
        if isinstance(claims, Rejection):
            return claims
        try:
            wanted = self._wanted(claims, snapshot)
        except Unallocatable as err:
            return reject(str(err), final=True)
        allocated = [a for c in claims if (a := (c.get("status") or {}).get("allocation")) is not None]

        def check(node: NodeInfo) -> Rejection | None:
            for allocation in allocated:
                if allocation.get("nodeSelector") and not selects(allocation["nodeSelector"], node):
                    return _NOT_HERE
            try:
                return None if self._allocate(wanted, node, snapshot) is not None else _CANNOT
            except PluginError as err:
                raise PluginError(f'running "{self.name}" filter plugin: {err}') from None

        return check

    def post_filter(self, pod: PodInfo, snapshot: Snapshot, diagnosis: Diagnosis, trial: TryOut) -> PostFiltered:
        """Upstream says this of every pod that fits nowhere, with claims or without."""
        return PostFiltered("no new claims to deallocate")

    def reserve(self, pod: PodInfo, node: NodeInfo, snapshot: Snapshot) -> Rejection | None:
        if not pod.spec.get("resourceClaims"):
            return None
        claims = self._find(pod, snapshot)
        if isinstance(claims, Rejection):
            return claims
        try:
            wanted = self._wanted(claims, snapshot)
            allocations = self._allocate(wanted, node, snapshot)
        except (Unallocatable, PluginError) as err:
            return reject(str(err), final=True)
        if allocations is None:
            return _CANNOT
        for (claim, _), allocation in zip(wanted, allocations, strict=True):
            self._pending[uid_of(claim)] = _Pending(pod.uid, allocation)
        self._claims[pod.uid] = claims
        self._snapshot = snapshot
        return None

    def unreserve(self, pod: PodInfo, node: str) -> None:
        self._claims.pop(pod.uid, None)
        self._pending = {uid: p for uid, p in self._pending.items() if p.pod != pod.uid}

    async def pre_bind(self, pod: PodInfo, node: str) -> Rejection | None:
        claims, waits = self._claims.get(pod.uid, []), False
        for claim in claims:
            pending = self._pending.get(uid_of(claim))
            allocation = pending.allocation if pending else None
            if self.writer is not None:
                await self.writer.take_claim(claim, pod, allocation)
            waits = waits or waits_for_binding(allocation or (claim.get("status") or {}).get("allocation") or {})
        self._claims.pop(pod.uid, None)
        return await self._wait_for_devices(pod, claims) if waits else None

    async def _wait_for_devices(self, pod: PodInfo, claims: list[Object]) -> Rejection | None:
        """Until the drivers have made the devices ready; where they cannot, others may be found."""
        if self.writer is None or self._snapshot is None:
            return None
        listers, failure = self._snapshot.listers, "device binding timeout"
        try:
            async with asyncio.timeout(self._seconds):
                while True:
                    known = (listers.get("ResourceClaim", name_of(c), namespace_of(c)) for c in claims)
                    current = [c for c in known if c is not None]
                    found = readiness_of(current)
                    allocated = all((c.get("status") or {}).get("allocation") for c in current)
                    if found.failure:
                        failure = found.failure
                        break
                    if found.ready and allocated:
                        return None
                    await self.writer.claims_changed()
        except TimeoutError:
            pass  # said below
        for claim in claims:
            await self.writer.give_claim_back(claim, pod)
        return reject(failure)

    def _find(self, pod: PodInfo, snapshot: Snapshot) -> list[Object] | Rejection:
        """The pod's claims, or why it has to wait."""
        made = _made(pod)
        found: list[Object] = []
        for entry in pod.spec["resourceClaims"]:
            name = entry.get("resourceClaimName") or made.get(entry["name"])
            if not name and entry["name"] in made:
                continue  # the template's controller found that none is needed
            if not name:
                return _not_made(pod)
            claim = snapshot.listers.get("ResourceClaim", name, pod.namespace)
            if claim is None:
                return reject(f'resourceclaim.resource.k8s.io "{name}" not found', final=True)
            if is_deleting(claim):
                return reject(f'resourceclaim "{name}" is being deleted', final=True)
            problem = self._unusable(claim, pod)
            if problem is not None:
                return problem
            found.append(claim)
        return found

    def _unusable(self, claim: Object, pod: PodInfo) -> Rejection | None:
        status = claim.get("status") or {}
        if status.get("allocation") is None:
            pending = self._pending.get(uid_of(claim))
            if pending is not None and pending.pod != pod.uid:
                return reject(f"resourceclaim {name_of(claim)} is in the process of being allocated")
            return None
        reserved = [r.get("uid") for r in status.get("reservedFor") or ()]
        if pod.uid not in reserved and len(reserved) >= MOST_CONSUMERS:
            return reject("resourceclaim in use")
        return None

    def _wanted(self, claims: Iterable[Object], snapshot: Snapshot) -> list[tuple[Object, list[list[Wanted]]]]:
        """The claims without an allocation, with their requests. Raises Unallocatable."""
        classes = {name_of(c): c for c in snapshot.listers.list("DeviceClass")}
        missing = [c for c in claims if (c.get("status") or {}).get("allocation") is None]
        return [(claim, requests_of(claim, classes)) for claim in missing]

    def _allocate(
        self, wanted: list[tuple[Object, list[list[Wanted]]]], node: NodeInfo, snapshot: Snapshot
    ) -> list[Object] | None:
        if not wanted:
            return []
        slices = tainted(latest(snapshot.listers.list("ResourceSlice")), snapshot.listers.list("DeviceTaintRule"))
        allocations = self._allocations(snapshot)
        used = {
            (r["driver"], r["pool"], r["device"])
            for r in results_of(allocations)
            if not r.get("shareID")  # others may use it, too
        }
        allocator = Allocator(devices_on(node, slices), used, self.matches, shared_of(slices, allocations), node.name)
        return allocator.allocate(wanted)

    def _allocations(self, snapshot: Snapshot) -> list[Object]:
        """What claims have, as the informer knows or as was decided just now."""
        allocations = []
        for claim in snapshot.listers.list("ResourceClaim"):
            allocation = (claim.get("status") or {}).get("allocation")
            if allocation is not None:
                self._pending.pop(uid_of(claim), None)
                allocations.append(allocation)
        return allocations + [p.allocation for p in self._pending.values()]


def _made(pod: PodInfo) -> dict[str, str | None]:
    """The claims that were made from the pod's templates, by the name of its entry."""
    statuses = (pod.obj.get("status") or {}).get("resourceClaimStatuses") or ()
    return {s["name"]: s.get("resourceClaimName") for s in statuses}


def _not_made(pod: PodInfo) -> Rejection:
    return reject(f'pod "{pod.namespace}/{pod.key.name}": ResourceClaim not created yet', final=True)
