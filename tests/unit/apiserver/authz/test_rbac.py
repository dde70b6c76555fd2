"""RBAC decisions over the policy index."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.authz.rbac.authorizer import RbacAuthorizer
from apiserver.authz.rbac.escalation import escalation
from apiserver.authz.rbac.index import PolicyIndex
from apiserver.authz.rbac.rules import Rule
from apiserver.http.protocols import Attributes
from apiserver.http.request import User

ALICE = User("alice", groups=("dev", "system:authenticated"))


def role(name: str, rules: list[dict[str, Any]], namespace: str = "") -> dict[str, Any]:
    return {"metadata": {"name": name, **({"namespace": namespace} if namespace else {})}, "rules": rules}


def binding(name: str, kind: str, role_name: str, subject: dict[str, Any], namespace: str = "") -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"metadata": metadata, "roleRef": {"kind": kind, "name": role_name}, "subjects": [subject]}


def rule(verbs: str, resources: str = "", group: str = "", names: str = "", urls: str = "") -> dict[str, Any]:
    if urls:
        return {"verbs": verbs.split(), "nonResourceURLs": urls.split()}
    found = {"verbs": verbs.split(), "apiGroups": [group], "resources": resources.split()}
    return {**found, "resourceNames": names.split()} if names else found


@pytest.fixture
def index() -> PolicyIndex:
    made = PolicyIndex()
    made.role_changed(None, role("reader", [rule("get list", "pods pods/log"), rule("get", "*/scale", "apps")]))
    made.role_changed(None, role("urls", [rule("get", urls="/metrics /x/*")]))
    made.role_changed(None, role("one", [rule("get update", "configmaps", names="a")], "ns"))
    made.binding_changed(None, binding("b", "ClusterRole", "reader", {"kind": "User", "name": "alice"}, "ns"))
    made.binding_changed(None, binding("u", "ClusterRole", "urls", {"kind": "Group", "name": "dev"}))
    made.binding_changed(None, binding("o", "Role", "one", {"kind": "ServiceAccount", "name": "bot"}, "ns"))
    return made


BOT = User("system:serviceaccount:ns:bot")


@pytest.mark.parametrize(
    ("user", "question", "allowed"),
    [
        (ALICE, {"verb": "get", "resource": "pods", "namespace": "ns"}, True),
        (ALICE, {"verb": "get", "resource": "pods", "subresource": "log", "namespace": "ns", "name": "x"}, True),
        (ALICE, {"verb": "get", "resource": "pods", "subresource": "exec", "namespace": "ns"}, False),
        (ALICE, {"verb": "get", "resource": "pods", "namespace": "other"}, False),
        (ALICE, {"verb": "get", "resource": "pods"}, False),
        (ALICE, {"verb": "delete", "resource": "pods", "namespace": "ns"}, False),
        (
            ALICE,
            {"verb": "get", "group": "apps", "resource": "deployments", "subresource": "scale", "namespace": "ns"},
            True,
        ),
        (ALICE, {"verb": "get", "group": "apps", "resource": "deployments", "namespace": "ns"}, False),
        (BOT, {"verb": "get", "resource": "configmaps", "namespace": "ns", "name": "a"}, True),
        (BOT, {"verb": "get", "resource": "configmaps", "namespace": "ns", "name": "b"}, False),
        (BOT, {"verb": "get", "resource": "configmaps", "namespace": "ns"}, False),
        (ALICE, {"verb": "get", "resource_request": False, "path": "/metrics"}, True),
        (ALICE, {"verb": "get", "resource_request": False, "path": "/x/y/z"}, True),
        (ALICE, {"verb": "get", "resource_request": False, "path": "/x"}, False),
        (BOT, {"verb": "get", "resource_request": False, "path": "/metrics"}, False),
    ],
)
async def test_decisions(index: PolicyIndex, user: User, question: dict[str, Any], allowed: bool) -> None:
    authorizer = RbacAuthorizer(index)
    for _ in range(2):  # worked out, then remembered
        assert (await authorizer.authorize(Attributes(user, **question))).allowed is allowed


async def test_the_reason_names_binding_role_and_subject(index: PolicyIndex) -> None:
    decision = await RbacAuthorizer(index).authorize(
        Attributes(BOT, "get", resource="configmaps", namespace="ns", name="a")
    )
    assert decision.reason == 'RBAC: allowed by RoleBinding "o/ns" of Role "one" to ServiceAccount "bot/ns"'


async def test_a_change_of_the_policy_counts_at_once(index: PolicyIndex) -> None:
    authorizer = RbacAuthorizer(index)
    question = Attributes(ALICE, "get", resource="pods", namespace="ns")
    assert (await authorizer.authorize(question)).allowed
    old = binding("b", "ClusterRole", "reader", {"kind": "User", "name": "alice"}, "ns")
    index.binding_changed(old, None)
    assert not (await authorizer.authorize(question)).allowed
    index.binding_changed(None, old)
    index.role_changed(role("reader", []), None)
    decision = await authorizer.authorize(question)
    assert decision.reason == 'RBAC: clusterrole.rbac.authorization.k8s.io "reader" not found'


async def test_rules_for_a_user(index: PolicyIndex) -> None:
    resources, urls, incomplete, problem = await RbacAuthorizer(index).rules_for(ALICE, "ns")
    assert {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods", "pods/log"]} in resources
    assert urls == [{"verbs": ["get"], "nonResourceURLs": ["/metrics", "/x/*"]}]
    assert (incomplete, problem) == (False, "")


@pytest.mark.parametrize(
    ("owned", "wanted", "missing"),
    [
        ([rule("*", "*", "*")], [rule("get", "pods")], ""),
        ([rule("get", "pods")], [rule("get", "pods", names="a")], ""),
        (
            [rule("get", "pods", names="a")],
            [rule("get", "pods")],
            '{APIGroups:[""], Resources:["pods"], Verbs:["get"]}',
        ),
        (
            [rule("get", "pods")],
            [rule("get list watch", "pods")],
            '{APIGroups:[""], Resources:["pods"], Verbs:["list" "watch"]}',
        ),
        ([rule("get", "pods/log")], [rule("get", "pods/*")], '{APIGroups:[""], Resources:["pods/*"], Verbs:["get"]}'),
        ([rule("get", "*/log")], [rule("get", "pods/log")], ""),
        ([rule("get", urls="/a/*")], [rule("get", urls="/a/b /c")], '{NonResourceURLs:["/c"], Verbs:["get"]}'),
    ],
)
def test_only_what_one_holds_can_be_granted(owned: list[Any], wanted: list[Any], missing: str) -> None:
    found = escalation(ALICE, [Rule.compile(r) for r in owned], [], wanted)
    assert found.partition("\n")[2] == missing
    if missing:
        assert found.startswith(
            'user "alice" (groups=["dev" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:'
        )
