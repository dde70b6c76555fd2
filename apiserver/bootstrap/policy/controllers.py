"""The roles of the controllers: ``system:controller:NAME``, each bound to the service account ``kube-system/NAME``.

Source: the bootstrap policy of kube-apiserver 1.36.
"""

from __future__ import annotations

from apiserver.bootstrap.policy.notation import EVENTS, binding, cluster_role
from kubeling.api.meta import Object

_PREFIX = "system:controller:"
_SCALE = "*: */scale"

_WORKLOADS: dict[str, tuple[str, ...]] = {
    "cronjob-controller": (
        "READ,update batch: cronjobs",
        "CHANGE,create,delete batch: jobs",
        "update batch: cronjobs/status",
        "update batch: cronjobs/finalizers",
        "delete,list,watch core: pods",
        EVENTS,
    ),
    "daemon-set-controller": (
        "READ apps,extensions: daemonsets",
        "update apps,extensions: daemonsets/status",
        "update apps,extensions: daemonsets/finalizers",
        "list,watch core: nodes",
        "create,delete,list,patch,watch core: pods",
        "create core: pods/binding",
        "CHANGE,create,delete apps: controllerrevisions",
        EVENTS,
    ),
    "deployment-controller": (
        "READ,update apps,extensions: deployments",
        "update apps,extensions: deployments/status",
        "update apps,extensions: deployments/finalizers",
        "CHANGE,create,delete apps,extensions: replicasets",
        "READ,update core: pods",
        EVENTS,
    ),
    "disruption-controller": (
        "READ apps,extensions: deployments",
        "READ apps,extensions: replicasets",
        "READ core: replicationcontrollers",
        "READ policy: poddisruptionbudgets",
        "READ apps: statefulsets",
        "update policy: poddisruptionbudgets/status",
        "patch,update core: pods/status",
        f"get {_SCALE}",
        EVENTS,
    ),
    "horizontal-pod-autoscaler": (
        "READ autoscaling: horizontalpodautoscalers",
        "update autoscaling: horizontalpodautoscalers/status",
        f"get,update {_SCALE}",
        "list,watch core: pods",
        "list,watch metrics.k8s.io: pods",
        "READ custom.metrics.k8s.io: *",
        "READ external.metrics.k8s.io: *",
        EVENTS,
    ),
    "job-controller": (
        "CHANGE batch: jobs",
        "update batch: jobs/status",
        "update batch: jobs/finalizers",
        "create,delete,list,patch,watch core: pods",
        EVENTS,
    ),
    "pod-garbage-collector": ("delete,list,watch core: pods", "READ core: nodes", "patch core: pods/status"),
    "replicaset-controller": (
        "READ,update apps,extensions: replicasets",
        "update apps,extensions: replicasets/status",
        "update apps,extensions: replicasets/finalizers",
        "create,delete,list,patch,watch core: pods",
        EVENTS,
    ),
    "replication-controller": (
        "READ,update core: replicationcontrollers",
        "update core: replicationcontrollers/status",
        "update core: replicationcontrollers/finalizers",
        "create,delete,list,patch,watch core: pods",
        EVENTS,
    ),
    "statefulset-controller": (
        "list,watch core: pods",
        "READ apps: statefulsets",
        "update apps: statefulsets/status",
        "update apps: statefulsets/finalizers",
        "create,delete,get,patch,update core: pods",
        "CHANGE,create,delete apps: controllerrevisions",
        "create,READ core: persistentvolumeclaims",
        "delete,update core: persistentvolumeclaims",
        "update core: pods/finalizers",
        EVENTS,
    ),
    "ttl-after-finished-controller": ("delete,READ batch: jobs", EVENTS),
}

_STORAGE: dict[str, tuple[str, ...]] = {
    "attachdetach-controller": (
        "list,watch core: persistentvolumes, persistentvolumeclaims",
        "READ core: nodes",
        "patch,update core: nodes/status",
        "list,watch core: pods",
        EVENTS,
        "create,delete,READ storage.k8s.io: volumeattachments",
        "READ storage.k8s.io: csidrivers",
        "READ storage.k8s.io: csinodes",
    ),
    "ephemeral-volume-controller": (
        "READ core: pods",
        "update core: pods/finalizers",
        "create,READ core: persistentvolumeclaims",
        EVENTS,
    ),
    "expand-controller": (
        "CHANGE core: persistentvolumes",
        "patch,update core: persistentvolumeclaims/status",
        "READ core: persistentvolumeclaims",
        EVENTS,
        "get core: services",
    ),
    "persistent-volume-binder": (
        "create,delete,READ,update core: persistentvolumes",
        "update core: persistentvolumes/status",
        "READ,update core: persistentvolumeclaims",
        "update core: persistentvolumeclaims/status",
        "create,delete,READ core: pods",
        "READ storage.k8s.io: storageclasses",
        "list,watch core: nodes",
        EVENTS,
        "watch core: events",
        "get core: services",
    ),
    "pv-protection-controller": ("READ,update core: persistentvolumes", EVENTS),
    "pvc-protection-controller": ("READ,update core: persistentvolumeclaims", "READ core: pods", EVENTS),
    "selinux-warning-controller": (
        EVENTS,
        "READ core: persistentvolumes",
        "READ core: persistentvolumeclaims",
        "READ core: pods",
        "READ storage.k8s.io: csidrivers",
    ),
    "volumeattributesclass-protection-controller": (
        "READ core: persistentvolumeclaims",
        "READ core: persistentvolumes",
        "READ,update storage.k8s.io: volumeattributesclasses",
        EVENTS,
    ),
}

