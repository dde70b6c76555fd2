"""The plugin: claims that are allocated already bind the pod to where they can be used, others are allocated for its node.

Source: upstream's DynamicResources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from kubeling.api.meta import Object, name_of, uid_of, utcnow
from scheduler.framework.events import ClusterEvent
from scheduler.framework.plugin import Filtering, Plugin, PostFiltered, Scores, TryOut, normalized
from scheduler.framework.status import Diagnosis, PluginError, Rejection, reject
from scheduler.model.extended import asked_of_classes
from scheduler.model.node import NodeInfo
from scheduler.model.pod import PodInfo
from scheduler.model.snapshot import Listers, Snapshot
from scheduler.plugins.dynamicresources.allocator import Allocator, Matches, Unallocatable, Wanted, requests_of
from scheduler.plugins.dynamicresources.capacity import results_of, shared_of
from scheduler.plugins.dynamicresources.claims import (
    allocation_in,
    claims_of,
    existing_claims,
    is_free_for,
    is_unavailable,
)
from scheduler.plugins.dynamicresources.devices import devices_on, latest, tainted
from scheduler.plugins.dynamicresources.extended import Special, earlier_claim, special_claim
from scheduler.plugins.dynamicresources.prebind import Binder, ClaimWriter, Prepared
from scheduler.plugins.dynamicresources.selectors import matches

MOST_ALTERNATIVES = 8
_NOT_HERE = reject("resourceclaim not available on the node", final=True)
_CANNOT = reject("cannot allocate all claims", final=True)
_LEFT_BEHIND = reject("cannot schedule extended resource claim", final=True)
_NOTHING = PostFiltered("no new claims to deallocate")


@dataclass(frozen=True, slots=True)
class _Pending:
    """An allocation that was decided on and that the informer has not shown yet."""

    pod: str
    allocation: Object


@dataclass(frozen=True, slots=True)
class _Needs:
    """What a pod needs of devices: its claims, and the resources that classes offer, each with its class."""

    claims: list[Object]
    resources: Mapping[str, str]

    def special(self, pod: PodInfo, node: NodeInfo) -> Special | None:
        """The claim for what the node itself does not have of the resources."""
        missing = {name: of for name, of in self.resources.items() if not node.allocatable.get(name)}
        return special_claim(pod, missing) if missing else None


_Allocations = list[tuple[Object, Object]]
"""Claims without an allocation, with what each is to get."""


class DynamicResources(Plugin):
    """Devices for pods. ``matches`` evaluates the selectors of classes and requests, ``now`` tells the time."""

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
        self._prepared: dict[str, Prepared] = {}  # uid of a pod that has its node
        self._seconds = float(args.get("bindingTimeoutSeconds") or 600)
        self.matches: Matches = matches
        self.now: Callable[[], datetime] = utcnow
        self.writer: ClaimWriter | None = None

    def pre_enqueue(self, pod: PodInfo, listers: Listers) -> Rejection | None:
        """A pod whose claims are not there yet is not tried at all."""
        found = existing_claims(pod, listers)
        return found if isinstance(found, Rejection) else None

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> Filtering:
        needs = self._needs(pod, snapshot)
        if needs is None or isinstance(needs, Rejection):
            return needs
        try:
            wanted = self._wanted(needs.claims, snapshot)
        except Unallocatable as err:
            return reject(str(err), final=True)
        earlier = needs.resources and self._earlier(pod, snapshot)

        def check(node: NodeInfo) -> Rejection | None:
            if earlier:
                return _LEFT_BEHIND
            if any(is_unavailable(c, node, self.now(), self._seconds) for c in needs.claims):
                return _NOT_HERE
            special = needs.special(pod, node)
            try:
                return None if self._allocate(wanted, special, node, snapshot) is not None else _CANNOT
            except PluginError as err:
                raise PluginError(f'running "{self.name}" filter plugin: {err}') from None

        return check

    def post_filter(self, pod: PodInfo, snapshot: Snapshot, diagnosis: Diagnosis, trial: TryOut) -> PostFiltered:
        """Takes devices from a claim that nobody else uses and that keeps the pod from a node: it may get others."""
        needs = self._needs(pod, snapshot) if diagnosis.prefilter is None else None
        if needs is None or isinstance(needs, Rejection):
            return _NOTHING
        for node in snapshot.nodes:
            rejection = diagnosis.by_node.get(node.name)
            if rejection is None or rejection.reasons != _NOT_HERE.reasons:
                continue
            for claim in needs.claims:
                if is_unavailable(claim, node, self.now(), self._seconds) and is_free_for(claim, pod):
                    after = partial(self.writer.deallocate, claim) if self.writer is not None else None
                    return PostFiltered("deallocation of ResourceClaim completed", after=after)
        earlier = self._earlier(pod, snapshot) if needs.resources else None
        if earlier is not None:
            after = partial(self.writer.delete_claim, earlier) if self.writer is not None else None
            return PostFiltered("deletion of ResourceClaim completed", after=after)
        return PostFiltered("still not schedulable")

    def score(self, pod: PodInfo, snapshot: Snapshot, nodes: Sequence[NodeInfo]) -> Scores:
        """Nodes where better alternatives of requests can be had."""
        needs = self._needs(pod, snapshot)
        if needs is None or isinstance(needs, Rejection):
            return None
        wanted = self._wanted(needs.claims, snapshot)
        if not any(len(alternatives) > 1 for _, requests in wanted for alternatives in requests):
            return None
        return normalized([self._rank(wanted, needs.special(pod, node), node, snapshot) for node in nodes])

    def _rank(
        self, wanted: list[tuple[Object, list[list[Wanted]]]], special: Special | None, node: NodeInfo, snapshot: Snapshot
    ) -> int:  # fmt: skip
        rank = 0
        requests_by_uid = {uid_of(claim): requests for claim, requests in wanted}
        for claim, allocation in self._allocate(wanted, special, node, snapshot) or ():
            used = {r["request"] for r in allocation["devices"]["results"]}
            for alternatives in requests_by_uid.get(uid_of(claim), ()):
                rank += sum(
                    MOST_ALTERNATIVES - i for i, a in enumerate(alternatives) if "/" in a.name and a.name in used
                )
        return rank

    def reserve(self, pod: PodInfo, node: NodeInfo, snapshot: Snapshot) -> Rejection | None:
        needs = self._needs(pod, snapshot)
        if needs is None or isinstance(needs, Rejection):
            return needs
        special = needs.special(pod, node)
        try:
            allocations = self._allocate(self._wanted(needs.claims, snapshot), special, node, snapshot)
        except (Unallocatable, PluginError) as err:
            return reject(str(err), final=True)
        if allocations is None:
            return _CANNOT
        for claim, allocation in allocations:
            self._pending[uid_of(claim)] = _Pending(pod.uid, allocation)
        by_uid = {uid_of(claim): allocation for claim, allocation in allocations}
        self._prepared[pod.uid] = Prepared(needs.claims, by_uid, special, snapshot.listers)
        return None

    def unreserve(self, pod: PodInfo, node: str) -> None:
        self._prepared.pop(pod.uid, None)
        self._pending = {uid: p for uid, p in self._pending.items() if p.pod != pod.uid}

    async def pre_bind(self, pod: PodInfo, node: str) -> Rejection | None:
        prepared = self._prepared.pop(pod.uid, None)
        if prepared is None or self.writer is None:
            return None
        return await Binder(self.writer, self._seconds, self._is_written).bind(pod, node, prepared)

    def _is_written(self, claim: Object, created: Object) -> None:
        """The allocation that was kept for a special claim is now that of the one in the API."""
        pending = self._pending.pop(uid_of(claim), None)
        if pending is not None:
            self._pending[uid_of(created)] = pending

    def _needs(self, pod: PodInfo, snapshot: Snapshot) -> _Needs | Rejection | None:
        """None: nothing. A no: it has to wait."""
        resources = asked_of_classes(pod.requests, snapshot.listers.list("DeviceClass")) if _is_uncommon(pod) else {}
        if not pod.spec.get("resourceClaims") and not resources:
            return None
        claims = claims_of(pod, snapshot, {uid for uid, p in self._pending.items() if p.pod != pod.uid})
        return claims if isinstance(claims, Rejection) else _Needs(claims, resources)

    def _earlier(self, pod: PodInfo, snapshot: Snapshot) -> Object | None:
        return earlier_claim(pod, snapshot.listers.list("ResourceClaim", pod.namespace))

    def _wanted(self, claims: Iterable[Object], snapshot: Snapshot) -> list[tuple[Object, list[list[Wanted]]]]:
        """The claims without an allocation, with their requests. Raises Unallocatable."""
        missing = [c for c in claims if allocation_in(c) is None]
        return [(claim, requests_of(claim, _classes(snapshot))) for claim in missing]

    def _allocate(
        self, wanted: list[tuple[Object, list[list[Wanted]]]], special: Special | None, node: NodeInfo, snapshot: Snapshot
    ) -> _Allocations | None:  # fmt: skip
        if special is not None:
            wanted = [*wanted, (special.claim, requests_of(special.claim, _classes(snapshot)))]
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
        found = allocator.allocate(wanted)
        return None if found is None else [(claim, a) for (claim, _), a in zip(wanted, found, strict=True)]

    def _allocations(self, snapshot: Snapshot) -> list[Object]:
        """What claims have, as the informer knows or as was decided just now."""
        allocations = []
        for claim in snapshot.listers.list("ResourceClaim"):
            allocation = allocation_in(claim)
            if allocation is not None:
                self._pending.pop(uid_of(claim), None)
                allocations.append(allocation)
        return allocations + [p.allocation for p in self._pending.values()]


def _classes(snapshot: Snapshot) -> dict[str, Object]:
    return {name_of(c): c for c in snapshot.listers.list("DeviceClass")}


def _is_uncommon(pod: PodInfo) -> bool:
    """Whether the pod asks for more than what every node has; most do not, and need no look at classes."""
    return any("/" in name for name in pod.requests)
