"""Creating and deleting an owner's pods, with the events that users see."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from controllers.lib.batches import slow_start, together
from controllers.lib.collection import Collection
from kubeling.api.errors import StatusError
from kubeling.api.meta import Object, condition_of, name_of, uid_of, with_condition
from kubeling.client.events import EventRecorder
from kubeling.client.rest import PatchKind

MAX_AT_ONCE = 500  # upstream's burst


class NamespaceTerminating(Exception):
    """Nothing can be created because the namespace goes away; retrying is pointless."""


def is_namespace_terminating(err: BaseException) -> bool:
    """True when the server refuses because the namespace is being deleted."""
    causes = err.details.get("causes") or () if isinstance(err, StatusError) else ()
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)


class PodControl:
    """Acts on pods for an owner and records what it did on that owner."""

    def __init__(self, pods: Collection, recorder: EventRecorder) -> None:
        self._pods = pods
        self._recorder = recorder

    async def create(self, owner: Object, pod: Object) -> Object:
        """Creates the pod. Raises what the server answers, after an event (none when the namespace goes away)."""
        try:
            created = await self._pods.create(pod)
        except StatusError as err:
            if not is_namespace_terminating(err):
                self._recorder.event(owner, "Warning", "FailedCreate", f"Error creating: {err}")
            raise
        self._recorder.event(owner, "Normal", "SuccessfulCreate", f"Created pod: {name_of(created)}")
        return created

    async def delete(self, owner: Object, pod: Object) -> None:
        """Deletes the pod; one that is gone already is fine."""
        try:
            deleted = await self._pods.delete(pod)
        except StatusError as err:
            self._recorder.event(owner, "Warning", "FailedDelete", f"Error deleting: {err}")
            raise
        if deleted:
            self._recorder.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")

    async def create_all(self, owner: Object, pods: Sequence[Object]) -> Exception | None:
        """Creates the pods in slow-start batches, at most 500; answers the first failure. A dying namespace is none."""
        _, failure = await slow_start(pods[:MAX_AT_ONCE], lambda pod: self.create(owner, pod))
        return None if failure is not None and is_namespace_terminating(failure) else failure

    async def delete_all(self, owner: Object, pods: Sequence[Object]) -> Exception | None:
        """Deletes the pods, at most 500, all at once; answers the first failure."""
        return await together(pods[:MAX_AT_ONCE], lambda pod: self.delete(owner, pod))


async def patch_condition(
    pods: Collection,
    pod: Object,
    type_: str,
    value: str,
    now: datetime,
    reason: str = "",
    message: str = "",
    **status: str,
) -> None:
    """Sets one condition of a pod (and other fields of its status), whatever else changes in it meanwhile."""
    before = condition_of(pod, type_)
    generation = pod["metadata"].get("generation")
    observed = {"observedGeneration": generation} if generation else {}
    known = [dict(before)] if before is not None else []
    conditions = with_condition(known, type_, value, now, reason, message, **observed)
    patch = {"metadata": {"uid": uid_of(pod)}, "status": {**status, "conditions": conditions}}
    await pods.patch(pod, patch, kind=PatchKind.STRATEGIC, subresource="status")
