"""The built-in resources of Kubernetes 1.36: every served version of every GA kind, in discovery order by group.

Source: the API reference and discovery documents of kube-apiserver.
"""

from __future__ import annotations

from kubeling.api.resource import SCALE, STATUS, Resource, Subresource

_CREATE = ("create",)
_CONNECT = ("create", "get")
_PROXY = Subresource("proxy", ("create", "delete", "get", "patch", "update"))

# core
BINDINGS = Resource("", "v1", "Binding", "bindings", verbs=_CREATE)
COMPONENT_STATUSES = Resource("", "v1", "ComponentStatus", "componentstatuses", False, ("cs",), verbs=("get", "list"))
CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", True, ("cm",))
ENDPOINTS = Resource("", "v1", "Endpoints", "endpoints", True, ("ep",))
EVENTS = Resource("", "v1", "Event", "events", True, ("ev",))
LIMIT_RANGES = Resource("", "v1", "LimitRange", "limitranges", True, ("limits",))
NAMESPACES = Resource(
    "",
    "v1",
    "Namespace",
    "namespaces",
    False,
    ("ns",),
    subresources=(Subresource("finalize", ("update",)), STATUS),
    verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
)
NODES = Resource(
    "",
    "v1",
    "Node",
    "nodes",
    False,
    ("no",),
    subresources=(Subresource("proxy", _PROXY.verbs, kind="NodeProxyOptions"), STATUS),
)
PERSISTENT_VOLUME_CLAIMS = Resource(
    "", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", True, ("pvc",), subresources=(STATUS,)
)
PERSISTENT_VOLUMES = Resource("", "v1", "PersistentVolume", "persistentvolumes", False, ("pv",), subresources=(STATUS,))
PODS = Resource(
    "",
    "v1",
    "Pod",
    "pods",
    True,
    ("po",),
    ("all",),
    (
        Subresource("attach", _CONNECT, kind="PodAttachOptions"),
        Subresource("binding", _CREATE, kind="Binding"),
        Subresource("ephemeralcontainers"),
        Subresource("eviction", _CREATE, kind="Eviction", group="policy", version="v1", older=("v1beta1",)),
        Subresource("exec", _CONNECT, kind="PodExecOptions"),
        Subresource("log", ("get",)),
        Subresource("portforward", _CONNECT, kind="PodPortForwardOptions"),
        Subresource("proxy", _PROXY.verbs, kind="PodProxyOptions"),
        Subresource("resize"),
        STATUS,
    ),
)
POD_TEMPLATES = Resource("", "v1", "PodTemplate", "podtemplates")
REPLICATION_CONTROLLERS = Resource(
    "", "v1", "ReplicationController", "replicationcontrollers", True, ("rc",), ("all",), (SCALE, STATUS)
)
RESOURCE_QUOTAS = Resource("", "v1", "ResourceQuota", "resourcequotas", True, ("quota",), subresources=(STATUS,))
SECRETS = Resource("", "v1", "Secret", "secrets")
SERVICE_ACCOUNTS = Resource(
    "",
    "v1",
    "ServiceAccount",
    "serviceaccounts",
    True,
    ("sa",),
    subresources=(Subresource("token", _CREATE, kind="TokenRequest", group="authentication.k8s.io", version="v1"),),
)
SERVICES = Resource(
    "",
    "v1",
    "Service",
    "services",
    True,
    ("svc",),
    ("all",),
    (Subresource("proxy", _PROXY.verbs, kind="ServiceProxyOptions"), STATUS),
)

# apps
CONTROLLER_REVISIONS = Resource("apps", "v1", "ControllerRevision", "controllerrevisions")
DAEMON_SETS = Resource("apps", "v1", "DaemonSet", "daemonsets", True, ("ds",), ("all",), (STATUS,))
DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments", True, ("deploy",), ("all",), (SCALE, STATUS))
REPLICA_SETS = Resource("apps", "v1", "ReplicaSet", "replicasets", True, ("rs",), ("all",), (SCALE, STATUS))
STATEFUL_SETS = Resource("apps", "v1", "StatefulSet", "statefulsets", True, ("sts",), ("all",), (SCALE, STATUS))

# batch, autoscaling, policy
CRON_JOBS = Resource("batch", "v1", "CronJob", "cronjobs", True, ("cj",), ("all",), (STATUS,))
JOBS = Resource("batch", "v1", "Job", "jobs", True, (), ("all",), (STATUS,))
HORIZONTAL_POD_AUTOSCALERS = Resource(
    "autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", True, ("hpa",), ("all",), (STATUS,)
)
HORIZONTAL_POD_AUTOSCALERS_V1 = Resource(
    "autoscaling", "v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers", True, ("hpa",), ("all",), (STATUS,)
)
POD_DISRUPTION_BUDGETS = Resource(
    "policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", True, ("pdb",), subresources=(STATUS,)
)

# networking, discovery
INGRESS_CLASSES = Resource("networking.k8s.io", "v1", "IngressClass", "ingressclasses", False)
INGRESSES = Resource("networking.k8s.io", "v1", "Ingress", "ingresses", True, ("ing",), subresources=(STATUS,))
IP_ADDRESSES = Resource("networking.k8s.io", "v1", "IPAddress", "ipaddresses", False, ("ip",))
NETWORK_POLICIES = Resource("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", True, ("netpol",))
SERVICE_CIDRS = Resource("networking.k8s.io", "v1", "ServiceCIDR", "servicecidrs", False, subresources=(STATUS,))
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")

