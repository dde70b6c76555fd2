"""Protection: a claim in use by a pod, a volume bound to a claim, attributes in use by either stay until they are free.

Source of the rules: pkg/controller/volume/{pvcprotection,pvprotection,vacprotection}.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.collection import Collection
from controllers.lib.pods import is_finished
from controllers.lib.ranking import node_of
from kubeling.api.errors import StatusError, is_not_found
from kubeling.api.meta import Key, Object, is_controlled_by, is_deleting, key_of, name_of, namespace_of
from kubeling.api.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS, VOLUME_ATTRIBUTES_CLASSES

PVC_FINALIZER, PV_FINALIZER = "kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"
VAC_FINALIZER = "kubernetes.io/vac-protection"
BY_CLAIM, BY_ATTRIBUTES = "claim", "volume-attributes-class"


def claims_of_pod(pod: Object) -> Iterable[Key]:
    """Index values: the claims that a pod mounts, its ephemeral ones included."""
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        if volume.get("persistentVolumeClaim"):
            yield Key(namespace_of(pod), volume["persistentVolumeClaim"]["claimName"])
        elif volume.get("ephemeral"):
            yield Key(namespace_of(pod), f"{name_of(pod)}-{volume['name']}")


class ProtectionReconciler:
    """Adds the finalizer where it is missing, and takes it away when the object may go: when it is not ``is_used``."""

    def __init__(self, collection: Collection, finalizer: str, is_used: Callable[[Object], Awaitable[bool]]) -> None:
        self._collection = collection
        self._finalizer = finalizer
        self._is_used = is_used

    async def reconcile(self, key: Key) -> None:
        obj = self._collection.get(key)
        if obj is None:
            return
        finalizers = obj["metadata"].get("finalizers") or []
        present = self._finalizer in finalizers
        if not is_deleting(obj) and not present:
            await self._write(obj, [*finalizers, self._finalizer])
        elif is_deleting(obj) and present and not await self._is_used(obj):
            await self._write(obj, [f for f in finalizers if f != self._finalizer])

    async def _write(self, obj: Object, finalizers: list[str]) -> None:
        try:
            await self._collection.update({**obj, "metadata": {**obj["metadata"], "finalizers": finalizers}})
        except StatusError as err:
            if not is_not_found(err):
                raise


def uses(pod: Object, claim: Object) -> bool:
    """Whether the claim has to stay for the pod: one with a node, finished or not, as long as it exists.

    An ephemeral volume's claim is its own pod's alone, and only until the kubelet is done with that.
    """
    if not node_of(pod):
        return False
    name, metadata = name_of(claim), pod["metadata"]
    shut_down = is_deleting(pod) and metadata.get("deletionGracePeriodSeconds") == 0
    return any(
        (volume.get("persistentVolumeClaim") or {}).get("claimName") == name
        or (
            bool(volume.get("ephemeral"))
            and not shut_down
            and f"{name_of(pod)}-{volume['name']}" == name
            and is_controlled_by(claim, pod)
        )
        for volume in pod["spec"].get("volumes") or ()
    )


def _build_claims(context: Context) -> Sequence[Runnable]:
    claims = context.collection(PERSISTENT_VOLUME_CLAIMS)
    pods = context.collection(PODS, indexers={BY_CLAIM: claims_of_pod})

    def freed(old: Object | None, new: Object | None) -> Iterable[Key]:
        """Claims of a pod that has gone, has ended, or has no node."""
        pod = new or old
        if pod is not None and (new is None or is_finished(pod) or is_deleting(pod) or not node_of(pod)):
            yield from claims_of_pod(pod)

    async def is_mounted(claim: Object) -> bool:
        """The server has the last word: the copy may not know the newest pod yet."""
        if any(uses(pod, claim) for pod in pods.store.by_index(BY_CLAIM, key_of(claim))):
            return True
        living = await pods.client.list(PODS, namespace_of(claim))
        return any(uses(pod, claim) for pod in living["items"])

    controller = context.controller("pvcprotection", ProtectionReconciler(claims, PVC_FINALIZER, is_mounted))
    controller.watch(claims.informer)
    controller.watch(pods.informer, freed)
    return [controller]


async def _is_bound(volume: Object) -> bool:
    return (volume.get("status") or {}).get("phase") == "Bound"


def attributes_of(obj: Object) -> Iterable[str]:
    """Index values: the VolumeAttributesClasses that a claim or a volume has, had or is to have."""
    status = obj.get("status") or {}
    names = (
        obj["spec"].get("volumeAttributesClassName"),
        status.get("currentVolumeAttributesClassName"),
        (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName"),
    )
    return {name for name in names if name}


def _build_attributes(context: Context) -> Sequence[Runnable]:
    users = [context.collection(r, indexers={BY_ATTRIBUTES: attributes_of}) for r in _USERS]
    classes = context.collection(VOLUME_ATTRIBUTES_CLASSES)

    async def is_named(class_: Object) -> bool:
        return any(user.store.by_index(BY_ATTRIBUTES, name_of(class_)) for user in users)

    def freed(old: Object | None, new: Object | None) -> Iterable[Key]:
        """Classes that a claim or a volume no longer names."""
        before, after = (set(attributes_of(o)) if o is not None else set() for o in (old, new))
        yield from (Key("", name) for name in before - after)

    controller = context.controller("vacprotection", ProtectionReconciler(classes, VAC_FINALIZER, is_named))
    controller.watch(classes.informer)
    for user in users:
        controller.watch(user.informer, freed)
    return [controller]


_USERS = (PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES)


def _build_volumes(context: Context) -> Sequence[Runnable]:
    volumes = context.collection(PERSISTENT_VOLUMES)
    controller = context.controller("pvprotection", ProtectionReconciler(volumes, PV_FINALIZER, _is_bound))
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
VAC_PROTECTION = ControllerSpec("volumeattributesclass-protection-controller", _build_attributes)
