"""Generic ephemeral volumes: a claim for each, owned by its pod."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.collection import Collection
from controllers.lib.podcontrol import is_namespace_terminating
from controllers.lib.pods import is_active
from controllers.volumes.protection import BY_CLAIM, claims_of_pod
from kubeling.api.errors import StatusError, is_already_exists
from kubeling.api.meta import Key, Object, is_controlled_by, key_of, name_of, namespace_of, owner_reference
from kubeling.api.resources import PERSISTENT_VOLUME_CLAIMS, PODS
from kubeling.client.events import EventRecorder

COMPONENT = "ephemeral_volume"


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


class EphemeralReconciler:
    """Creates what is missing; a claim of that name that is another's is an error."""

    def __init__(self, pods: Collection, claims: Collection, recorder: EventRecorder) -> None:
        self._pods = pods
        self._claims = claims
        self._recorder = recorder

    async def reconcile(self, key: Key) -> None:
        pod = self._pods.get(key)
        if pod is None or not is_active(pod):
            return
        for volume in pod["spec"].get("volumes") or ():
            if volume.get("ephemeral"):
                await self._ensure(pod, claim_for(pod, volume))

    async def _ensure(self, pod: Object, wanted: Object) -> None:
        there = self._claims.get(key_of(wanted))
        if there is None:
            try:
                await self._claims.create(wanted)
                return
            except StatusError as err:
                if is_namespace_terminating(err):
                    return
                text = f"ephemeral volume {name_of(wanted)}: {err}"
                if not is_already_exists(err):
                    self._recorder.event(pod, "Warning", "EphemeralVolumeCreateFailed", text)
                    raise
            there = await self._claims.fetch(key_of(wanted))
        if not is_controlled_by(there, pod):
            raise RuntimeError(f'PVC "{key_of(wanted)}" was not created for pod "{key_of(pod)}" (pod is not owner)')


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
