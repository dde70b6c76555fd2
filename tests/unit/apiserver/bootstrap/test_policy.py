"""The default policy, and bringing stored objects up to it."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.bootstrap.policy.cluster import CLUSTER_ROLES
from apiserver.bootstrap.policy.controllers import CONTROLLER_ROLE_BINDINGS, CONTROLLER_ROLES
from apiserver.bootstrap.policy.notation import AUTOUPDATE, binding, cluster_role, rule
from apiserver.bootstrap.rbac import reconciled_binding, reconciled_role, replaces_role


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "READ,create core,apps: pods, pods/log",
            {"verbs": ["create", "get", "list", "watch"], "apiGroups": ["", "apps"], "resources": ["pods", "pods/log"]},
        ),
        (
            "get core: configmaps [b, a]",
            {"verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["a", "b"]},
        ),
        ("get url: /b, /a/*", {"verbs": ["get"], "nonResourceURLs": ["/a/*", "/b"]}),
    ],
)
def test_notation(text: str, expected: dict[str, Any]) -> None:
    assert rule(text) == expected


def test_notation_refuses_what_is_none() -> None:
    with pytest.raises(ValueError, match="no policy rule"):
        rule("get pods")


def test_every_controller_is_bound_to_its_account() -> None:
    names = [role["metadata"]["name"] for role in CONTROLLER_ROLES]
    assert len(names) == len(set(names)) == len(CONTROLLER_ROLE_BINDINGS)
    found = next(b for b in CONTROLLER_ROLE_BINDINGS if b["roleRef"]["name"] == "system:controller:job-controller")
    assert found["subjects"] == [{"kind": "ServiceAccount", "name": "job-controller", "namespace": "kube-system"}]


def test_aggregated_roles_have_no_rules_of_their_own() -> None:
    admin = next(role for role in CLUSTER_ROLES if role["metadata"]["name"] == "admin")
    assert admin["rules"] is None
    selectors = admin["aggregationRule"]["clusterRoleSelectors"]
    assert selectors == [{"matchLabels": {"rbac.authorization.k8s.io/aggregate-to-admin": "true"}}]


WANTED = cluster_role("x", ("get core: pods", "list core: nodes"))


def stored(**changes: Any) -> dict[str, Any]:
    return {**WANTED, "metadata": {**WANTED["metadata"], "uid": "u"}, **changes}


def test_a_role_that_is_right_is_left_alone() -> None:
    assert reconciled_role(stored(), WANTED) is None
    wider = stored(rules=[rule("* *: *")])
    assert reconciled_role(wider, WANTED) is None


def test_missing_rules_are_added_and_others_stay() -> None:
    own = rule("delete core: secrets")
    changed = reconciled_role(stored(rules=[own, rule("get core: pods")]), WANTED)
    assert changed is not None
    assert changed["rules"] == [own, rule("get core: pods"), rule("list core: nodes")]


def test_a_protected_role_is_left_alone() -> None:
    metadata = {"name": "x", "annotations": {AUTOUPDATE: "false"}}
    assert reconciled_role({"metadata": metadata, "rules": []}, WANTED) is None


def test_bindings() -> None:
    wanted = binding("ClusterRole", "x", ("user:a", "sa:kube-system/b"))
    present = binding("ClusterRole", "x", ("user:c",))
    changed = reconciled_binding(present, wanted)
    assert changed is not None
    assert [s["name"] for s in changed["subjects"]] == ["c", "a", "b"]
    assert reconciled_binding(changed, wanted) is None
    assert replaces_role(binding("ClusterRole", "y", (), name="x"), wanted)
    assert not replaces_role(present, wanted)
