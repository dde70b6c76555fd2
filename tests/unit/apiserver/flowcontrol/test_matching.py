from __future__ import annotations

import pytest

from apiserver.bootstrap.flow import FLOW_SCHEMAS
from apiserver.flowcontrol.matching import distinguisher, matches, precedence
from apiserver.http.info import request_info
from apiserver.http.request import User

ADMIN = User("root", groups=("system:masters", "system:authenticated"))
NODE = User("system:node:n", groups=("system:nodes", "system:authenticated"))
SCHEDULER = User("system:kube-scheduler", groups=("system:authenticated",))
ACCOUNT = User("system:serviceaccount:a:b", groups=("system:serviceaccounts", "system:authenticated"))
SYSTEM_ACCOUNT = User("system:serviceaccount:kube-system:c", groups=("system:serviceaccounts", "system:authenticated"))
ALICE = User("alice", groups=("system:authenticated",))
NOBODY = User("system:anonymous", groups=("system:unauthenticated",))
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/l"


@pytest.mark.parametrize(
    ("user", "method", "path", "schema"),
    [
        (ADMIN, "DELETE", "/api/v1/pods", "exempt"),
        (NOBODY, "GET", "/healthz", "probes"),
        (NOBODY, "GET", "/metrics", "global-default"),
        (SCHEDULER, "PUT", LEASE, "system-leader-election"),
        (SCHEDULER, "GET", "/api/v1/pods", "kube-scheduler"),
        (SYSTEM_ACCOUNT, "GET", LEASE, "workload-leader-election"),
        (SYSTEM_ACCOUNT, "GET", "/api/v1/pods", "kube-system-service-accounts"),
        (NODE, "PATCH", "/api/v1/nodes/n/status", "system-node-high"),
        (NODE, "GET", "/api/v1/pods", "system-nodes"),
        (ACCOUNT, "GET", "/api/v1/namespaces/a/pods", "service-accounts"),
        (ALICE, "GET", "/api/v1/namespaces/a/pods", "global-default"),
    ],
)
def test_who_is_in_which_of_the_default_schemas(user: User, method: str, path: str, schema: str) -> None:
    info = request_info(method, path, {})
    first = next(s for s in sorted(FLOW_SCHEMAS, key=precedence) if matches(s, user, info))
    assert first["metadata"]["name"] == schema


def schema(**rule: object) -> dict[str, object]:
    return {
        "metadata": {"name": "s"},
        "spec": {"rules": [{"subjects": [{"kind": "User", "user": {"name": "*"}}], **rule}]},
    }


def test_namespaces_and_cluster_scope_are_two_things() -> None:
    rule = {"verbs": ["list"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["a"]}
    within = schema(resourceRules=[rule])
    assert matches(within, ALICE, request_info("GET", "/api/v1/namespaces/a/pods", {}))
    assert not matches(within, ALICE, request_info("GET", "/api/v1/namespaces/b/pods", {}))
    assert not matches(within, ALICE, request_info("GET", "/api/v1/pods", {}))
    assert not matches(within, ALICE, request_info("GET", "/api/v1/namespaces/a/pods/p/log", {}))


def test_paths_may_end_in_a_star() -> None:
    found = schema(nonResourceRules=[{"verbs": ["get"], "nonResourceURLs": ["/openapi/*"]}])
    assert matches(found, ALICE, request_info("GET", "/openapi/v2", {}))
    assert not matches(found, ALICE, request_info("GET", "/version", {}))
    assert not matches(found, ALICE, request_info("POST", "/openapi/v2", {}))


def test_flows_are_told_apart_as_the_schema_says() -> None:
    info = request_info("GET", "/api/v1/namespaces/a/pods", {})
    assert distinguisher({"spec": {"distinguisherMethod": {"type": "ByUser"}}}, ALICE, info) == "alice"
    assert distinguisher({"spec": {"distinguisherMethod": {"type": "ByNamespace"}}}, ALICE, info) == "a"
    assert distinguisher({"spec": {}}, ALICE, info) == ""
