"""The default ClusterRoles and their bindings, controllers apart.

Source: the default roles page of the RBAC documentation and the bootstrap policy of kube-apiserver 1.36.
"""

from __future__ import annotations

from apiserver.bootstrap.policy.notation import EVENTS, aggregate, binding, cluster_role
from kubeling.api.meta import Object

_TO_ADMIN = "rbac.authorization.k8s.io/aggregate-to-admin"
_TO_EDIT = "rbac.authorization.k8s.io/aggregate-to-edit"
_TO_VIEW = "rbac.authorization.k8s.io/aggregate-to-view"
_SIGNERS = "certificates.k8s.io: signers"

_AGGREGATE_TO_ADMIN = (
    "create authorization.k8s.io: localsubjectaccessreviews",
    "ALL rbac.authorization.k8s.io: roles, rolebindings",
)

_AGGREGATE_TO_EDIT = (
    "READ core: pods/attach, pods/proxy, pods/exec, pods/portforward, secrets, services/proxy",
    "impersonate core: serviceaccounts",
    "WRITE core: pods, pods/attach, pods/proxy, pods/exec, pods/portforward",
    "create core: pods/eviction",
    "WRITE core: replicationcontrollers, replicationcontrollers/scale, serviceaccounts, services, services/proxy, "
    "persistentvolumeclaims, configmaps, secrets, events",
    "create core: serviceaccounts/token",
    "WRITE apps: statefulsets, statefulsets/scale, daemonsets, deployments, deployments/scale, deployments/rollback, "
    "replicasets, replicasets/scale",
    "WRITE autoscaling: horizontalpodautoscalers",
    "WRITE batch: jobs, cronjobs",
    "WRITE extensions: daemonsets, deployments, deployments/scale, deployments/rollback, ingresses, replicasets, "
    "replicasets/scale, replicationcontrollers/scale, networkpolicies",
    "WRITE policy: poddisruptionbudgets",
    "WRITE networking.k8s.io: networkpolicies, ingresses",
    "ALL coordination.k8s.io: leases",
    "WRITE resource.k8s.io: resourceclaims, resourceclaimtemplates",
)

_AGGREGATE_TO_VIEW = (
    "READ core: pods, replicationcontrollers, replicationcontrollers/scale, serviceaccounts, services, services/status, "
    "endpoints, persistentvolumeclaims, persistentvolumeclaims/status, configmaps",
    "READ core: limitranges, resourcequotas, bindings, events, pods/status, resourcequotas/status, namespaces/status, "
    "replicationcontrollers/status, pods/log",
    "READ core: namespaces",
    "READ discovery.k8s.io: endpointslices",
    "READ apps: controllerrevisions, statefulsets, statefulsets/status, statefulsets/scale, daemonsets, daemonsets/status, "
    "deployments, deployments/status, deployments/scale, replicasets, replicasets/status, replicasets/scale",
    "READ autoscaling: horizontalpodautoscalers, horizontalpodautoscalers/status",
    "READ batch: jobs, cronjobs, cronjobs/status, jobs/status",
    "READ extensions: daemonsets, daemonsets/status, deployments, deployments/scale, deployments/status, ingresses, "
    "ingresses/status, replicasets, replicasets/scale, replicasets/status, replicationcontrollers/scale, networkpolicies",
    "READ policy: poddisruptionbudgets, poddisruptionbudgets/status",
    "READ networking.k8s.io: networkpolicies, ingresses, ingresses/status",
    "READ resource.k8s.io: resourceclaims, resourceclaims/status, resourceclaimtemplates",
)

NODE_RULES = (
    "create authentication.k8s.io: tokenreviews",
    "create authorization.k8s.io: subjectaccessreviews, localsubjectaccessreviews",
    "READ core: services",
    "create,READ core: nodes",
    "patch,update core: nodes/status",
    "patch,update core: nodes",
    EVENTS,
    "READ core: pods",
    "create,delete core: pods",
    "patch,update core: pods/status",
    "create core: pods/eviction",
    "READ core: secrets, configmaps",
    "get core: persistentvolumeclaims, persistentvolumes",
    "get core: endpoints",
    "create,READ certificates.k8s.io: certificatesigningrequests",
    "create,delete,get,patch,update coordination.k8s.io: leases",
    "get storage.k8s.io: volumeattachments",
    "create core: serviceaccounts/token",
    "get,patch,update core: persistentvolumeclaims/status",
    "READ storage.k8s.io: csidrivers",
    "create,delete,get,patch,update storage.k8s.io: csinodes",
    "READ node.k8s.io: runtimeclasses",
    "get resource.k8s.io: resourceclaims",
    "deletecollection resource.k8s.io: resourceslices",
    "get core: serviceaccounts",
)
"""What the Node authorizer and the role ``system:node`` grant."""

