"""Parts of pods and workloads as Go prints upstream's internal types in errors: JSON with Go field names, all of them.

``STRUCTS`` lists each type's fields in order as ``(Go name, JSON name, type)``. A type is a struct of the table, ``[]T``,
``*T`` (null when absent), ``map``, or one of the scalars below with its zero value. ``unset`` is always null.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ZERO: Mapping[str, Any] = {"string": "", "int": 0, "bool": False, "map": None, "any": None, "quantity": "0"}


def struct_fields(text: str) -> tuple[tuple[str, str, str], ...]:
    """``Go:json:type`` words; a word without a JSON name takes the Go name with its first letter lowered."""
    found = []
    for word in text.split():
        go, json_name, kind = word.split(":")
        found.append((go, json_name or go[0].lower() + go[1:], kind))
    return tuple(found)


_CONTAINER = """Name::string Image::string Command::[]string Args::[]string WorkingDir::string Ports::[]ContainerPort
    EnvFrom::[]EnvFromSource Env::[]EnvVar Resources::ResourceRequirements ResizePolicy::[]ContainerResizePolicy
    RestartPolicy::*string RestartPolicyRules::[]ContainerRestartRule VolumeMounts::[]VolumeMount
    VolumeDevices::[]VolumeDevice LivenessProbe::*Probe ReadinessProbe::*Probe StartupProbe::*Probe Lifecycle::*Lifecycle
    TerminationMessagePath::string TerminationMessagePolicy::string ImagePullPolicy::string
    SecurityContext::*SecurityContext Stdin::bool StdinOnce::bool TTY:tty:bool"""

Structs = Mapping[str, tuple[tuple[str, str, str], ...]]

STRUCTS: Structs = {
    name: struct_fields(text)
    for name, text in {
        "PodSpec": """Volumes::[]Volume InitContainers::[]Container Containers::[]Container
            EphemeralContainers::[]EphemeralContainer RestartPolicy::string TerminationGracePeriodSeconds::*int
            ActiveDeadlineSeconds::*int DNSPolicy:dnsPolicy:string NodeSelector::map ServiceAccountName::string
            AutomountServiceAccountToken::*bool NodeName::string SecurityContext::*PodSecurityContext
            ImagePullSecrets::[]LocalObjectReference Hostname::string Subdomain::string
            SetHostnameAsFQDN::*bool Affinity::*Affinity SchedulerName::string Tolerations::[]Toleration
            HostAliases::[]HostAlias PriorityClassName::string Priority::*int PreemptionPolicy::*string
            DNSConfig:dnsConfig:*PodDNSConfig ReadinessGates::[]PodReadinessGate RuntimeClassName::*string
            Overhead::map EnableServiceLinks::*bool TopologySpreadConstraints::[]TopologySpreadConstraint
            OS:os:*PodOS SchedulingGates::[]PodSchedulingGate ResourceClaims::[]PodResourceClaim
            Resources::*ResourceRequirements HostnameOverride::*string SchedulingGroup::*PodSchedulingGroup""",
        "PodSchedulingGroup": "PodGroupName::*string",
        "Container": _CONTAINER,
        "EphemeralContainer": _CONTAINER + " TargetContainerName::string",
        "PodSecurityContext": """HostNetwork::bool HostPID:hostPID:bool HostIPC:hostIPC:bool ShareProcessNamespace::*bool
            HostUsers::*bool SELinuxOptions:seLinuxOptions:*SELinuxOptions WindowsOptions::*WindowsOptions
            RunAsUser::*int RunAsGroup::*int RunAsNonRoot::*bool SupplementalGroups::[]int
            SupplementalGroupsPolicy::*string FSGroup:fsGroup:*int FSGroupChangePolicy:fsGroupChangePolicy:*string
            Sysctls::[]Sysctl SeccompProfile::*SeccompProfile AppArmorProfile::*SeccompProfile
            SELinuxChangePolicy:seLinuxChangePolicy:*string""",
        "SecurityContext": """Capabilities::*Capabilities Privileged::*bool SELinuxOptions:seLinuxOptions:*SELinuxOptions
            WindowsOptions::*WindowsOptions RunAsUser::*int RunAsGroup::*int RunAsNonRoot::*bool
            ReadOnlyRootFilesystem::*bool AllowPrivilegeEscalation::*bool ProcMount::*string
            SeccompProfile::*SeccompProfile AppArmorProfile::*SeccompProfile""",
        "SELinuxOptions": "User::string Role::string Type::string Level::string",
        "WindowsOptions": """GMSACredentialSpecName:gmsaCredentialSpecName:*string
            GMSACredentialSpec:gmsaCredentialSpec:*string RunAsUserName::*string HostProcess::*bool""",
        "SeccompProfile": "Type::string LocalhostProfile::*string",
        "Capabilities": "Add::[]string Drop::[]string",
        "Sysctl": "Name::string Value::string",
        "ContainerPort": "Name::string HostPort::int ContainerPort::int Protocol::string HostIP:hostIP:string",
        "EnvFromSource": "Prefix::string ConfigMapRef::*OptionalRef SecretRef::*OptionalRef",
        "OptionalRef": "Name::string Optional::*bool",
        "EnvVar": "Name::string Value::string ValueFrom::*EnvVarSource",
        "EnvVarSource": """FieldRef::*ObjectFieldSelector ResourceFieldRef::*ResourceFieldSelector
            ConfigMapKeyRef::*KeySelector SecretKeyRef::*KeySelector FileKeyRef::*FileKeySelector""",
        "ObjectFieldSelector": "APIVersion:apiVersion:string FieldPath::string",
        "ResourceFieldSelector": "ContainerName::string Resource::string Divisor::quantity",
        "KeySelector": "Name::string Key::string Optional::*bool",
        "FileKeySelector": "VolumeName::string Path::string Key::string Optional::*bool",
        "ResourceRequirements": "Limits::map Requests::map Claims::[]ResourceClaim",
        "ResourceClaim": "Name::string Request::string",
        "ContainerResizePolicy": "ResourceName::string RestartPolicy::string",
        "ContainerRestartRule": "Action::string ExitCodes::*ExitCodes",
        "ExitCodes": "Operator::string Values::[]int",
        "VolumeMount": """Name::string ReadOnly::bool RecursiveReadOnly::*string MountPath::string SubPath::string
            MountPropagation::*string SubPathExpr::string""",
        "VolumeDevice": "Name::string DevicePath::string",
        "Probe": """Exec::*ExecAction HTTPGet:httpGet:*HTTPGetAction TCPSocket:tcpSocket:*TCPSocketAction
            GRPC:grpc:*GRPCAction InitialDelaySeconds::int TimeoutSeconds::int PeriodSeconds::int SuccessThreshold::int
            FailureThreshold::int TerminationGracePeriodSeconds::*int""",
        "Lifecycle": "PostStart::*Handler PreStop::*Handler StopSignal::*string",
        "Handler": """Exec::*ExecAction HTTPGet:httpGet:*HTTPGetAction TCPSocket:tcpSocket:*TCPSocketAction
            Sleep::*SleepAction""",
        "ExecAction": "Command::[]string",
        "HTTPGetAction": "Path::string Port::any Host::string Scheme::string HTTPHeaders:httpHeaders:[]HTTPHeader",
        "HTTPHeader": "Name::string Value::string",
        "TCPSocketAction": "Port::any Host::string",
        "GRPCAction": "Port::int Service::*string",
        "SleepAction": "Seconds::int",
        "LocalObjectReference": "Name::string",
        "Toleration": "Key::string Operator::string Value::string Effect::string TolerationSeconds::*int",
        "HostAlias": "IP:ip:string Hostnames::[]string",
        "PodDNSConfig": "Nameservers::[]string Searches::[]string Options::[]PodDNSConfigOption",
        "PodDNSConfigOption": "Name::string Value::*string",
        "PodReadinessGate": "ConditionType::string",
        "PodSchedulingGate": "Name::string",
        "PodOS": "Name::string",
        "PodResourceClaim": "Name::string ResourceClaimName::*string ResourceClaimTemplateName::*string",
        "TopologySpreadConstraint": """MaxSkew::int TopologyKey::string WhenUnsatisfiable::string LabelSelector::any
            MinDomains::*int NodeAffinityPolicy::*string NodeTaintsPolicy::*string MatchLabelKeys::[]string""",
        "Affinity": "NodeAffinity::*NodeAffinity PodAffinity::*PodAffinity PodAntiAffinity::*PodAffinity",
        "NodeAffinity": """RequiredDuringSchedulingIgnoredDuringExecution::*NodeSelector
            PreferredDuringSchedulingIgnoredDuringExecution::[]PreferredSchedulingTerm""",
        "NodeSelector": "NodeSelectorTerms::[]NodeSelectorTerm",
        "NodeSelectorTerm": "MatchExpressions::[]NodeRequirement MatchFields::[]NodeRequirement",
        "NodeRequirement": "Key::string Operator::string Values::[]string",
        "PreferredSchedulingTerm": "Weight::int Preference::NodeSelectorTerm",
        "PodAffinity": """RequiredDuringSchedulingIgnoredDuringExecution::[]PodAffinityTerm
            PreferredDuringSchedulingIgnoredDuringExecution::[]WeightedPodAffinityTerm""",
        "PodAffinityTerm": """LabelSelector::any Namespaces::[]string TopologyKey::string NamespaceSelector::any
            MatchLabelKeys::[]string MismatchLabelKeys::[]string""",
        "WeightedPodAffinityTerm": "Weight::int PodAffinityTerm::PodAffinityTerm",
        "PodIP": "IP:ip:string",
        "Volume": """Name::string HostPath::*HostPath EmptyDir::*EmptyDir GCEPersistentDisk:gcePersistentDisk:*GCEDisk
            AWSElasticBlockStore:awsElasticBlockStore:*AWSDisk GitRepo::*GitRepo Secret::*SecretVolume NFS:nfs:*NFS
            ISCSI:iscsi:*any Glusterfs::*any PersistentVolumeClaim::*ClaimVolume RBD:rbd:*any Quobyte::*any
            FlexVolume::*any Cinder::*any CephFS:cephfs:*any Flocker::*any DownwardAPI:downwardAPI:*DownwardVolume
            FC:fc:*any AzureFile::*any ConfigMap::*ConfigMapVolume VsphereVolume::*any AzureDisk::*any
            PhotonPersistentDisk::*any Projected::*Projected PortworxVolume::*any ScaleIO:scaleIO:*any
            StorageOS:storageos:*any CSI:csi:*CSI Ephemeral::*any Image::*ImageVolume""",
        "HostPath": "Path::string Type::*string",
        "EmptyDir": "Medium::string SizeLimit::*quantity",
        "GCEDisk": "PDName:pdName:string FSType:fsType:string Partition::int ReadOnly::bool",
        "AWSDisk": "VolumeID:volumeID:string FSType:fsType:string Partition::int ReadOnly::bool",
        "GitRepo": "Repository::string Revision::string Directory::string",
        "SecretVolume": "SecretName::string Items::[]KeyToPath DefaultMode::*int Optional::*bool",
        "ConfigMapVolume": "Name::string Items::[]KeyToPath DefaultMode::*int Optional::*bool",
        "KeyToPath": "Key::string Path::string Mode::*int",
        "NFS": "Server::string Path::string ReadOnly::bool",
        "ClaimVolume": "ClaimName::string ReadOnly::bool",
        "DownwardVolume": "Items::[]DownwardFile DefaultMode::*int",
        "DownwardFile": """Path::string FieldRef::*ObjectFieldSelector ResourceFieldRef::*ResourceFieldSelector
            Mode::*int""",
        "Projected": "Sources::[]Projection DefaultMode::*int",
        "Projection": """Secret::*KeyProjection DownwardAPI:downwardAPI:*DownwardProjection ConfigMap::*KeyProjection
            ServiceAccountToken::*TokenProjection ClusterTrustBundle::*TrustBundle
            PodCertificate::*PodCertificate""",
        "KeyProjection": "Name::string Items::[]KeyToPath Optional::*bool",
        "DownwardProjection": "Items::[]DownwardFile",
        "TokenProjection": "Audience::string ExpirationSeconds::int Path::string",
        "TrustBundle": "Name::*string SignerName::*string LabelSelector::any Optional::*bool Path::string",
        "PodCertificate": """SignerName::string KeyType::string MaxExpirationSeconds::*int CredentialBundlePath::string
            KeyPath::string CertificateChainPath::string UserAnnotations::map""",
        "CSI": """Driver::string ReadOnly::*bool FSType:fsType:*string VolumeAttributes::map
            NodePublishSecretRef::*LocalObjectReference""",
        "DeploymentStrategy": "Type::string RollingUpdate::*RollingDeployment",
        "RollingDeployment": "MaxUnavailable::any MaxSurge::any",
        "DaemonSetUpdateStrategy": "Type::string RollingUpdate::*RollingDeployment",
        "StatefulSetUpdateStrategy": "Type::string RollingUpdate::*RollingStatefulSet",
        "RollingStatefulSet": "Partition::int MaxUnavailable::any",
        "ImageVolume": "Reference::string PullPolicy::string",
    }.items()
}


def as_internal(kind: str, value: Any, structs: Structs = STRUCTS) -> Any:
    """``value`` (JSON as on the wire) in the form in which Go marshals the internal type ``kind`` of ``structs``."""
    if kind.startswith("*"):
        return None if value is None else as_internal(kind[1:], value, structs)
    if kind.startswith("[]"):
        return None if value is None else [as_internal(kind[2:], item, structs) for item in value]
    if kind == "map":
        return dict(sorted(value.items())) if value else None
    if kind in _ZERO:
        return _ZERO[kind] if value is None else value
    source = value or {}
    return {go: as_internal(type_, source.get(name), structs) for go, name, type_ in structs[kind]}


_META_FIELDS = (
    "name",
    "generateName",
    "namespace",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
)


def internal_template(template: Mapping[str, Any]) -> Any:
    """A pod template: metadata is one of the types that print as on the wire, and it is embedded."""
    meta = template.get("metadata") or {}
    shown = {field: meta[field] for field in _META_FIELDS if meta.get(field)}
    return {**shown, "Spec": internal_pod_spec(template.get("spec") or {})}


_HOST_FIELDS = ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers")


def internal_pod_spec(spec: Mapping[str, Any]) -> Any:
    """A pod's spec: the internal type keeps the host's namespaces in the security context."""
    context = {**(spec.get("securityContext") or {}), **{f: spec[f] for f in _HOST_FIELDS if spec.get(f) is not None}}
    return as_internal("PodSpec", {**spec, "securityContext": context})
