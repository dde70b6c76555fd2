"""Generic ephemeral volumes: a claim for each, owned by its pod."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.collection import Collection
from controllers.lib.podcontrol import is_namespace_terminating
from controllers.volumes.protection import BY_CLAIM, claims_of_pod
from kubeling.api.errors import StatusError
from kubeling.api.meta import Key, Object, is_controlled_by, is_deleting, key_of, name_of, namespace_of, owner_reference
from kubeling.api.resources import PERSISTENT_VOLUME_CLAIMS, PODS
from kubeling.client.controller import Result
from kubeling.client.events import EventRecorder

COMPONENT = "ephemeral_volume"
FOREIGN_RETRY_SECONDS = 15.0  # until another's claim is gone


def claim_for(pod: Object, volume: Object) -> Object:
    """The claim of a pod's ephemeral volume; it goes with the pod."""
    template = volume["ephemeral"]["volumeClaimTemplate"]
    metadata = {k: deepcopy(v) for k, v in (template.get("metadata") or {}).items() if k in ("labels", "annotations")}
    return {
        "metadata": {
            **metadata,
            "name": f"{name_of(pod)}-{volume['name']}",
            "namespace": namespace_of(pod),
            "ownerReferences": [owner_reference({"apiVersion": "v1", "kind": "Pod", **pod})],
        },
        "spec": deepcopy(template["spec"]),
    }


class NotOurs(Exception):
    """The claim of that name was not made for the pod."""

    def __init__(self, claim: Object, pod: Object) -> None:
        super().__init__(f'PVC "{key_of(claim)}" was not created for pod "{key_of(pod)}" (pod is not owner)')


class EphemeralReconciler:
    """Creates what is missing; a claim of that name that is another's is an error."""

    def __init__(self, pods: Collection, claims: Collection, recorder: EventRecorder) -> None:
        self._pods = pods
        self._claims = claims
        self._recorder = recorder

    async def reconcile(self, key: Key) -> Result | None:
        pod = self._pods.get(key)
        if pod is None or is_deleting(pod):
            return None
        for volume in pod["spec"].get("volumes") or ():
            if not volume.get("ephemeral"):
                continue
            try:
                await self._ensure(pod, claim_for(pod, volume))
            except NotOurs as err:
                self._tell(pod, volume, str(err))
                return Result(FOREIGN_RETRY_SECONDS)
            except StatusError as err:
                if is_namespace_terminating(err):
                    return None
                self._tell(pod, volume, f"create PVC {name_of(pod)}-{volume['name']}: {err}")
                raise
        return None

    def _tell(self, pod: Object, volume: Object, text: str) -> None:
        self._recorder.event(pod, "Warning", "FailedBinding", f"ephemeral volume {volume['name']}: {text}")

    async def _ensure(self, pod: Object, wanted: Object) -> None:
        there = self._claims.get(key_of(wanted))
        if there is None:
            await self._claims.create(wanted)
        elif not is_controlled_by(there, pod):
            raise NotOurs(there, pod)


def _with_ephemeral(old: Object | None, new: Object | None) -> Iterable[Key]:
    """New pods alone: a pod's volumes never change."""
    if new is not None and old is None and any(v.get("ephemeral") for v in new["spec"].get("volumes") or ()):
        yield key_of(new)


def build(context: Context) -> Sequence[Runnable]:
    pods = context.collection(PODS, indexers={BY_CLAIM: claims_of_pod})
    claims = context.collection(PERSISTENT_VOLUME_CLAIMS)

    def lost(old: Object | None, new: Object | None) -> Iterable[Key]:
        """The pods of a claim that has gone."""
        if old is not None and new is None:
            yield from (key_of(pod) for pod in pods.store.by_index(BY_CLAIM, key_of(old)))

    controller = context.controller(COMPONENT, EphemeralReconciler(pods, claims, context.recorder(COMPONENT)))
    controller.watch(pods.informer, _with_ephemeral)
    controller.watch(claims.informer, lost)
    return [controller]


CONTROLLER = ControllerSpec(
    "ephemeral-volume-controller", build, alias="ephemeral-volume", syncs="concurrent_ephemeralvolume_syncs"
)