_KUBE_CONTROLLER_MANAGER = (
    EVENTS,
    "create coordination.k8s.io: leases",
    "get,update coordination.k8s.io: leases [kube-controller-manager]",
    "create core: secrets, serviceaccounts",
    "delete core: secrets",
    "get core: namespaces, secrets, serviceaccounts, configmaps",
    "update core: secrets, serviceaccounts",
    "create authentication.k8s.io: tokenreviews",
    "create authorization.k8s.io: subjectaccessreviews",
    "list,watch *: *",
    "create core: serviceaccounts/token",
)

_KUBE_SCHEDULER = (
    EVENTS,
    "create coordination.k8s.io: leases",
    "READ,update coordination.k8s.io: leases [kube-scheduler]",
    "ALL coordination.k8s.io: leasecandidates",
    "READ core: nodes",
    "delete,READ core: pods",
    "create core: pods/binding, bindings",
    "patch,update core: pods/status",
    "READ core: services, replicationcontrollers",
    "READ apps,extensions: replicasets",
    "READ apps: statefulsets",
    "READ policy: poddisruptionbudgets",
    "READ core: persistentvolumeclaims, persistentvolumes",
    "create authentication.k8s.io: tokenreviews",
    "create authorization.k8s.io: subjectaccessreviews",
    "READ storage.k8s.io: csinodes",
    "READ storage.k8s.io: volumeattachments",
    "READ core: namespaces",
    "READ storage.k8s.io: csidrivers",
    "READ storage.k8s.io: csistoragecapacities",
    "READ resource.k8s.io: deviceclasses",
    "CHANGE resource.k8s.io: resourceclaims",
    "CHANGE resource.k8s.io: resourceclaims/status",
    "update core: pods/finalizers",
    "READ resource.k8s.io: resourceslices",
    "create,delete resource.k8s.io: resourceclaims",
    "patch,update resource.k8s.io: resourceclaims/binding",
)

_ROLES: dict[str, tuple[str, ...]] = {
    "cluster-admin": ("* *: *", "* url: *"),
    "system:discovery": (
        "get url: /livez, /readyz, /healthz, /version, /version/, /openapi, /openapi/*, /api, /api/*, /apis, /apis/*",
    ),
    "system:monitoring": (
        "get url: /metrics, /metrics/slis, /livez, /readyz, /healthz, /livez/*, /readyz/*, /healthz/*, /flagz, /statusz",
        "get core: nodes/metrics",
    ),
    "system:basic-user": (
        "create authorization.k8s.io: selfsubjectaccessreviews, selfsubjectrulesreviews",
        "create authentication.k8s.io: selfsubjectreviews",
    ),
    "system:public-info-viewer": ("get url: /livez, /readyz, /healthz, /version, /version/",),
    "system:heapster": ("READ core: events, pods, nodes, namespaces", "READ extensions: deployments"),
    "system:node": NODE_RULES,
    "system:node-problem-detector": ("get core: nodes", "patch core: nodes/status", EVENTS),
    "system:kubelet-api-admin": (
        "READ core: nodes",
        "proxy core: nodes",
        "* core: nodes/proxy, nodes/metrics, nodes/stats, nodes/log, nodes/configz, nodes/healthz, nodes/pods",
    ),
    "system:node-bootstrapper": ("create,READ certificates.k8s.io: certificatesigningrequests",),
    "system:auth-delegator": (
        "create authentication.k8s.io: tokenreviews",
        "create authorization.k8s.io: subjectaccessreviews",
    ),
    "system:kube-aggregator": ("READ core: services, endpoints",),
    "system:kube-controller-manager": _KUBE_CONTROLLER_MANAGER,
    "system:kube-dns": ("list,watch core: endpoints, services",),
    "system:persistent-volume-provisioner": (
        "create,delete,READ core: persistentvolumes",
        "READ,update core: persistentvolumeclaims",
        "READ storage.k8s.io: storageclasses",
        "watch core: events",
        EVENTS,
    ),
    "system:certificates.k8s.io:certificatesigningrequests:nodeclient": (
        "create certificates.k8s.io: certificatesigningrequests/nodeclient",
    ),
    "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient": (
        "create certificates.k8s.io: certificatesigningrequests/selfnodeclient",
    ),
    "system:volume-scheduler": (
        "CHANGE core: persistentvolumes",
        "READ storage.k8s.io: storageclasses",
        "CHANGE core: persistentvolumeclaims",
    ),
    "system:certificates.k8s.io:legacy-unknown-approver": (f"approve {_SIGNERS} [kubernetes.io/legacy-unknown]",),
    "system:certificates.k8s.io:kubelet-serving-approver": (f"approve {_SIGNERS} [kubernetes.io/kubelet-serving]",),
    "system:certificates.k8s.io:kube-apiserver-client-approver": (
        f"approve {_SIGNERS} [kubernetes.io/kube-apiserver-client]",
    ),
    "system:certificates.k8s.io:kube-apiserver-client-kubelet-approver": (
        f"approve {_SIGNERS} [kubernetes.io/kube-apiserver-client-kubelet]",
    ),
    "system:service-account-issuer-discovery": (
        "get url: /.well-known/openid-configuration, /.well-known/openid-configuration/, /openid/v1/jwks, /openid/v1/jwks/",
    ),
    "system:node-proxier": (
        "list,watch core: services, endpoints",
        "READ core: nodes",
        EVENTS,
        "list,watch networking.k8s.io: servicecidrs",
        "list,watch discovery.k8s.io: endpointslices",
    ),
    "system:kube-scheduler": _KUBE_SCHEDULER,
}

