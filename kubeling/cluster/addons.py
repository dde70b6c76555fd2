"""Objects that a kubeling cluster has beyond those the API server itself makes."""

from __future__ import annotations

from kubeling.api.meta import Object
from kubeling.api.resource import Resource
from kubeling.api.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES, STORAGE_CLASSES

_RBAC = "rbac.authorization.k8s.io/v1"
_DNS = "kubeling:clusterdns"
_DNS_SUBJECT = {"kind": "ServiceAccount", "name": "clusterdns", "namespace": "kube-system"}


def _rule(group: str, resources: list[str], verbs: list[str]) -> Object:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}


def addon_objects() -> list[tuple[Resource, Object]]:
    """RBAC of the DNS server: it reads Services, EndpointSlices, pods and namespaces, and keeps its own Service."""
    read = ["get", "list", "watch"]
    write = ["create", "get", "update", "patch"]
    reference = {"apiGroup": "rbac.authorization.k8s.io", "name": _DNS}
    return [
        (
            CLUSTER_ROLES,
            {
                "apiVersion": _RBAC,
                "kind": "ClusterRole",
                "metadata": {"name": _DNS},
                "rules": [
                    _rule("", ["services", "pods", "namespaces", "endpoints"], read),
                    _rule("discovery.k8s.io", ["endpointslices"], read),
                ],
            },
        ),
        (
            CLUSTER_ROLE_BINDINGS,
            {
                "apiVersion": _RBAC,
                "kind": "ClusterRoleBinding",
                "metadata": {"name": _DNS},
                "roleRef": {**reference, "kind": "ClusterRole"},
                "subjects": [_DNS_SUBJECT],
            },
        ),
        (
            ROLES,
            {
                "apiVersion": _RBAC,
                "kind": "Role",
                "metadata": {"name": _DNS, "namespace": "kube-system"},
                "rules": [
                    _rule("", ["services"], write),
                    _rule("discovery.k8s.io", ["endpointslices", "endpointslices/restricted"], write),
                    _rule("", ["endpoints", "endpoints/restricted"], write),
                ],
            },
        ),
        (
            ROLE_BINDINGS,
            {
                "apiVersion": _RBAC,
                "kind": "RoleBinding",
                "metadata": {"name": _DNS, "namespace": "kube-system"},
                "roleRef": {**reference, "kind": "Role"},
                "subjects": [_DNS_SUBJECT],
            },
        ),
    ]


def default_storage_class() -> tuple[Resource, Object]:
    """Claims without a class get a local volume, made when a pod uses them."""
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"}
    return (
        STORAGE_CLASSES,
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "standard", "annotations": annotations},
            "provisioner": "kubeling.io/local",
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "WaitForFirstConsumer",
            "allowVolumeExpansion": True,
        },
    )
