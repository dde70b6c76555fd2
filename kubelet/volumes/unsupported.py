"""Volume sources that this kubelet does not do: told at once, in the words in which upstream's kubelet fails on such a node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubelet.volumes.base import UnprocessedVolume, VolumeError

# in-tree sources that upstream hands to these CSI drivers
_MIGRATED = {
    "awsElasticBlockStore": "ebs.csi.aws.com",
    "azureDisk": "disk.csi.azure.com",
    "azureFile": "file.csi.azure.com",
    "cinder": "cinder.csi.openstack.org",
    "gcePersistentDisk": "pd.csi.storage.gke.io",
    "portworxVolume": "pxd.portworx.com",
    "vsphereVolume": "csi.vsphere.vmware.com",
}
_TOOLS = {"iscsi": "iscsiadm", "fc": "multipath"}


def refusal(kind: str, source: Mapping[str, Any], volume: str, *, persistent: bool = False) -> VolumeError:
    """The failure of a volume, or of a persistent volume's source, of a kind that is not in a table of sources."""
    driver = source.get("driver", "") if kind == "csi" else _MIGRATED.get(kind)
    if driver is not None and persistent:
        return VolumeError(
            "kubernetes.io/csi: attacher.MountDevice failed to create newCsiDriverClient: "
            f"driver name {driver} not found in the list of registered CSI drivers",
            step="MountVolume.MountDevice",
            volume=volume,
        )
    if driver is not None:
        return VolumeError(
            "kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: "
            f"driver name {driver} not found in the list of registered CSI drivers"
        )
    if kind == "gitRepo":
        return VolumeError(
            "git-repo volume plugin has been disabled; clone into an emptyDir in an init container instead"
        )
    if kind in _TOOLS:
        return VolumeError(f'this kubelet does not attach {kind} volumes: executable "{_TOOLS[kind]}" is not used here')
    if kind == "flexVolume":
        return VolumeError(f'this kubelet runs no FlexVolume drivers: "{source.get("driver", "")}" is not installed')
    return UnprocessedVolume(f'failed to get Plugin from volumeSpec for volume "{volume}" err=no volume plugin matched')
