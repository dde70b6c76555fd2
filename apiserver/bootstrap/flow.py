"""The default flow schemas and priority levels of API priority and fairness.

Source: documentation "API Priority and Fairness", section "Default objects", and kube-apiserver 1.36.
"""

from __future__ import annotations

from collections.abc import Sequence

from kubeling.api.meta import Object

_VERSION = "flowcontrol.apiserver.k8s.io/v1"
_ANNOTATIONS = {"apf.kubernetes.io/autoupdate-spec": "true"}
MANAGER = "api-priority-and-fairness-config-producer-v1"

_QUEUES = {"small": (16, 4), "medium": (64, 6), "large": (128, 6)}
_QUEUE_LENGTH = 50
# name: nominal concurrency shares, lendable percent, queues ("" rejects)
_LEVELS: dict[str, tuple[int, int, str]] = {
    "catch-all": (5, 0, ""),
    "system": (30, 33, "medium"),
    "node-high": (40, 25, "medium"),
    "leader-election": (10, 0, "small"),
    "workload-high": (40, 50, "large"),
    "workload-low": (100, 90, "large"),
    "global-default": (20, 50, "large"),
}


def _level(name: str, spec: Object) -> Object:
    metadata = {"name": name, "annotations": dict(_ANNOTATIONS)}
    return {"apiVersion": _VERSION, "kind": "PriorityLevelConfiguration", "metadata": metadata, "spec": spec}


def _limited(shares: int, lendable: int, queues: str) -> Object:
    response: Object = {"type": "Reject"}
    if queues:
        count, hand = _QUEUES[queues]
        queuing = {"queues": count, "handSize": hand, "queueLengthLimit": _QUEUE_LENGTH}
        response = {"type": "Queue", "queuing": queuing}
    limited = {"nominalConcurrencyShares": shares, "limitResponse": response, "lendablePercent": lendable}
    return {"type": "Limited", "limited": limited}


PRIORITY_LEVELS: tuple[Object, ...] = (
    _level("exempt", {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}}),
    *(_level(name, _limited(*values)) for name, values in _LEVELS.items()),
)

_EVERY_RESOURCE: Object = {
    "verbs": ["*"],
    "apiGroups": ["*"],
    "resources": ["*"],
    "clusterScope": True,
    "namespaces": ["*"],
}
_EVERY_URL: Object = {"verbs": ["*"], "nonResourceURLs": ["*"]}
_LEASES: Object = {
    "verbs": ["get", "create", "update"],
    "apiGroups": ["coordination.k8s.io"],
    "resources": ["leases"],
    "namespaces": ["*"],
}
_ENDPOINTS: Object = {
    "verbs": ["get", "create", "update"],
    "apiGroups": [""],
    "resources": ["endpoints"],
    "namespaces": ["*"],
}
_NODES: Object = {
    "verbs": ["*"],
    "apiGroups": [""],
    "resources": ["nodes", "nodes/status"],
    "clusterScope": True,
    "namespaces": ["*"],
}
_NODE_LEASES: Object = {
    "verbs": ["*"],
    "apiGroups": ["coordination.k8s.io"],
    "resources": ["leases"],
    "namespaces": ["*"],
}
_HEALTH: Object = {"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}

_EVERYBODY = ("group:system:unauthenticated", "group:system:authenticated")
_MANAGER_AND_SCHEDULER = ("user:system:kube-controller-manager", "user:system:kube-scheduler")
_SYSTEM_ACCOUNTS = ("sa:kube-system/*",)


def _subject(text: str) -> Object:
    kind, _, name = text.partition(":")
    if kind == "sa":
        namespace, _, account = name.partition("/")
        return {"kind": "ServiceAccount", "serviceAccount": {"namespace": namespace, "name": account}}
    return {"kind": kind.capitalize(), kind: {"name": name}}


def _schema(
    name: str,
    level: str,
    precedence: int,
    distinguisher: str,
    subjects: Sequence[str],
    resources: Sequence[Object] = (),
    urls: Sequence[Object] = (),
) -> Object:
    rule: Object = {"subjects": [_subject(s) for s in subjects]}
    if resources:
        rule["resourceRules"] = [dict(r) for r in resources]
    if urls:
        rule["nonResourceRules"] = [dict(u) for u in urls]
    spec: Object = {"priorityLevelConfiguration": {"name": level}, "matchingPrecedence": precedence, "rules": [rule]}
    if distinguisher:
        spec["distinguisherMethod"] = {"type": distinguisher}
    metadata = {"name": name, "annotations": dict(_ANNOTATIONS)}
    return {"apiVersion": _VERSION, "kind": "FlowSchema", "metadata": metadata, "spec": spec}


_ALL = ([_EVERY_RESOURCE], [_EVERY_URL])
FLOW_SCHEMAS: tuple[Object, ...] = (
    _schema("exempt", "exempt", 1, "", ("group:system:masters",), *_ALL),
    _schema("probes", "exempt", 2, "", _EVERYBODY, (), [_HEALTH]),
    _schema("system-leader-election", "leader-election", 100, "ByUser", _MANAGER_AND_SCHEDULER, [_LEASES]),
    _schema(
        "endpoint-controller",
        "workload-high",
        150,
        "ByUser",
        (
            "user:system:kube-controller-manager",
            "sa:kube-system/endpoint-controller",
            "sa:kube-system/endpointslicemirroring-controller",
        ),
        [_ENDPOINTS],
    ),
    _schema("workload-leader-election", "leader-election", 200, "ByUser", _SYSTEM_ACCOUNTS, [_LEASES]),
    _schema("system-node-high", "node-high", 400, "ByUser", ("group:system:nodes",), [_NODES, _NODE_LEASES]),
    _schema("system-nodes", "system", 500, "ByUser", ("group:system:nodes",), *_ALL),
    _schema(
        "kube-controller-manager", "workload-high", 800, "ByNamespace", ("user:system:kube-controller-manager",), *_ALL
    ),
    _schema("kube-scheduler", "workload-high", 800, "ByNamespace", ("user:system:kube-scheduler",), *_ALL),
    _schema("kube-system-service-accounts", "workload-high", 900, "ByNamespace", _SYSTEM_ACCOUNTS, *_ALL),
    _schema("service-accounts", "workload-low", 9000, "ByUser", ("group:system:serviceaccounts",), *_ALL),
    _schema("global-default", "global-default", 9900, "ByUser", _EVERYBODY, *_ALL),
    _schema("catch-all", "catch-all", 10000, "ByUser", _EVERYBODY, *_ALL),
)
