"""Protection: a claim in use by a pod, and a volume bound to a claim, stay until they are free."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.collection import Collection
from controllers.lib.pods import is_finished
from kubeling.api.errors import StatusError, is_not_found
from kubeling.api.meta import Key, Object, is_deleting, name_of, namespace_of
from kubeling.api.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS

PVC_FINALIZER, PV_FINALIZER = "kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"
BY_CLAIM = "claim"


def claims_of_pod(pod: Object) -> Iterable[Key]:
    """Index values: the claims that a pod mounts, its ephemeral ones included."""
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        if volume.get("persistentVolumeClaim"):
            yield Key(namespace_of(pod), volume["persistentVolumeClaim"]["claimName"])
        elif volume.get("ephemeral"):
            yield Key(namespace_of(pod), f"{name_of(pod)}-{volume['name']}")


class ProtectionReconciler:
    """Adds the finalizer where it is missing, and takes it away when the object may go."""

    def __init__(self, collection: Collection, finalizer: str, pods: Collection | None) -> None:
        self._collection = collection
        self._finalizer = finalizer
        self._pods = pods

    async def reconcile(self, key: Key) -> None:
        obj = self._collection.get(key)
        if obj is None:
            return
        finalizers = obj["metadata"].get("finalizers") or []
        present = self._finalizer in finalizers
        if not is_deleting(obj) and not present:
            await self._write(obj, [*finalizers, self._finalizer])
        elif is_deleting(obj) and present and not self._is_used(key, obj):
            await self._write(obj, [f for f in finalizers if f != self._finalizer])

    def _is_used(self, key: Key, obj: Object) -> bool:
        if self._pods is None:
            return (obj.get("status") or {}).get("phase") == "Bound"
        pods = self._pods.store.by_index(BY_CLAIM, key)
        return any(not is_finished(pod) and (pod["spec"].get("nodeName") or not is_deleting(pod)) for pod in pods)

    async def _write(self, obj: Object, finalizers: list[str]) -> None:
        try:
            await self._collection.update({**obj, "metadata": {**obj["metadata"], "finalizers": finalizers}})
        except StatusError as err:
            if not is_not_found(err):
                raise


def _build_claims(context: Context) -> Sequence[Runnable]:
    claims = context.collection(PERSISTENT_VOLUME_CLAIMS)
    pods = context.collection(PODS, indexers={BY_CLAIM: claims_of_pod})

    def mounted(old: Object | None, new: Object | None) -> Iterable[Key]:
        """Claims of a pod that has ended or gone."""
        if old is not None and (new is None or is_finished(new)):
            yield from claims_of_pod(old)

    controller = context.controller("pvcprotection", ProtectionReconciler(claims, PVC_FINALIZER, pods))
    controller.watch(claims.informer)
    controller.watch(pods.informer, mounted)
    return [controller]


def _build_volumes(context: Context) -> Sequence[Runnable]:
    volumes = context.collection(PERSISTENT_VOLUMES)
    controller = context.controller("pvprotection", ProtectionReconciler(volumes, PV_FINALIZER, None))
    controller.watch(volumes.informer)
    return [controller]


PVC_PROTECTION = ControllerSpec(
    "persistentvolumeclaim-protection-controller",
    _build_claims,
    alias="pvc-protection",
    account="pvc-protection-controller",
)
PV_PROTECTION = ControllerSpec(
    "persistentvolume-protection-controller", _build_volumes, alias="pv-protection", account="pv-protection-controller"
)
