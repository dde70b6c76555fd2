"""All that the scheduler writes: bindings, pod conditions, evictions, claims; and the events that go with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from kubeling.api.errors import StatusError, is_not_found
from kubeling.api.meta import Object, condition_of, name_of, namespace_of, rfc3339, uid_of
from kubeling.api.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS, RESOURCE_CLAIMS
from kubeling.client.clock import Clock, SystemClock
from kubeling.client.rest import Client, PatchKind
from kubeling.client.series import SeriesRecorder
from scheduler.framework.plugin import Preemption
from scheduler.model.pod import PodInfo
from scheduler.plugins.dynamicresources.extended import Special, to_create
from scheduler.plugins.volumebinding import BOUND_BY_CONTROLLER, SELECTED_NODE, claim_reference

NOTE_LIMIT = 1024
CLAIM_FINALIZER = "resource.kubernetes.io/delete-protection"


class Writer:
    """Raises StatusError and ClientError, except for objects that are gone already where that is as good."""

    def __init__(self, client: Client, recorder: SeriesRecorder, *, clock: Clock | None = None) -> None:
        self._client = client
        self._recorder = recorder
        self._clock = clock or SystemClock()
        self._claim_change: asyncio.Event = asyncio.Event()

    async def bind(self, pod: PodInfo, node: str) -> None:
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": pod.key.name, "namespace": pod.namespace, "uid": uid_of(pod.obj)},
            "target": {"kind": "Node", "name": node},
        }
        await self._client.create(PODS, binding, pod.namespace, name=pod.key.name, subresource="binding")

    def tell_scheduled(self, pod: PodInfo, node: str) -> None:
        text = f"Successfully assigned {pod.namespace}/{pod.key.name} to {node}"
        self._recorder.event(pod.obj, "Normal", "Scheduled", text, action="Binding")

    def tell_failed(self, pod: PodInfo, message: str) -> None:
        """Upstream cuts long messages at 1024 bytes."""
        if len(message.encode()) > NOTE_LIMIT:
            message = message.encode()[: NOTE_LIMIT - 4].decode(errors="ignore") + " ..."
        self._recorder.event(pod.obj, "Warning", "FailedScheduling", message, action="Scheduling")

    async def set_unscheduled(self, pod: PodInfo, reason: str, message: str, nominated: str) -> None:
        """The PodScheduled condition and nominatedNodeName; writes nothing when both are right already."""
        status: Object = {}
        found = condition_of(pod.obj, "PodScheduled")
        if found is None or (found.get("status"), found.get("reason"), found.get("message")) != (
            "False",
            reason,
            message,
        ):
            condition = self._condition(pod, "PodScheduled", "False", reason, message)
            if found is not None and found.get("status") == "False" and found.get("lastTransitionTime"):
                condition["lastTransitionTime"] = found["lastTransitionTime"]
            status["conditions"] = [condition]
        if nominated != pod.nominated_node:
            status["nominatedNodeName"] = nominated or None
        if status:
            await self._patch_status(pod, status)

    def _condition(self, pod: PodInfo, type_: str, status: str, reason: str, message: str) -> Object:
        now = rfc3339(self._clock.now())
        condition: Object = {
            "type": type_,
            "status": status,
            "reason": reason,
            "message": message,
            "lastTransitionTime": now,
        }
        generation = (pod.obj.get("metadata") or {}).get("generation")
        return {**condition, "observedGeneration": generation} if generation else condition

    async def _patch_status(self, pod: PodInfo, status: Object) -> None:
        patch = {"metadata": {"uid": uid_of(pod.obj)}, "status": status}
        try:
            await self._client.patch(
                PODS, pod.key.name, patch, pod.namespace, kind=PatchKind.STRATEGIC, subresource="status"
            )
        except StatusError as err:
            if not is_not_found(err):
                raise

    async def evict(self, preemptor: PodInfo, preemption: Preemption) -> None:
        """Takes the victims away, all at once."""
        async with asyncio.TaskGroup() as group:
            for victim in preemption.victims:
                group.create_task(self._evict(preemptor, victim, preemption.node))

    async def _evict(self, preemptor: PodInfo, victim: PodInfo, node: str) -> None:
        if victim.deleting:
            return
        who = preemptor.spec.get("schedulerName", "default-scheduler")
        message = f"{who}: preempting to accommodate a higher priority pod"
        condition = self._condition(victim, "DisruptionTarget", "True", "PreemptionByScheduler", message)
        await self._patch_status(victim, {"conditions": [condition]})
        try:
            await self._client.delete(PODS, victim.key.name, victim.namespace, uid=uid_of(victim.obj))
        except StatusError as err:
            if not is_not_found(err) and err.code != 409:  # another pod of that name is none of ours
                raise
        text = f"Preempted by pod {preemptor.uid} on node {node}"
        self._recorder.event(victim.obj, "Normal", "Preempted", text, action="Preempting", related=preemptor.obj)

    async def clear_nomination(self, pod: PodInfo) -> None:
        """Another, more important pod gets the place."""
        await self._patch_status(pod, {"nominatedNodeName": None})

    # what VolumeBinding writes

    async def select_node(self, claim: Object, node: str) -> None:
        """Tells the provisioner where the volume must be."""
        patch = {"metadata": {"annotations": {SELECTED_NODE: node}}}
        await self._client.patch(PERSISTENT_VOLUME_CLAIMS, name_of(claim), patch, namespace_of(claim))

    async def claim_volume(self, volume: Object, claim: Object) -> None:
        """Reserves the volume; the volume controller does the rest. One that a user has reserved for the claim stays his."""
        ours = not (volume.get("spec") or {}).get("claimRef")
        patch: dict[str, Any] = {
            "metadata": {
                **({"annotations": {BOUND_BY_CONTROLLER: "yes"}} if ours else {}),
                "resourceVersion": volume["metadata"]["resourceVersion"],
            },
            "spec": {"claimRef": claim_reference(claim)},
        }
        await self._client.patch(PERSISTENT_VOLUMES, name_of(volume), patch)

    async def claims_changed(self) -> None:
        await self._claim_change.wait()

    # what DynamicResources writes

    async def take_claim(self, claim: Object, pod: PodInfo, allocation: Object | None) -> None:
        """Reserves the claim for the pod, with the allocation where it has none. A conflict means that somebody was faster."""
        current = claim
        finalizers = claim["metadata"].get("finalizers") or []
        if allocation is not None and CLAIM_FINALIZER not in finalizers:
            metadata = {**claim["metadata"], "finalizers": [*finalizers, CLAIM_FINALIZER]}
            current = await self._client.update(RESOURCE_CLAIMS, {**claim, "metadata": metadata})
        status = dict(current.get("status") or {})
        reserved = status.get("reservedFor") or []
        if allocation is None and any(r.get("uid") == uid_of(pod.obj) for r in reserved):
            return
        if allocation is not None:
            status["allocation"] = {**allocation, "allocationTimestamp": rfc3339(self._clock.now())}
        status["reservedFor"] = [*reserved, {"resource": "pods", "name": pod.key.name, "uid": uid_of(pod.obj)}]
        await self._client.update(RESOURCE_CLAIMS, {**current, "status": status}, subresource="status")

    async def release_claim(self, claim: Object, pod: PodInfo) -> None:
        """Takes the pod's reservation away, whatever else changes in the claim meanwhile."""
        released = {"$patch": "delete", "uid": uid_of(pod.obj)}
        patch = {"metadata": {"uid": uid_of(claim)}, "status": {"reservedFor": [released]}}
        await self._client.patch(
            RESOURCE_CLAIMS, name_of(claim), patch, namespace_of(claim), kind=PatchKind.STRATEGIC, subresource="status"
        )

    async def deallocate(self, claim: Object) -> None:
        """Takes the claim's devices and reservations away, unless it has changed."""
        status = {k: v for k, v in claim["status"].items() if k not in ("allocation", "devices", "reservedFor")}
        await self._client.update(RESOURCE_CLAIMS, {**claim, "status": status}, subresource="status")

    async def create_claim(self, claim: Object) -> Object:
        """The special claim for a pod's extended resources, under a name of the server's."""
        return await self._client.create(RESOURCE_CLAIMS, to_create(claim))

    async def delete_claim(self, claim: Object) -> None:
        """Deletes a special claim; nobody else has a say in it."""
        finalizers = claim["metadata"].get("finalizers") or []
        if CLAIM_FINALIZER in finalizers:
            metadata = {**claim["metadata"], "finalizers": [f for f in finalizers if f != CLAIM_FINALIZER]}
            await self._client.update(RESOURCE_CLAIMS, {**claim, "metadata": metadata})
        try:
            await self._client.delete(RESOURCE_CLAIMS, name_of(claim), namespace_of(claim), uid=uid_of(claim))
        except StatusError as err:
            if not is_not_found(err):
                raise

    async def note_special_claim(self, pod: PodInfo, claim: Object, special: Special) -> None:
        told = {"resourceClaimName": name_of(claim), "requestMappings": list(special.mappings)}
        await self._patch_status(pod, {"extendedResourceClaimStatus": told})

    def tell_waiting(self, pod: PodInfo, node: str) -> None:
        text = f"waiting for binding conditions for device on node {node}"
        self._recorder.event(pod.obj, "Normal", "BindingConditionsPending", text, action="Scheduling")

    def claim_handler(self) -> Callable[[Object | None, Object | None], None]:
        """To be called with every change of a claim."""

        def changed(old: Object | None, new: Object | None) -> None:
            self._claim_change.set()
            self._claim_change = asyncio.Event()

        return changed
