"""Go names of the string, map and struct types that Kubernetes gives names of their own; type errors print them.

A line is ``definition: field=Type``; for a list the name is that of its elements. ``field==Type`` names the whole list or map.
Source: types.go of k8s.io/api and k8s.io/apimachinery.
"""

from __future__ import annotations

_TEXT = """
meta.v1.ObjectMeta/OwnerReference/Preconditions/StatusDetails: uid=types.UID
meta.v1.ManagedFieldsEntry: operation=v1.ManagedFieldsOperationType
meta.v1.LabelSelectorRequirement: operator=v1.LabelSelectorOperator
meta.v1.Condition: status=v1.ConditionStatus
meta.v1.DeleteOptions: propagationPolicy=v1.DeletionPropagation
meta.v1.StatusCause: reason=v1.CauseType
meta.v1.Status: reason=v1.StatusReason
core.v1.ObjectReference: uid=types.UID
core.v1.Container/EphemeralContainer: imagePullPolicy=v1.PullPolicy restartPolicy=v1.ContainerRestartPolicy
core.v1.Container/EphemeralContainer: terminationMessagePolicy=v1.TerminationMessagePolicy
core.v1.ContainerPort/ServicePort/EndpointPort/PortStatus: protocol=v1.Protocol
core.v1.ContainerRestartRule: action=v1.ContainerRestartRuleAction
core.v1.ContainerRestartRuleOnExitCodes: operator=v1.ContainerRestartRuleOnExitCodesOperator
core.v1.ContainerStatus: allocatedResources==v1.ResourceList stopSignal=v1.Signal
core.v1.Lifecycle: stopSignal=v1.Signal
core.v1.ResourceRequirements/VolumeResourceRequirements: limits==v1.ResourceList requests==v1.ResourceList
core.v1.PodSpec: dnsPolicy=v1.DNSPolicy overhead==v1.ResourceList preemptionPolicy=v1.PreemptionPolicy
core.v1.PodSpec: restartPolicy=v1.RestartPolicy
core.v1.PodOS: name=v1.OSName
core.v1.PodReadinessGate: conditionType=v1.PodConditionType
core.v1.PodSecurityContext: fsGroupChangePolicy=v1.PodFSGroupChangePolicy
core.v1.PodSecurityContext: seLinuxChangePolicy=v1.PodSELinuxChangePolicy
core.v1.PodSecurityContext: supplementalGroupsPolicy=v1.SupplementalGroupsPolicy
core.v1.PodStatus: phase=v1.PodPhase qosClass=v1.PodQOSClass resize=v1.PodResizeStatus
core.v1.PodCondition: type=v1.PodConditionType status=v1.ConditionStatus
core.v1.SecurityContext: procMount=v1.ProcMountType
core.v1.SeccompProfile: type=v1.SeccompProfileType
core.v1.AppArmorProfile: type=v1.AppArmorProfileType
core.v1.Capabilities: add=v1.Capability drop=v1.Capability
core.v1.VolumeMount: mountPropagation=v1.MountPropagationMode recursiveReadOnly=v1.RecursiveReadOnlyMode
core.v1.EmptyDirVolumeSource: medium=v1.StorageMedium
core.v1.HostPathVolumeSource: type=v1.HostPathType
core.v1.AzureDiskVolumeSource: cachingMode=v1.AzureDataDiskCachingMode kind=v1.AzureDataDiskKind
core.v1.ImageVolumeSource: pullPolicy=v1.PullPolicy
core.v1.HTTPGetAction: scheme=v1.URIScheme
core.v1.Toleration: effect=v1.TaintEffect operator=v1.TolerationOperator
core.v1.Taint: effect=v1.TaintEffect
core.v1.TopologySpreadConstraint: nodeAffinityPolicy=v1.NodeInclusionPolicy nodeTaintsPolicy=v1.NodeInclusionPolicy
core.v1.TopologySpreadConstraint: whenUnsatisfiable=v1.UnsatisfiableConstraintAction
core.v1.NodeSelectorRequirement: operator=v1.NodeSelectorOperator
core.v1.ServiceSpec: externalTrafficPolicy=v1.ServiceExternalTrafficPolicy ipFamilies=v1.IPFamily
core.v1.ServiceSpec: internalTrafficPolicy=v1.ServiceInternalTrafficPolicy ipFamilyPolicy=v1.IPFamilyPolicy
core.v1.ServiceSpec: sessionAffinity=v1.ServiceAffinity type=v1.ServiceType
core.v1.LoadBalancerIngress: ipMode=v1.LoadBalancerIPMode
core.v1.Secret: type=v1.SecretType
core.v1.NamespaceSpec: finalizers=v1.FinalizerName
core.v1.NamespaceStatus: phase=v1.NamespacePhase
core.v1.NamespaceCondition: type=v1.NamespaceConditionType status=v1.ConditionStatus
core.v1.NodeStatus: phase=v1.NodePhase allocatable==v1.ResourceList capacity==v1.ResourceList
core.v1.NodeStatus: volumesInUse=v1.UniqueVolumeName
core.v1.NodeAddress: type=v1.NodeAddressType
core.v1.NodeCondition: type=v1.NodeConditionType status=v1.ConditionStatus
core.v1.AttachedVolume: name=v1.UniqueVolumeName
core.v1.LimitRangeItem: type=v1.LimitType max==v1.ResourceList min==v1.ResourceList default==v1.ResourceList
core.v1.LimitRangeItem: defaultRequest==v1.ResourceList maxLimitRequestRatio==v1.ResourceList
core.v1.ResourceQuotaSpec: hard==v1.ResourceList scopes=v1.ResourceQuotaScope
core.v1.ResourceQuotaStatus: hard==v1.ResourceList used==v1.ResourceList
core.v1.ScopedResourceSelectorRequirement: operator=v1.ScopeSelectorOperator scopeName=v1.ResourceQuotaScope
core.v1.PersistentVolumeSpec: accessModes=v1.PersistentVolumeAccessMode capacity==v1.ResourceList
core.v1.PersistentVolumeSpec: persistentVolumeReclaimPolicy=v1.PersistentVolumeReclaimPolicy
core.v1.PersistentVolumeSpec: volumeMode=v1.PersistentVolumeMode
core.v1.PersistentVolumeStatus: phase=v1.PersistentVolumePhase
core.v1.PersistentVolumeClaimSpec: accessModes=v1.PersistentVolumeAccessMode volumeMode=v1.PersistentVolumeMode
core.v1.PersistentVolumeClaimStatus: accessModes=v1.PersistentVolumeAccessMode capacity==v1.ResourceList
core.v1.PersistentVolumeClaimStatus: phase=v1.PersistentVolumeClaimPhase allocatedResources==v1.ResourceList
core.v1.PersistentVolumeClaimCondition: type=v1.PersistentVolumeClaimConditionType status=v1.ConditionStatus
core.v1.ComponentCondition: type=v1.ComponentConditionType status=v1.ConditionStatus
core.v1.ReplicationControllerCondition: type=v1.ReplicationControllerConditionType status=v1.ConditionStatus
apps.v1.DeploymentStrategy: type=v1.DeploymentStrategyType
apps.v1.DeploymentCondition: type=v1.DeploymentConditionType status=v1.ConditionStatus
apps.v1.DaemonSetUpdateStrategy: type=v1.DaemonSetUpdateStrategyType
apps.v1.DaemonSetCondition: type=v1.DaemonSetConditionType status=v1.ConditionStatus
apps.v1.ReplicaSetCondition: type=v1.ReplicaSetConditionType status=v1.ConditionStatus
apps.v1.StatefulSetUpdateStrategy: type=v1.StatefulSetUpdateStrategyType
apps.v1.StatefulSetCondition: type=v1.StatefulSetConditionType status=v1.ConditionStatus
apps.v1.StatefulSetSpec: podManagementPolicy=v1.PodManagementPolicyType
apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy: whenDeleted=v1.PersistentVolumeClaimRetentionPolicyType
apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy: whenScaled=v1.PersistentVolumeClaimRetentionPolicyType
batch.v1.CronJobSpec: concurrencyPolicy=v1.ConcurrencyPolicy
batch.v1.JobSpec: completionMode=v1.CompletionMode podReplacementPolicy=v1.PodReplacementPolicy
batch.v1.JobCondition: type=v1.JobConditionType status=v1.ConditionStatus
batch.v1.PodFailurePolicyRule: action=v1.PodFailurePolicyAction
batch.v1.PodFailurePolicyOnExitCodesRequirement: operator=v1.PodFailurePolicyOnExitCodesOperator
batch.v1.PodFailurePolicyOnPodConditionsPattern: type=v1.PodConditionType status=v1.ConditionStatus
batch.v1.UncountedTerminatedPods: succeeded=types.UID failed=types.UID
autoscaling.v2.MetricSpec/MetricStatus: type=v2.MetricSourceType
autoscaling.v2.MetricTarget: type=v2.MetricTargetType
autoscaling.v2.HPAScalingRules: selectPolicy=v2.ScalingPolicySelect
autoscaling.v2.HPAScalingPolicy: type=v2.HPAScalingPolicyType
autoscaling.v2.HorizontalPodAutoscalerCondition: type=v2.HorizontalPodAutoscalerConditionType status=v1.ConditionStatus
autoscaling.v2.ContainerResourceMetricSource/ResourceMetricSource: name=v1.ResourceName
networking.v1.HTTPIngressPath: pathType=v1.PathType
networking.v1.NetworkPolicyPort: protocol=v1.Protocol
networking.v1.NetworkPolicySpec: policyTypes=v1.PolicyType
policy.v1.PodDisruptionBudgetSpec: unhealthyPodEvictionPolicy=v1.UnhealthyPodEvictionPolicyType
discovery.v1.EndpointSlice: addressType=v1.AddressType
discovery.v1.EndpointPort: protocol=v1.Protocol
scheduling.v1.PriorityClass: preemptionPolicy=v1.PreemptionPolicy
storage.v1.StorageClass: reclaimPolicy=v1.PersistentVolumeReclaimPolicy volumeBindingMode=v1.VolumeBindingMode
storage.v1.CSIDriverSpec: fsGroupPolicy=v1.FSGroupPolicy volumeLifecycleModes=v1.VolumeLifecycleMode
certificates.v1.CertificateSigningRequestSpec: usages=v1.KeyUsage
certificates.v1.CertificateSigningRequestCondition: type=v1.RequestConditionType status=v1.ConditionStatus
coordination.v1.LeaseSpec: strategy=v1.CoordinatedLeaseStrategy
flowcontrol.v1.PriorityLevelConfigurationSpec: type=v1.PriorityLevelEnablement
flowcontrol.v1.LimitResponse: type=v1.LimitResponseType
flowcontrol.v1.Subject: kind=v1.SubjectKind
flowcontrol.v1.FlowDistinguisherMethod: type=v1.FlowDistinguisherMethodType
flowcontrol.v1.FlowSchemaCondition: type=v1.FlowSchemaConditionType status=v1.ConditionStatus
admissionregistration.v1.MutatingWebhook: failurePolicy=v1.FailurePolicyType matchPolicy=v1.MatchPolicyType
admissionregistration.v1.MutatingWebhook: reinvocationPolicy=v1.ReinvocationPolicyType sideEffects=v1.SideEffectClass
admissionregistration.v1.ValidatingWebhook: failurePolicy=v1.FailurePolicyType matchPolicy=v1.MatchPolicyType
admissionregistration.v1.ValidatingWebhook: sideEffects=v1.SideEffectClass
admissionregistration.v1.RuleWithOperations/NamedRuleWithOperations: operations=v1.OperationType scope=v1.ScopeType
admissionregistration.v1.ValidatingAdmissionPolicySpec/MutatingAdmissionPolicySpec: failurePolicy=v1.FailurePolicyType
admissionregistration.v1.MutatingAdmissionPolicySpec: reinvocationPolicy=v1.ReinvocationPolicyType
admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec: validationActions=v1.ValidationAction
admissionregistration.v1.MatchResources: matchPolicy=v1.MatchPolicyType
admissionregistration.v1.ParamRef: parameterNotFoundAction=v1.ParameterNotFoundActionType
admissionregistration.v1.Mutation: patchType=v1.PatchType
admissionregistration.v1.Validation: reason=v1.StatusReason
resource.v1.DeviceSubRequest/ExactDeviceRequest: allocationMode=v1.DeviceAllocationMode
resource.v1.DeviceTaint: effect=v1.DeviceTaintEffect
resource.v1.DeviceToleration: effect=v1.DeviceTaintEffect operator=v1.DeviceTolerationOperator
resource.v1.DeviceConstraint: distinctAttribute=v1.FullyQualifiedName matchAttribute=v1.FullyQualifiedName
apiextensions.v1.CustomResourceDefinitionSpec: scope=v1.ResourceScope
apiextensions.v1.CustomResourceConversion: strategy=v1.ConversionStrategyType
apiextensions.v1.CustomResourceDefinitionCondition: type=v1.CustomResourceDefinitionConditionType
apiextensions.v1.CustomResourceDefinitionCondition: status=v1.ConditionStatus
apiextensions.v1.ValidationRule: reason=v1.FieldValueErrorReason
apiregistration.v1.APIServiceCondition: type=v1.APIServiceConditionType status=v1.ConditionStatus
authentication.v1.UserInfo: extra==map[string]v1.ExtraValue
certificates.v1.CertificateSigningRequestSpec: extra==map[string]v1.ExtraValue
"""


def _entry(text: str) -> tuple[str, str]:
    name, _, go = text.partition("=")
    return name, go


def _read() -> dict[str, dict[str, str]]:
    table: dict[str, dict[str, str]] = {}
    for line in _TEXT.strip().splitlines():
        names, _, entries = line.partition(":")
        package, _, kinds = names.rpartition(".")
        for kind in kinds.split("/"):
            table.setdefault(f"{package}.{kind}", {}).update(_entry(e) for e in entries.split())
    return table


GO_TYPES = _read()
"""Definition to field to Go name; a name that starts with ``=`` is that of the whole list or map."""
