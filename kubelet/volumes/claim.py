"""Persistent volume claims: from a claim to the volume that it is bound to.

The checks and their words are those of upstream's populator (pkg/kubelet/volumemanager/populator) and operation generator.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from kubelet.containers.build import VolumePath
from kubelet.pods import spec as podspec
from kubelet.volumes.base import Context, ObjectUnavailable, UnprocessedVolume, VolumeError
from kubelet.volumes.metrics import mounting
from kubelet.volumes.persistent import PERSISTENT, Bound
from kubelet.volumes.unsupported import refusal
from kubeling.api.meta import Object, annotations_of, is_controlled_by, is_deleting, name_of, uid_of
from kubeling.api.placement import matches_node_selector
from kubeling.api.resource import Resource
from kubeling.api.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES

_GROUP_ANNOTATION = "pv.beta.kubernetes.io/gid"
_NOT_SOURCES = frozenset(
    {
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "nodeAffinity",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeAttributesClassName",
        "volumeMode",
    }
)


class ClaimSource:
    """``persistentVolumeClaim``."""

    async def set_up(self, context: Context, source: Mapping[str, Any]) -> VolumePath:
        claim = await _claim(context, source["claimName"])
        return await _mount(context, claim, bool(source.get("readOnly")))


class EphemeralSource:
    """``ephemeral``: a claim made for the pod by its controller."""

    async def set_up(self, context: Context, source: Mapping[str, Any]) -> VolumePath:
        pod = podspec.ref_of(context.pod)
        name = f"{pod.name}-{context.volume['name']}"
        claim = await _claim(context, name)
        if not is_controlled_by(claim, context.pod):
            raise UnprocessedVolume(
                f"PVC {pod.namespace}/{name} was not created for pod {pod.namespace}/{pod.name} (pod is not owner)"
            )
        return await _mount(context, claim, False)


def _unprocessed(context: Context, claim: str, why: str) -> UnprocessedVolume:
    return UnprocessedVolume(f"error processing PVC {context.namespace}/{claim}: {why}")


async def _get(context: Context, resource: Resource, namespace: str, name: str) -> Object | str:
    """The object, or why there is none."""
    try:
        found = await context.objects.get(resource, namespace, name, context.uid)
    except ObjectUnavailable as err:
        return str(err)
    return found if found is not None else f'{resource} "{name}" not found'


async def _claim(context: Context, name: str) -> Object:
    """The claim, which is bound. Raises UnprocessedVolume."""
    claim = await _get(context, PERSISTENT_VOLUME_CLAIMS, context.namespace, name)
    if isinstance(claim, str):
        raise _unprocessed(context, name, f"failed to fetch PVC from API server: {claim}")
    if is_deleting(claim):
        raise _unprocessed(context, name, "PVC is being deleted")
    if (claim.get("status") or {}).get("phase") != "Bound":
        raise _unprocessed(context, name, "PVC is not bound")
    if not (claim.get("spec") or {}).get("volumeName"):
        raise _unprocessed(context, name, "PVC has empty pvc.Spec.VolumeName")
    return claim


async def _volume(context: Context, claim: Object) -> Object:
    """The volume, which is bound to the claim. Raises UnprocessedVolume."""
    name = claim["spec"]["volumeName"]
    volume = await _get(context, PERSISTENT_VOLUMES, "", name)
    if isinstance(volume, str):
        raise _unprocessed(context, name_of(claim), f"failed to fetch PV {name} from API server: {volume}")
    reference = (volume.get("spec") or {}).get("claimRef")
    if reference is None:
        why = f"found PV object {name} but it has a nil pv.Spec.ClaimRef indicating it is not yet bound to the claim"
        raise _unprocessed(context, name_of(claim), why)
    if reference.get("uid") != uid_of(claim):
        why = (
            f"found PV object {name} but its pv.Spec.ClaimRef.UID {reference.get('uid', '')} "
            f"does not point to claim.UID {uid_of(claim)}"
        )
        raise _unprocessed(context, name_of(claim), why)
    return volume


async def _mount(context: Context, claim: Object, read_only: bool) -> VolumePath:
    """Raises VolumeError."""
    volume = await _volume(context, claim)
    spec, name = volume.get("spec") or {}, name_of(volume)
    block = _is_block(context, spec)
    kind, source = next(((k, v) for k, v in spec.items() if k not in _NOT_SOURCES), ("", {}))
    plugin = PERSISTENT.get(kind)
    if plugin is None:
        raise refusal(kind, source, name, persistent=True)
    _check(context, spec, name, plugin.takes_options)
    bound = Bound(name, source, read_only, block, tuple(spec.get("mountOptions") or ()))
    try:
        with mounting(plugin.plugin):
            path = await plugin.mount(context, bound)
    except VolumeError as err:
        err.volume = name
        raise
    group = annotations_of(volume).get(_GROUP_ANNOTATION, "")
    return dataclasses.replace(path, plugin=plugin.plugin, group=int(group) if group.isdecimal() else None)


def _is_block(context: Context, spec: Mapping[str, Any]) -> bool:
    """Whether the volume is a block device; it has to be used as what it is. Raises UnprocessedVolume."""
    block = spec.get("volumeMode") == "Block"
    wrong = "volumeMounts" if block else "volumeDevices"
    name = context.volume["name"]
    if any(m["name"] == name for c in podspec.all_containers(context.pod) for m in c.get(wrong) or ()):
        mode = "Block" if block else "Filesystem"
        raise UnprocessedVolume(f"volume {name} has volumeMode {mode}, but is specified in {wrong}")
    return block


def _check(context: Context, spec: Mapping[str, Any], name: str, takes_options: bool) -> None:
    """What is asked of a volume before it is mounted, in upstream's order. Raises VolumeError."""
    required = (spec.get("nodeAffinity") or {}).get("required")
    if required is not None and not matches_node_selector(required, context.node):
        raise VolumeError("no matching NodeSelectorTerms", step="MountVolume.NodeAffinity check", volume=name)
    if spec.get("mountOptions") and not takes_options:
        why = "Mount options are not supported for this volume type"
        raise VolumeError(why, step="MountVolume.MountOptionSupport check", volume=name)
    if list(spec.get("accessModes") or ()) == ["ReadWriteOncePod"] and name in context.others:
        why = "volume uses the ReadWriteOncePod access mode and is already in use by another pod"
        raise VolumeError(why, volume=name)