_NETWORK: dict[str, tuple[str, ...]] = {
    "endpoint-controller": (
        "READ core: services, pods",
        "create,delete,READ,update core: endpoints",
        "create core: endpoints/restricted",
        EVENTS,
    ),
    "endpointslice-controller": (
        "READ core: services, pods, nodes",
        "update core: services/finalizers",
        "create,delete,READ,update discovery.k8s.io: endpointslices",
        EVENTS,
    ),
    "endpointslicemirroring-controller": (
        "READ core: services, endpoints",
        "update core: services/finalizers",
        "update core: endpoints/finalizers",
        "create,delete,READ,update discovery.k8s.io: endpointslices",
        EVENTS,
    ),
    "route-controller": ("list,watch core: nodes", "patch core: nodes/status", EVENTS),
    "service-cidrs-controller": (
        "CHANGE networking.k8s.io: servicecidrs",
        "patch,update networking.k8s.io: servicecidrs/finalizers",
        "patch,update networking.k8s.io: servicecidrs/status",
        "READ networking.k8s.io: ipaddresses",
        EVENTS,
    ),
    "service-controller": (
        "READ core: services",
        "patch,update core: services/status",
        "list,watch core: nodes",
        EVENTS,
    ),
}

_CLUSTER: dict[str, tuple[str, ...]] = {
    "certificate-controller": (
        "delete,READ certificates.k8s.io: certificatesigningrequests",
        "update certificates.k8s.io: certificatesigningrequests/status, certificatesigningrequests/approval",
        "approve certificates.k8s.io: signers [kubernetes.io/kube-apiserver-client-kubelet]",
        "sign certificates.k8s.io: signers [kubernetes.io/legacy-unknown, kubernetes.io/kube-apiserver-client, "
        "kubernetes.io/kube-apiserver-client-kubelet, kubernetes.io/kubelet-serving]",
        "create authorization.k8s.io: subjectaccessreviews",
        EVENTS,
    ),
    "clusterrole-aggregation-controller": ("escalate,CHANGE rbac.authorization.k8s.io: clusterroles",),
    "device-taint-eviction-controller": (
        "delete,READ core: pods",
        "patch,update core: pods/status",
        "READ resource.k8s.io: resourceclaims",
        "READ resource.k8s.io: resourceslices",
        "READ resource.k8s.io: deviceclasses",
        "READ resource.k8s.io: devicetaintrules",
        "patch,update resource.k8s.io: devicetaintrules/status",
        EVENTS,
    ),
    "generic-garbage-collector": ("CHANGE,delete *: *", EVENTS),
    "legacy-service-account-token-cleaner": (
        "get core: configmaps [kube-apiserver-legacy-service-account-token-tracking]",
        "delete,patch core: secrets",
    ),
    "namespace-controller": (
        "delete,READ core: namespaces",
        "update core: namespaces/finalize, namespaces/status",
        "delete,deletecollection,READ *: *",
    ),
    "node-controller": (
        "CHANGE,delete core: nodes",
        "patch,update core: nodes/status",
        "patch,update core: pods/status",
        "delete,READ core: pods",
        EVENTS,
    ),
    "resource-claim-controller": (
        "READ core: pods",
        "update core: pods/finalizers",
        "create,delete,READ resource.k8s.io: resourceclaims",
        "patch,update resource.k8s.io: resourceclaims, resourceclaims/status",
        "patch,update resource.k8s.io: resourceclaims/binding",
        "patch,update core: pods/status",
        EVENTS,
    ),
    "resourcequota-controller": ("list,watch *: *", "update core: resourcequotas/status", EVENTS),
    "root-ca-cert-publisher": ("create,update core: configmaps", EVENTS),
    "service-account-controller": ("create core: serviceaccounts", EVENTS),
    "service-ca-cert-publisher": ("create,update core: configmaps", EVENTS),
    "ttl-controller": ("list,patch,update,watch core: nodes", EVENTS),
    "validatingadmissionpolicy-status-controller": (
        "READ admissionregistration.k8s.io: validatingadmissionpolicies",
        "get,patch,update admissionregistration.k8s.io: validatingadmissionpolicies/status",
        EVENTS,
    ),
}

_MIGRATOR: dict[str, tuple[str, ...]] = {
    "storage-version-migrator-controller": (
        "create,list,patch *: *",  # to apply an object that has gone would make it; its uid makes that a conflict
        "get apiextensions.k8s.io: customresourcedefinitions",
        "update storagemigration.k8s.io: storageversionmigrations/status",
    ),
}

_ROLES = {**_WORKLOADS, **_STORAGE, **_NETWORK, **_CLUSTER}


def _roles(declared: dict[str, tuple[str, ...]]) -> tuple[Object, ...]:
    return tuple(cluster_role(_PREFIX + name, rules) for name, rules in sorted(declared.items()))


def _bindings(declared: dict[str, tuple[str, ...]]) -> tuple[Object, ...]:
    return tuple(binding("ClusterRole", _PREFIX + name, (f"sa:kube-system/{name}",)) for name in sorted(declared))


CONTROLLER_ROLES, CONTROLLER_ROLE_BINDINGS = _roles(_ROLES), _bindings(_ROLES)
MIGRATOR_ROLES, MIGRATOR_ROLE_BINDINGS = _roles(_MIGRATOR), _bindings(_MIGRATOR)
"""Those of the feature StorageVersionMigrator."""