# rbac, authentication, authorization, certificates
CLUSTER_ROLE_BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", False)
CLUSTER_ROLES = Resource("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", False)
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings")
ROLES = Resource("rbac.authorization.k8s.io", "v1", "Role", "roles")
SELF_SUBJECT_REVIEWS = Resource(
    "authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews", False, verbs=_CREATE
)
TOKEN_REVIEWS = Resource("authentication.k8s.io", "v1", "TokenReview", "tokenreviews", False, verbs=_CREATE)
LOCAL_SUBJECT_ACCESS_REVIEWS = Resource(
    "authorization.k8s.io", "v1", "LocalSubjectAccessReview", "localsubjectaccessreviews", verbs=_CREATE
)
SELF_SUBJECT_ACCESS_REVIEWS = Resource(
    "authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", False, verbs=_CREATE
)
SELF_SUBJECT_RULES_REVIEWS = Resource(
    "authorization.k8s.io", "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", False, verbs=_CREATE
)
SUBJECT_ACCESS_REVIEWS = Resource(
    "authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", False, verbs=_CREATE
)
CERTIFICATE_SIGNING_REQUESTS = Resource(
    "certificates.k8s.io",
    "v1",
    "CertificateSigningRequest",
    "certificatesigningrequests",
    False,
    ("csr",),
    subresources=(Subresource("approval"), STATUS),
)

# storage, scheduling, coordination, events, node
CSI_DRIVERS = Resource("storage.k8s.io", "v1", "CSIDriver", "csidrivers", False)
CSI_NODES = Resource("storage.k8s.io", "v1", "CSINode", "csinodes", False)
CSI_STORAGE_CAPACITIES = Resource("storage.k8s.io", "v1", "CSIStorageCapacity", "csistoragecapacities")
STORAGE_CLASSES = Resource("storage.k8s.io", "v1", "StorageClass", "storageclasses", False, ("sc",))
VOLUME_ATTACHMENTS = Resource(
    "storage.k8s.io", "v1", "VolumeAttachment", "volumeattachments", False, subresources=(STATUS,)
)
VOLUME_ATTRIBUTES_CLASSES = Resource(
    "storage.k8s.io", "v1", "VolumeAttributesClass", "volumeattributesclasses", False, ("vac",)
)
PRIORITY_CLASSES = Resource("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", False, ("pc",))
LEASES = Resource("coordination.k8s.io", "v1", "Lease", "leases")
EVENTS_V1 = Resource("events.k8s.io", "v1", "Event", "events", True, ("ev",))
RUNTIME_CLASSES = Resource("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", False)

# admissionregistration, apiextensions, apiregistration, flowcontrol, resource
MUTATING_ADMISSION_POLICIES = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "MutatingAdmissionPolicy",
    "mutatingadmissionpolicies",
    False,
    categories=("api-extensions",),
)
MUTATING_ADMISSION_POLICY_BINDINGS = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "MutatingAdmissionPolicyBinding",
    "mutatingadmissionpolicybindings",
    False,
    categories=("api-extensions",),
)
MUTATING_WEBHOOK_CONFIGURATIONS = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "MutatingWebhookConfiguration",
    "mutatingwebhookconfigurations",
    False,
    categories=("api-extensions",),
)
VALIDATING_ADMISSION_POLICIES = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingAdmissionPolicy",
    "validatingadmissionpolicies",
    False,
    categories=("api-extensions",),
    subresources=(STATUS,),
)
VALIDATING_ADMISSION_POLICY_BINDINGS = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingAdmissionPolicyBinding",
    "validatingadmissionpolicybindings",
    False,
    categories=("api-extensions",),
)
VALIDATING_WEBHOOK_CONFIGURATIONS = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations",
    False,
    categories=("api-extensions",),
)
CUSTOM_RESOURCE_DEFINITIONS = Resource(
    "apiextensions.k8s.io",
    "v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
    False,
    ("crd", "crds"),
    ("api-extensions",),
    (STATUS,),
)
API_SERVICES = Resource(
    "apiregistration.k8s.io", "v1", "APIService", "apiservices", False, (), ("api-extensions",), (STATUS,)
)
FLOW_SCHEMAS = Resource(
    "flowcontrol.apiserver.k8s.io", "v1", "FlowSchema", "flowschemas", False, subresources=(STATUS,)
)
PRIORITY_LEVEL_CONFIGURATIONS = Resource(
    "flowcontrol.apiserver.k8s.io",
    "v1",
    "PriorityLevelConfiguration",
    "prioritylevelconfigurations",
    False,
    subresources=(STATUS,),
)
DEVICE_CLASSES = Resource("resource.k8s.io", "v1", "DeviceClass", "deviceclasses", False)
RESOURCE_CLAIMS = Resource("resource.k8s.io", "v1", "ResourceClaim", "resourceclaims", subresources=(STATUS,))
RESOURCE_CLAIM_TEMPLATES = Resource("resource.k8s.io", "v1", "ResourceClaimTemplate", "resourceclaimtemplates")
RESOURCE_SLICES = Resource("resource.k8s.io", "v1", "ResourceSlice", "resourceslices", False)

# served on demand alone
DEVICE_TAINT_RULES = Resource(
    "resource.k8s.io", "v1beta2", "DeviceTaintRule", "devicetaintrules", False, subresources=(STATUS,)
)
STORAGE_VERSION_MIGRATIONS = Resource(
    "storagemigration.k8s.io",
    "v1beta1",
    "StorageVersionMigration",
    "storageversionmigrations",
    False,
    subresources=(STATUS,),
)
