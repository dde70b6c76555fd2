"""Objects the server makes once: namespaces, priority classes, configuration maps, the service range, API services."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from kubeling.api.meta import Object, rfc3339

SYSTEM_NAMESPACES = ("kube-system", "kube-public", "default", "kube-node-lease")
NAMESPACES: tuple[Object, ...] = tuple(
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in SYSTEM_NAMESPACES
)

_CLUSTER = "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary."
_NODE = "Used for system critical pods that must not be moved from their current node."
PRIORITY_CLASSES: tuple[Object, ...] = tuple(
    {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": name},
        "value": value,
        "description": description,
    }
    for name, value, description in (
        ("system-node-critical", 2000001000, _NODE),
        ("system-cluster-critical", 2000000000, _CLUSTER),
    )
)

# (group, version): group priority minimum, version priority
_PRIORITIES: dict[tuple[str, str], tuple[int, int]] = {
    ("", "v1"): (18000, 1),
    ("apps", "v1"): (17800, 15),
    ("events.k8s.io", "v1"): (17750, 15),
    ("authentication.k8s.io", "v1"): (17700, 15),
    ("authorization.k8s.io", "v1"): (17600, 15),
    ("autoscaling", "v2"): (17500, 30),
    ("autoscaling", "v1"): (17500, 15),
    ("batch", "v1"): (17400, 15),
    ("certificates.k8s.io", "v1"): (17300, 15),
    ("networking.k8s.io", "v1"): (17200, 15),
    ("policy", "v1"): (17100, 15),
    ("rbac.authorization.k8s.io", "v1"): (17000, 15),
    ("storage.k8s.io", "v1"): (16800, 15),
    ("apiextensions.k8s.io", "v1"): (16700, 15),
    ("admissionregistration.k8s.io", "v1"): (16700, 15),
    ("scheduling.k8s.io", "v1"): (16600, 15),
    ("coordination.k8s.io", "v1"): (16500, 15),
    ("node.k8s.io", "v1"): (16300, 15),
    ("discovery.k8s.io", "v1"): (16200, 15),
    ("flowcontrol.apiserver.k8s.io", "v1"): (16100, 21),
    ("resource.k8s.io", "v1"): (15900, 20),
    ("resource.k8s.io", "v1beta2"): (15900, 15),  # with --runtime-config
    ("resource.k8s.io", "v1beta1"): (15900, 9),
    ("resource.k8s.io", "v1alpha3"): (15900, 1),
    ("storagemigration.k8s.io", "v1beta1"): (15800, 9),  # with --runtime-config
    ("metrics.k8s.io", "v1beta1"): (100, 100),
    # old versions, with --legacy-apis
    ("extensions", "v1beta1"): (17150, 1),
    ("apps", "v1beta2"): (17800, 9),
    ("apps", "v1beta1"): (17800, 1),
    ("batch", "v1beta1"): (17400, 9),
    ("networking.k8s.io", "v1beta1"): (17200, 9),
    ("policy", "v1beta1"): (17100, 9),
}


_AUTOMANAGED = "kube-aggregator.kubernetes.io/automanaged"
AUTOMANAGED_AT_START: Mapping[str, str] = {_AUTOMANAGED: "onstart"}
AUTOMANAGED: Mapping[str, str] = {_AUTOMANAGED: "true"}
"""Labels of APIServices that the server makes: once when it starts, or as long as what they stand for is there."""


def api_services(group_versions: Iterable[tuple[str, str]]) -> list[Object]:
    """An APIService for every served group and version that the server itself answers for."""
    return [
        api_service(group, version, *_PRIORITIES[group, version], AUTOMANAGED_AT_START)
        for group, version in group_versions
        if (group, version) in _PRIORITIES
    ]


def api_service(
    group: str, version: str, group_priority: int, version_priority: int, labels: Mapping[str, str]
) -> Object:
    """A local APIService; ``labels`` say who keeps it level."""
    spec: Object = {"version": version, "groupPriorityMinimum": group_priority, "versionPriority": version_priority}
    if group:
        spec["group"] = group
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"{version}.{group}", "labels": dict(labels)},
        "spec": spec,
    }


def service_cidr(ranges: Sequence[str]) -> Object:
    """The ServiceCIDR ``kubernetes``."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": list(ranges)},
    }


def service_cidr_status(now: datetime) -> Object:
    """What to apply to its status: it is ready."""
    condition = {
        "type": "Ready",
        "status": "True",
        "lastTransitionTime": rfc3339(now),
        "message": "Kubernetes default Service CIDR is ready",
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes"},
        "status": {"conditions": [condition]},
    }


def authentication_config(client_ca: str, request_header: dict[str, str]) -> Object:
    """``kube-system/extension-apiserver-authentication``: how extension servers know this server's users.

    ``client_ca`` is the PEM bundle (empty: none), ``request_header`` the ``requestheader-*`` entries.
    """
    data = {**({"client-ca-file": client_ca} if client_ca else {}), **request_header}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "extension-apiserver-authentication", "namespace": "kube-system"},
        **({"data": data} if data else {}),
    }


def token_tracking_config(now: datetime) -> Object:
    """Since when the use of tokens out of Secrets is tracked."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "kube-apiserver-legacy-service-account-token-tracking", "namespace": "kube-system"},
        "data": {"since": now.strftime("%Y-%m-%d")},
    }