DEVICE_TAINT_RULES_ROLES: tuple[Object, ...] = (
    cluster_role("system:kube-scheduler", (*_KUBE_SCHEDULER, "READ resource.k8s.io: devicetaintrules")),
)
"""The scheduler's with the feature DRADeviceTaintRules, in place of the usual one."""

METRICS_ROLES: tuple[Object, ...] = (
    cluster_role(
        "system:aggregated-metrics-reader",
        ("READ metrics.k8s.io: pods, nodes",),
        {_TO_ADMIN: "true", _TO_EDIT: "true", _TO_VIEW: "true"},
    ),
)
"""metrics-server's; only where the server serves metrics.k8s.io itself."""

CLUSTER_ROLES: tuple[Object, ...] = (
    aggregate("admin", _TO_ADMIN),
    aggregate("edit", _TO_EDIT, {_TO_ADMIN: "true"}),
    aggregate("view", _TO_VIEW, {_TO_EDIT: "true"}),
    cluster_role("system:aggregate-to-admin", _AGGREGATE_TO_ADMIN, {_TO_ADMIN: "true"}),
    cluster_role("system:aggregate-to-edit", _AGGREGATE_TO_EDIT, {_TO_EDIT: "true"}),
    cluster_role("system:aggregate-to-view", _AGGREGATE_TO_VIEW, {_TO_VIEW: "true"}),
    *(cluster_role(name, rules) for name, rules in _ROLES.items()),
)

_BINDINGS: dict[str, tuple[str, ...]] = {
    "cluster-admin": ("group:system:masters",),
    "system:monitoring": ("group:system:monitoring",),
    "system:discovery": ("group:system:authenticated",),
    "system:basic-user": ("group:system:authenticated",),
    "system:public-info-viewer": ("group:system:authenticated", "group:system:unauthenticated"),
    "system:node-proxier": ("user:system:kube-proxy",),
    "system:kube-controller-manager": ("user:system:kube-controller-manager",),
    "system:kube-dns": ("sa:kube-system/kube-dns",),
    "system:kube-scheduler": ("user:system:kube-scheduler",),
    "system:volume-scheduler": ("user:system:kube-scheduler",),
    "system:node": (),  # deprecated since the Node authorizer: the binding stays, without subjects
    "system:service-account-issuer-discovery": ("group:system:serviceaccounts",),
}

CLUSTER_ROLE_BINDINGS: tuple[Object, ...] = tuple(binding("ClusterRole", name, who) for name, who in _BINDINGS.items())
