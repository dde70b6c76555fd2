"""What Kubernetes' Go types know and its published schemas do not say.

The JSON of an object is what Go's encoder makes of a typed struct: whether an absent or empty field is
dropped, kept or filled in depends on the field being a pointer and on ``omitempty``. Source: the field
declarations in k8s.io/api, k8s.io/apimachinery and their kin (``types.go``). Definitions are named by the
tail of their schema name: ``core.v1.Pod``, ``meta.v1.ObjectMeta``.

Two rules cover most fields, the tables hold the rest:

* a required scalar is a plain value without ``omitempty``: always there, zero when absent;
* ``metadata``, ``spec`` and ``status`` are structs by value: always there, ``{}`` when empty.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from importlib import resources

import orjson


def _table(text: str) -> dict[str, frozenset[str]]:
    """Lines ``definition: field field ...``; definitions before a ``/`` share the line: ``core.v1.A/B/C: field``."""
    table: dict[str, frozenset[str]] = {}
    for line in text.strip().splitlines():
        names, _, fields = line.partition(":")
        package, _, kinds = names.strip().rpartition(".")
        for kind in kinds.split("/"):
            table[f"{package}.{kind}"] = table.get(f"{package}.{kind}", frozenset()) | frozenset(fields.split())
    return table


# Optional scalars behind a pointer: their zero value is kept when it was given.
POINTER_SCALARS = _table("""
admissionregistration.v1.MatchResources: matchPolicy
admissionregistration.v1.MutatingAdmissionPolicySpec/ValidatingAdmissionPolicySpec: failurePolicy
admissionregistration.v1.MutatingWebhook: failurePolicy matchPolicy reinvocationPolicy sideEffects timeoutSeconds
admissionregistration.v1.ValidatingWebhook: failurePolicy matchPolicy sideEffects timeoutSeconds
admissionregistration.v1.NamedRuleWithOperations/RuleWithOperations: scope
admissionregistration.v1.ParamRef: parameterNotFoundAction
admissionregistration.v1.ServiceReference: path port
admissionregistration.v1.Validation: reason
admissionregistration.v1.WebhookClientConfig: url
apps.v1.DaemonSetSpec: revisionHistoryLimit
apps.v1.DaemonSetStatus/StatefulSetStatus: collisionCount
apps.v1.DeploymentSpec: progressDeadlineSeconds replicas revisionHistoryLimit
apps.v1.DeploymentStatus: collisionCount terminatingReplicas
apps.v1.ReplicaSetSpec: replicas
apps.v1.ReplicaSetStatus: terminatingReplicas
apps.v1.RollingUpdateStatefulSetStrategy: partition
apps.v1.StatefulSetSpec: replicas revisionHistoryLimit
authentication.v1.TokenRequestSpec: expirationSeconds
autoscaling.v1.HorizontalPodAutoscalerSpec: minReplicas targetCPUUtilizationPercentage
autoscaling.v1.HorizontalPodAutoscalerStatus: currentCPUUtilizationPercentage observedGeneration
autoscaling.v2.HPAScalingRules: selectPolicy stabilizationWindowSeconds
autoscaling.v2.HorizontalPodAutoscalerSpec: minReplicas
autoscaling.v2.HorizontalPodAutoscalerStatus: observedGeneration
autoscaling.v2.MetricTarget/MetricValueStatus: averageUtilization
batch.v1.CronJobSpec: failedJobsHistoryLimit startingDeadlineSeconds successfulJobsHistoryLimit suspend timeZone
batch.v1.JobSpec: activeDeadlineSeconds backoffLimit backoffLimitPerIndex completionMode completions managedBy
batch.v1.JobSpec: manualSelector maxFailedIndexes parallelism podReplacementPolicy suspend ttlSecondsAfterFinished
batch.v1.JobStatus: failedIndexes ready terminating
batch.v1.PodFailurePolicyOnExitCodesRequirement: containerName
batch.v1.SuccessPolicyRule: succeededCount succeededIndexes
certificates.v1.CertificateSigningRequestSpec: expirationSeconds
coordination.v1.LeaseSpec: holderIdentity leaseDurationSeconds leaseTransitions preferredHolder strategy
core.v1.AzureDiskVolumeSource: cachingMode fsType kind readOnly
core.v1.AzureFilePersistentVolumeSource: secretNamespace
core.v1.CSIVolumeSource: fsType readOnly
core.v1.ClientIPConfig: timeoutSeconds
core.v1.ClusterTrustBundleProjection: name optional signerName
core.v1.ConfigMap/Secret: immutable
core.v1.ConfigMapEnvSource/ConfigMapKeySelector/ConfigMapProjection/SecretEnvSource/SecretKeySelector: optional
core.v1.SecretProjection/FileKeySelector: optional
core.v1.ConfigMapVolumeSource/SecretVolumeSource: defaultMode optional
core.v1.Container/EphemeralContainer: restartPolicy
core.v1.ContainerStatus: started stopSignal
core.v1.DownwardAPIVolumeFile/KeyToPath: mode
core.v1.DownwardAPIVolumeSource/ProjectedVolumeSource: defaultMode
core.v1.EndpointAddress: nodeName
core.v1.EndpointPort: appProtocol
core.v1.FCVolumeSource: lun
core.v1.GRPCAction: service
core.v1.HostPathVolumeSource: type
core.v1.ISCSIPersistentVolumeSource/ISCSIVolumeSource: initiatorName
core.v1.Lifecycle: stopSignal
core.v1.LoadBalancerIngress: ipMode
core.v1.LocalVolumeSource: fsType
core.v1.NodeFeatures: supplementalGroupsPolicy
core.v1.NodeRuntimeHandlerFeatures: recursiveReadOnlyMounts userNamespaces
core.v1.NodeSwapStatus: capacity
core.v1.PersistentVolumeClaimSpec: storageClassName volumeAttributesClassName volumeMode
core.v1.PersistentVolumeClaimStatus: currentVolumeAttributesClassName
core.v1.PersistentVolumeSpec: volumeAttributesClassName volumeMode
core.v1.PodCertificateProjection: maxExpirationSeconds
core.v1.PodDNSConfigOption: value
core.v1.PodResourceClaim: resourceClaimName resourceClaimTemplateName
core.v1.PodResourceClaimStatus: resourceClaimName
core.v1.PodSchedulingGroup: podGroupName
core.v1.PodSecurityContext: fsGroup fsGroupChangePolicy runAsGroup runAsNonRoot runAsUser seLinuxChangePolicy
core.v1.PodSecurityContext: supplementalGroupsPolicy
core.v1.PodSpec: activeDeadlineSeconds automountServiceAccountToken enableServiceLinks hostUsers hostnameOverride
core.v1.PodSpec: preemptionPolicy priority runtimeClassName setHostnameAsFQDN shareProcessNamespace
core.v1.PodSpec: terminationGracePeriodSeconds
core.v1.PortStatus: error
core.v1.Probe: terminationGracePeriodSeconds
core.v1.ReplicationControllerSpec: replicas
core.v1.SeccompProfile/AppArmorProfile: localhostProfile
core.v1.SecurityContext: allowPrivilegeEscalation privileged procMount readOnlyRootFilesystem runAsGroup runAsNonRoot
core.v1.SecurityContext: runAsUser
core.v1.ServiceAccount: automountServiceAccountToken
core.v1.ServiceAccountTokenProjection: expirationSeconds
core.v1.ServicePort: appProtocol
core.v1.ServiceSpec: allocateLoadBalancerNodePorts internalTrafficPolicy ipFamilyPolicy loadBalancerClass
core.v1.ServiceSpec: trafficDistribution
core.v1.Toleration: tolerationSeconds
core.v1.TopologySpreadConstraint: minDomains nodeAffinityPolicy nodeTaintsPolicy
core.v1.TypedLocalObjectReference: apiGroup
core.v1.TypedObjectReference: apiGroup namespace
core.v1.VolumeMount: mountPropagation recursiveReadOnly
core.v1.VolumeMountStatus: recursiveReadOnly
core.v1.WindowsSecurityContextOptions: gmsaCredentialSpec gmsaCredentialSpecName hostProcess runAsUserName
discovery.v1.Endpoint: hostname nodeName zone
discovery.v1.EndpointConditions: ready serving terminating
discovery.v1.EndpointPort: appProtocol name port protocol
flowcontrol.v1.ExemptPriorityLevelConfiguration: lendablePercent nominalConcurrencyShares
flowcontrol.v1.LimitedPriorityLevelConfiguration: borrowingLimitPercent lendablePercent nominalConcurrencyShares
networking.v1.HTTPIngressPath: pathType
networking.v1.IngressClassParametersReference: apiGroup namespace scope
networking.v1.IngressPortStatus: error
networking.v1.IngressSpec: ingressClassName
networking.v1.NetworkPolicyPort: endPort protocol
policy.v1.PodDisruptionBudgetSpec: unhealthyPodEvictionPolicy
resource.v1.AllocatedDeviceStatus: shareID
resource.v1.Device: allNodes allowMultipleAllocations bindsToNode nodeName
resource.v1.DeviceAttribute: bool int string version
resource.v1.DeviceClassSpec: extendedResourceName
resource.v1.DeviceConstraint: distinctAttribute matchAttribute
resource.v1.DeviceRequestAllocationResult: adminAccess shareID
resource.v1.DeviceToleration: tolerationSeconds
resource.v1.ExactDeviceRequest: adminAccess
resource.v1.NodeAllocatableResourceMapping: capacityKey
resource.v1.ResourceSliceSpec: allNodes nodeName perDeviceNodeSelection
scheduling.v1.PriorityClass: preemptionPolicy
storage.v1.CSIDriverSpec: attachRequired fsGroupPolicy nodeAllocatableUpdatePeriodSeconds podInfoOnMount
storage.v1.CSIDriverSpec: preventPodSchedulingIfMissing requiresRepublish seLinuxMount serviceAccountTokenInSecrets
storage.v1.CSIDriverSpec: storageCapacity
storage.v1.StorageClass: allowVolumeExpansion reclaimPolicy volumeBindingMode
storage.v1.TokenRequest: expirationSeconds
storage.v1.VolumeAttachmentSource: persistentVolumeName
storage.v1.VolumeError: errorCode
storage.v1.VolumeNodeResources: count
apiextensions.v1.CustomResourceDefinitionVersion: deprecationWarning
apiextensions.v1.CustomResourceSubresourceScale: labelSelectorPath
apiextensions.v1.JSONSchemaProps: maxItems maxLength maxProperties maximum minItems minLength minProperties minimum
apiextensions.v1.JSONSchemaProps: multipleOf x-kubernetes-list-type x-kubernetes-map-type
apiextensions.v1.JSONSchemaProps: x-kubernetes-preserve-unknown-fields
apiextensions.v1.ServiceReference: path port
apiextensions.v1.ValidationRule: optionalOldSelf reason
apiextensions.v1.WebhookClientConfig: url
apiregistration.v1.ServiceReference: port
meta.v1.DeleteOptions: gracePeriodSeconds ignoreStoreReadErrorWithClusterBreakingPotential orphanDependents
meta.v1.DeleteOptions: propagationPolicy
meta.v1.ListMeta: remainingItemCount
meta.v1.ObjectMeta: deletionGracePeriodSeconds
meta.v1.OwnerReference: blockOwnerDeletion controller
meta.v1.Preconditions: resourceVersion uid
""")

# Optional scalars without omitempty: always there.
ALWAYS_SCALARS = _table("""
apps.v1.StatefulSetOrdinals: start
apps.v1.StatefulSetSpec: serviceName
apps.v1.StatefulSetStatus: availableReplicas
core.v1.Event: reportingComponent reportingInstance
flowcontrol.v1.FlowSchemaSpec: matchingPrecedence
flowcontrol.v1.QueuingConfiguration: handSize queueLengthLimit queues
policy.v1.PodDisruptionBudgetStatus: currentHealthy desiredHealthy disruptionsAllowed expectedPods
rbac.v1.RoleRef: apiGroup
scheduling.v1.PriorityClass: value
""")

# Structs (and Quantity, IntOrString, Time) by value beyond metadata, spec and status, where they are optional.
VALUE_STRUCTS = _table("""
apps.v1.DaemonSetSpec/StatefulSetSpec: updateStrategy
apps.v1.DeploymentSpec: strategy
apps.v1.ReplicaSetSpec: template
authentication.v1.SelfSubjectReviewStatus: userInfo
authentication.v1.TokenReviewStatus: user
core.v1.ContainerStatus: lastState state
core.v1.Container/EphemeralContainer: resources
core.v1.Event: source
core.v1.NodeDaemonEndpoints: kubeletEndpoint
core.v1.NodeStatus: daemonEndpoints nodeInfo
core.v1.PersistentVolumeClaimSpec: resources
core.v1.PodTemplate: template
core.v1.ResourceFieldSelector: divisor
core.v1.ServicePort: targetPort
core.v1.ServiceStatus: loadBalancer
discovery.v1.Endpoint: conditions
events.v1.Event: deprecatedSource regarding
flowcontrol.v1.LimitedPriorityLevelConfiguration: limitResponse
networking.v1.IngressServiceBackend: port
networking.v1.IngressStatus: loadBalancer
networking.v1.NetworkPolicySpec: podSelector
resource.v1.AllocationResult: devices
resource.v1.ResourceClaimSpec: devices
apiextensions.v1.CustomResourceDefinitionStatus: acceptedNames
""")

# Times by value without omitzero: null when unset.
VALUE_TIMES = _table("""
apps.v1.DaemonSetCondition/ReplicaSetCondition/StatefulSetCondition: lastTransitionTime
apps.v1.DeploymentCondition: lastTransitionTime lastUpdateTime
authentication.v1.TokenRequestStatus: expirationTimestamp
autoscaling.v2.HorizontalPodAutoscalerCondition: lastTransitionTime
batch.v1.JobCondition: lastProbeTime lastTransitionTime
certificates.v1.CertificateSigningRequestCondition: lastTransitionTime lastUpdateTime
core.v1.ContainerStateRunning: startedAt
core.v1.ContainerStateTerminated: finishedAt startedAt
core.v1.Event: eventTime firstTimestamp lastTimestamp
core.v1.EventSeries: lastObservedTime
core.v1.NamespaceCondition/ReplicationControllerCondition: lastTransitionTime
core.v1.NodeCondition: lastHeartbeatTime lastTransitionTime
core.v1.PersistentVolumeClaimCondition/PodCondition: lastProbeTime lastTransitionTime
events.v1.Event: deprecatedFirstTimestamp deprecatedLastTimestamp eventTime
events.v1.EventSeries: lastObservedTime
flowcontrol.v1.FlowSchemaCondition/PriorityLevelConfigurationCondition: lastTransitionTime
storage.v1.VolumeError: time
apiextensions.v1.CustomResourceDefinitionCondition: lastTransitionTime
apiregistration.v1.APIServiceCondition: lastTransitionTime
meta.v1.Condition: lastTransitionTime
""")

# Required structs that are pointers all the same: absent stays absent.
POINTER_STRUCTS = _table("""
apps.v1.DaemonSetSpec/DeploymentSpec/ReplicaSetSpec/StatefulSetSpec: selector
core.v1.ScaleIOPersistentVolumeSource/ScaleIOVolumeSource: secretRef
networking.v1.IPAddressSpec: parentRef
resource.v1.CapacityRequestPolicyRange: min
resource.v1.OpaqueDeviceConfiguration: parameters
""")

# Lists and pointers without omitempty: null when absent. (Required lists that validation demands are left out.)
NULL_WHEN_ABSENT = _table("""
apiextensions.v1.CustomResourceDefinitionStatus: conditions storedVersions
apps.v1.ControllerRevision: data
authentication.v1.TokenRequestSpec: boundObjectRef
autoscaling.v2.HorizontalPodAutoscalerStatus: currentMetrics
core.v1.LimitRangeSpec: limits
discovery.v1.EndpointSlice: endpoints ports
rbac.v1.ClusterRole/Role: rules
resource.v1.DeviceClaim: requests
storage.v1.CSINodeSpec: drivers
""")

# Lists with omitempty that validation must see when they are given empty (it refuses them, so none is ever written).
KEEP_EMPTY = _table("""
autoscaling.v2.HPAScalingRules: policies
networking.v1.IngressSpec: rules
meta.v1.ObjectMeta: managedFields
""")

# Required lists and pointers that carry omitempty all the same: absent, they are not even null.
OMITEMPTY_THOUGH_REQUIRED = _table("""
admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec: validationActions
networking.v1.IPAddressSpec: parentRef
""")

# Keys of a map list that have a default: upstream's schemas carry it, the published ones do not.
KEY_DEFAULTS = {
    "core.v1.ContainerPort": {"protocol": "TCP"},
    "core.v1.ServicePort": {"protocol": "TCP"},
}

_USUAL_ORDER = "kind apiVersion metadata spec status"


@lru_cache(maxsize=1)
def _orders() -> dict[str, str]:
    text = (resources.files(__package__) / "field_order.json").read_bytes()
    orders: dict[str, str] = orjson.loads(text)
    return orders


def field_order(definition: str, names: Iterable[str]) -> list[str]:
    """Field names in the order in which Go writes them, where it is known; the rest as the schema lists them.

    The order shows in texts that quote an object. Source: recorded answers of kube-apiserver.
    """
    present = dict.fromkeys(names)
    known = [n for n in _orders().get(definition, _USUAL_ORDER).split() if n in present]
    return known + [n for n in present if n not in known]
