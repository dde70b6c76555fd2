"""The local provisioner behind the default StorageClass: a folder for each claim, gone with its volume.

Claims are handed to it by the binder's annotation, as to any external provisioner; the kubelet makes the folder.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.collection import Collection
from controllers.volumes import matching
from controllers.volumes.plan import plan_volume, reclaim_policy
from controllers.volumes.protection import PV_FINALIZER
from kubeling.api.errors import StatusError, is_already_exists, is_forbidden
from kubeling.api.meta import Key, Object, annotations_of, is_deleting, object_reference, uid_of
from kubeling.api.quantity import canonical
from kubeling.api.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, STORAGE_CLASSES
from kubeling.client.events import EventRecorder

log = logging.getLogger(__name__)

NAME = "kubeling.io/local"
CLASS = "standard"
FINALIZER = "external-provisioner.volume.kubernetes.io/finalizer"
"""Holds a volume until its folder is gone, in whatever order volume and claim are deleted."""
_MODES = {"ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany", "ReadOnlyMany"}


def standard_class() -> Object:
    """The StorageClass that makes a claim without a class just work."""
    return {
        "metadata": {"name": CLASS, "annotations": {matching.DEFAULT_CLASS: "true"}},
        "provisioner": NAME,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": True,
    }


def volume_for(claim: Object, storage_class: Object, root: Path) -> Object:
    """The volume of a claim, already reserved for it. Raises ValueError for what folders cannot be."""
    if matching.mode_of(claim) != "Filesystem":
        raise ValueError("block volumes are not supported")
    if claim["spec"].get("selector"):
        raise ValueError("claim.Spec.Selector is not supported")
    name = f"pvc-{uid_of(claim)}"
    size = canonical(claim["spec"]["resources"]["requests"]["storage"])
    policy = storage_class.get("reclaimPolicy") or "Delete"
    finalizers = [PV_FINALIZER, *([FINALIZER] if policy == "Delete" else [])]
    volume: Object = {
        "metadata": {"name": name, "annotations": {matching.PROVISIONED_BY: NAME}, "finalizers": finalizers},
        "spec": {
            "capacity": {"storage": size},
            "accessModes": [m for m in claim["spec"].get("accessModes") or () if m in _MODES],
            "persistentVolumeReclaimPolicy": policy,
            "storageClassName": matching.class_of(claim),
            "volumeMode": "Filesystem",
            "claimRef": object_reference({"apiVersion": "v1", "kind": "PersistentVolumeClaim", **claim}),
            "hostPath": {"path": str(root / name), "type": "DirectoryOrCreate"},
        },
    }
    if storage_class.get("mountOptions"):
        volume["spec"]["mountOptions"] = storage_class["mountOptions"]
    return volume


class ProvisionReconciler:
    """Makes a volume for each claim that names us."""

    def __init__(
        self, claims: Collection, volumes: Collection, classes: Collection, recorder: EventRecorder, root: Path
    ) -> None:
        self._claims = claims
        self._volumes = volumes
        self._classes = classes
        self._recorder = recorder
        self._root = root

    async def reconcile(self, key: Key) -> None:
        claim = self._claims.get(key)
        if claim is None or is_deleting(claim) or claim["spec"].get("volumeName"):
            return
        storage_class = self._classes.get(Key("", matching.class_of(claim)))
        if annotations_of(claim).get(matching.PROVISIONER) != NAME or storage_class is None:
            return
        if self._volumes.get(Key("", f"pvc-{uid_of(claim)}")) is not None:
            return
        text = f'External provisioner is provisioning volume for claim "{key}"'
        self._recorder.event(claim, "Normal", "Provisioning", text)
        try:
            volume = volume_for(claim, storage_class, self._root)
        except ValueError as err:
            text = f'failed to provision volume with StorageClass "{matching.class_of(claim)}": {err}'
            self._recorder.event(claim, "Warning", "ProvisioningFailed", text)
            return
        try:
            await self._volumes.create(volume)
        except StatusError as err:
            if not is_already_exists(err):
                raise
        name = volume["metadata"]["name"]
        self._recorder.event(claim, "Normal", "ProvisioningSucceeded", f"Successfully provisioned volume {name}")


class DeleteReconciler:
    """Removes the folder and the volume when its claim is gone and its policy says so."""

    def __init__(self, claims: Collection, volumes: Collection, recorder: EventRecorder, root: Path) -> None:
        self._claims = claims
        self._volumes = volumes
        self._recorder = recorder
        self._root = root

    async def reconcile(self, key: Key) -> None:
        volume = self._volumes.get(key)
        if volume is None or annotations_of(volume).get(matching.PROVISIONED_BY) != NAME:
            return
        finalizers = volume["metadata"].get("finalizers") or []
        deletes = reclaim_policy(volume) == "Delete"
        if not is_deleting(volume) and deletes != (FINALIZER in finalizers):
            volume = await self._hold(volume, deletes)
        if (volume.get("status") or {}).get("phase") not in ("Released", "Failed") or not deletes:
            return
        if is_deleting(volume) and FINALIZER not in finalizers:
            return
        ref = matching.claim_ref(volume)
        claim = self._claims.get(Key(ref.get("namespace", ""), ref.get("name", "")))
        if not plan_volume(volume, claim).released:
            return
        try:
            await asyncio.to_thread(self._remove, Path(volume["spec"]["hostPath"]["path"]))
        except OSError as err:
            self._recorder.event(volume, "Warning", "VolumeFailedDelete", f"{err}")
            raise
        if not is_deleting(volume):
            await self._volumes.delete(volume)
        if (left := self._volumes.get(key)) is not None:
            await self._hold(left, False)

    async def _hold(self, volume: Object, held: bool) -> Object:
        """The volume with the finalizer or without, as its policy, which may change, asks."""
        others = [f for f in volume["metadata"].get("finalizers") or () if f != FINALIZER]
        finalizers = [*others, FINALIZER] if held else others
        return await self._volumes.update({**volume, "metadata": {**volume["metadata"], "finalizers": finalizers}})

    def _remove(self, folder: Path) -> None:
        """Only ever a folder that could be ours."""
        if folder.parent == self._root and folder.name.startswith("pvc-") and folder.is_dir():
            shutil.rmtree(folder)


class DefaultClass:
    """Creates the default StorageClass in a cluster that has no StorageClass at all.

    Who may not create one (RBAC gives controllers no such right by default) leaves that to whoever sets up the cluster.
    """

    def __init__(self, classes: Collection) -> None:
        self._classes = classes

    async def reconcile(self, _: str) -> None:
        if self._classes.store.list():
            return
        try:
            await self._classes.create(standard_class())
        except StatusError as err:
            if is_forbidden(err):
                log.info(
                    "no StorageClass exists, and this process may not create one: claims without a class will wait"
                )
            elif not is_already_exists(err):
                raise


def build(context: Context) -> Sequence[Runnable]:
    if not context.options.enable_hostpath_provisioner:
        return []
    root = Path(context.options.hostpath_provisioner_root)
    claims, volumes = context.collection(PERSISTENT_VOLUME_CLAIMS), context.collection(PERSISTENT_VOLUMES)
    classes, recorder = context.collection(STORAGE_CLASSES), context.recorder(NAME)
    making = context.controller("local-provisioner", ProvisionReconciler(claims, volumes, classes, recorder, root))
    removing = context.controller("local-deleter", DeleteReconciler(claims, volumes, recorder, root))
    furnishing = context.controller("default-storageclass", DefaultClass(classes), workers=1)
    making.watch(claims.informer)
    making.watch(volumes.informer, lambda old, new: ())
    making.watch(classes.informer, lambda old, new: ())
    removing.watch(volumes.informer)
    removing.watch(claims.informer, lambda old, new: ())
    furnishing.watch(classes.informer, lambda old, new: ())
    furnishing.queue.add("once")
    return [making, removing, furnishing]


CONTROLLER = ControllerSpec(
    "local-volume-provisioner-controller", build, alias="local-provisioner", account="persistent-volume-binder"
)
