"""Differences of volume sources and claim specs as upstream's errors show them: diffs of the internal Go types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.kinds.validation.pod.diff import json_diff
from apiserver.kinds.validation.pod.internal import STRUCTS, Structs, as_internal, struct_fields

_VOLUME: Structs = {
    name: struct_fields(text)
    for name, text in {
        "PersistentVolumeSource": """GCEPersistentDisk:gcePersistentDisk:*GCEDisk
            AWSElasticBlockStore:awsElasticBlockStore:*AWSDisk HostPath::*HostPath Glusterfs::*Glusterfs NFS:nfs:*NFS
            RBD:rbd:*RBD Quobyte::*Quobyte ISCSI:iscsi:*ISCSI FlexVolume::*FlexVolume Cinder::*Cinder
            CephFS:cephfs:*CephFS FC:fc:*FC Flocker::*Flocker AzureFile::*AzureFile VsphereVolume::*Vsphere
            AzureDisk::*AzureDisk PhotonPersistentDisk::*Photon PortworxVolume::*Portworx ScaleIO:scaleIO:*ScaleIO
            Local::*Local StorageOS:storageos:*StorageOS CSI:csi:*CSIVolume""",
        "SecretReference": "Name::string Namespace::string",
        "Glusterfs": "EndpointsName:endpoints:string Path::string ReadOnly::bool EndpointsNamespace::*string",
        "RBD": """CephMonitors:monitors:[]string RBDImage:image:string FSType:fsType:string RBDPool:pool:string
            RadosUser:user:string Keyring::string SecretRef::*SecretReference ReadOnly::bool""",
        "Quobyte": "Registry::string Volume::string ReadOnly::bool User::string Group::string Tenant::string",
        "ISCSI": """TargetPortal::string IQN:iqn:string Lun::int ISCSIInterface:iscsiInterface:string
            FSType:fsType:string ReadOnly::bool Portals::[]string DiscoveryCHAPAuth:chapAuthDiscovery:bool
            SessionCHAPAuth:chapAuthSession:bool SecretRef::*SecretReference InitiatorName::*string""",
        "FlexVolume": """Driver::string FSType:fsType:string SecretRef::*SecretReference ReadOnly::bool
            Options::map""",
        "Cinder": "VolumeID:volumeID:string FSType:fsType:string ReadOnly::bool SecretRef::*SecretReference",
        "CephFS": """Monitors::[]string Path::string User::string SecretFile::string SecretRef::*SecretReference
            ReadOnly::bool""",
        "FC": """TargetWWNs:targetWWNs:[]string Lun::*int FSType:fsType:string ReadOnly::bool
            WWIDs:wwids:[]string""",
        "Flocker": "DatasetName::string DatasetUUID:datasetUUID:string",
        "AzureFile": "SecretName::string ShareName::string ReadOnly::bool SecretNamespace::*string",
        "Vsphere": """VolumePath::string FSType:fsType:string StoragePolicyName::string
            StoragePolicyID:storagePolicyID:string""",
        "AzureDisk": """DiskName::string DataDiskURI:diskURI:string CachingMode::*string FSType:fsType:*string
            ReadOnly::*bool Kind::*string""",
        "Photon": "PdID:pdID:string FSType:fsType:string",
        "Portworx": "VolumeID:volumeID:string FSType:fsType:string ReadOnly::bool",
        "ScaleIO": """Gateway::string System::string SecretRef::*SecretReference SSLEnabled:sslEnabled:bool
            ProtectionDomain::string StoragePool::string StorageMode::string VolumeName::string
            FSType:fsType:string ReadOnly::bool""",
        "Local": "Path::string FSType:fsType:*string",
        "StorageOS": """VolumeName::string VolumeNamespace::string FSType:fsType:string ReadOnly::bool
            SecretRef::*any""",
        "CSIVolume": """Driver::string VolumeHandle::string ReadOnly::bool FSType:fsType:string VolumeAttributes::map
            ControllerPublishSecretRef::*SecretReference NodeStageSecretRef::*SecretReference
            NodePublishSecretRef::*SecretReference ControllerExpandSecretRef::*SecretReference
            NodeExpandSecretRef::*SecretReference""",
        "ClaimSpec": """AccessModes::[]string Selector::any Resources::ClaimResources VolumeName::string
            StorageClassName::*string VolumeMode::*string DataSource::*DataSource DataSourceRef::*DataSourceRef
            VolumeAttributesClassName::*string""",
        "ClaimResources": "Limits::map Requests::map",
        "DataSource": "APIGroup:apiGroup:*string Kind::string Name::string",
        "DataSourceRef": "APIGroup:apiGroup:*string Kind::string Name::string Namespace::*string",
    }.items()
}
_STRUCTS: Structs = {**STRUCTS, **_VOLUME}


def _diff(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    return json_diff(as_internal(kind, old, _STRUCTS), as_internal(kind, new, _STRUCTS))


def source_diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """What changed between the sources of two persistent volumes."""
    return _diff("PersistentVolumeSource", old, new)


def claim_diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """What changed between the specs of two claims."""
    return _diff("ClaimSpec", old, new)
