"""Plugins about volumes that restrict where a pod may run without anything having to be done first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from kubeling.api.meta import Object, labels_of
from scheduler.framework.events import ClusterEvent
from scheduler.framework.plugin import Filtering, Plugin
from scheduler.framework.status import Rejection, reject
from scheduler.model.node import NodeInfo
from scheduler.model.pod import PodInfo
from scheduler.model.snapshot import Snapshot

# volumes that cannot be mounted for writing twice: field -> what makes two of them the same
_EXCLUSIVE: dict[str, tuple[str, ...]] = {
    "gcePersistentDisk": ("pdName",),
    "awsElasticBlockStore": ("volumeID",),
    "iscsi": ("iqn",),
    "rbd": ("pool", "image"),
}
_ZONE_LABELS = (
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
)


def claim_names(pod: PodInfo) -> Iterable[str]:
    """The PersistentVolumeClaims of a pod, generic ephemeral ones included."""
    for volume in pod.spec.get("volumes") or ():
        if volume.get("persistentVolumeClaim"):
            yield volume["persistentVolumeClaim"]["claimName"]
        elif volume.get("ephemeral"):
            yield f"{pod.key.name}-{volume['name']}"


def _bound_volumes(pod: PodInfo, snapshot: Snapshot) -> list[Object]:
    claims = (snapshot.listers.get("PersistentVolumeClaim", name, pod.namespace) for name in claim_names(pod))
    names = [(c.get("spec") or {}).get("volumeName") for c in claims if c is not None]
    found = (snapshot.listers.get("PersistentVolume", name) for name in names if name)
    return [v for v in found if v is not None]


class VolumeRestrictions(Plugin):
    """Disks that only one pod may write, and ReadWriteOncePod claims."""

    name = "VolumeRestrictions"
    helped_by = frozenset({ClusterEvent.POD_DELETED, ClusterEvent.NODE_ADDED, ClusterEvent.CLAIM})
    _DISK = reject("node(s) had no available disk")
    _ONCE = reject(
        "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod"
    )

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> Filtering:
        disks = set(_disks(pod))
        once = {
            name
            for name in claim_names(pod)
            if _is_once(snapshot.listers.get("PersistentVolumeClaim", name, pod.namespace))
        }
        if not disks and not once:
            return None

        def check(node: NodeInfo) -> Rejection | None:
            for other in node.pods.values():
                if once and other.namespace == pod.namespace and not once.isdisjoint(claim_names(other)):
                    return self._ONCE
                if any(_conflict(d, o) for o in _disks(other) for d in disks):
                    return self._DISK
            return None

        return check


def _is_once(claim: Object | None) -> bool:
    return claim is not None and (claim.get("spec") or {}).get("accessModes") == ["ReadWriteOncePod"]


Disk = tuple[str, tuple[str, ...], bool]


def _disks(pod: PodInfo) -> Iterable[Disk]:
    for volume in pod.spec.get("volumes") or ():
        for kind, parts in _EXCLUSIVE.items():
            source: Mapping[str, Any] | None = volume.get(kind)
            if source:
                yield kind, tuple(str(source.get(p) or "") for p in parts), bool(source.get("readOnly"))


def _conflict(one: Disk, other: Disk) -> bool:
    read_only = one[2] and other[2] and one[0] != "awsElasticBlockStore"
    return one[:2] == other[:2] and not read_only


class VolumeZone(Plugin):
    """Volumes with zone labels are used in that zone."""

    name = "VolumeZone"
    helped_by = frozenset({ClusterEvent.NODE_ADDED, ClusterEvent.NODE_LABELS, ClusterEvent.CLAIM, ClusterEvent.VOLUME})
    _NO = reject("node(s) had no available volume zone", final=True)

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> Filtering:
        wanted = [
            (key, frozenset(value.split("__")))
            for volume in _bound_volumes(pod, snapshot)
            for key, value in labels_of(volume).items()
            if key in _ZONE_LABELS
        ]
        if not wanted:
            return None

        def check(node: NodeInfo) -> Rejection | None:
            zoned = any(key in node.labels for key in _ZONE_LABELS)
            if not zoned or all(node.labels.get(key) in values for key, values in wanted):
                return None
            return self._NO

        return check


class NodeVolumeLimits(Plugin):
    """How many volumes of a CSI driver fit a node (CSINode's allocatable count)."""

    name = "NodeVolumeLimits"
    helped_by = frozenset({ClusterEvent.POD_DELETED, ClusterEvent.NODE_ADDED, ClusterEvent.CSI, ClusterEvent.CLAIM})
    _NO = reject("node(s) exceed max volume count")

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> Filtering:
        new = set(_csi_volumes(pod, snapshot))
        if not new:
            return None

        def check(node: NodeInfo) -> Rejection | None:
            limits = _limits(snapshot.listers.get("CSINode", node.name))
            if not limits:
                return None
            there = {v for other in node.pods.values() for v in _csi_volumes(other, snapshot)}
            counts = Counter(driver for driver, _ in there | new)
            grows = {driver for driver, _ in new - there}
            return self._NO if any(counts[d] > limits[d] for d in grows if d in limits) else None

        return check


def _limits(csi_node: Object | None) -> dict[str, int]:
    drivers = ((csi_node or {}).get("spec") or {}).get("drivers") or ()
    return {
        d["name"]: int(d["allocatable"]["count"])
        for d in drivers
        if (d.get("allocatable") or {}).get("count") is not None
    }


def _csi_volumes(pod: PodInfo, snapshot: Snapshot) -> Iterable[tuple[str, str]]:
    """Driver and handle of each CSI volume of the pod."""
    for volume in _bound_volumes(pod, snapshot):
        csi = (volume.get("spec") or {}).get("csi")
        if csi:
            yield csi["driver"], csi["volumeHandle"]
