from __future__ import annotations

from pathlib import Path

import pytest

from apiserver.audit.policy import Level, load_policy
from apiserver.http.protocols import Attributes
from apiserver.http.request import User

POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: ["RequestReceived"]
rules:
- level: None
  users: ["system:kube-proxy"]
  verbs: ["watch"]
  resources:
  - {group: "", resources: ["endpoints", "services"]}
- level: None
  userGroups: ["system:authenticated"]
  nonResourceURLs: ["/api*", "/version"]
- level: Request
  resources: [{group: "", resources: ["configmaps"], resourceNames: ["controller-leader"]}]
  namespaces: ["kube-system"]
- level: Metadata
  omitStages: ["Panic"]
  resources: [{group: "", resources: ["pods/log", "*/status"]}]
- level: RequestResponse
  omitManagedFields: true
  resources: [{group: ""}, {group: "apps", resources: ["deployments/*"]}]
"""


def asked(user: str = "u", **fields: object) -> Attributes:
    return Attributes(User(user, groups=("system:authenticated",)), **{"verb": "get", **fields})  # type: ignore[arg-type]  # test table


@pytest.mark.parametrize(
    ("attributes", "level"),
    [
        (asked("system:kube-proxy", verb="watch", resource="endpoints"), "None"),
        (asked("system:kube-proxy", verb="list", resource="endpoints"), "RequestResponse"),
        (asked(resource_request=False, path="/apis/apps"), "None"),
        (asked(resource_request=False, path="/healthz"), "None"),  # no rule is about it
        (asked(resource="configmaps", namespace="kube-system", name="controller-leader"), "Request"),
        (asked(resource="configmaps", namespace="default", name="controller-leader"), "RequestResponse"),
        (asked(resource="pods", subresource="log"), "Metadata"),
        (asked(resource="nodes", subresource="status"), "Metadata"),
        (asked(resource="pods", subresource="exec"), "RequestResponse"),
        (asked(group="apps", resource="deployments", subresource="scale"), "RequestResponse"),
        (asked(group="apps", resource="deployments"), "None"),
    ],
)
def test_the_first_rule_that_matches_decides(tmp_path: Path, attributes: Attributes, level: str) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    assert load_policy(tmp_path / "policy.yaml").evaluate(attributes).level.text == level


def test_what_a_rule_leaves_out_adds_to_what_the_policy_does(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    policy = load_policy(tmp_path / "policy.yaml")
    log = policy.evaluate(asked(resource="pods", subresource="log"))
    assert (log.omitted, log.omit_managed_fields) == ({"RequestReceived", "Panic"}, False)
    pods = policy.evaluate(asked(resource="pods"))
    assert pods.level is Level.REQUEST_RESPONSE and pods.omit_managed_fields


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ("[]", "illegal policy with 0 rules"),
        ("[{level: Everything}]", r"rules\[0\].level"),
        ("[{level: None, nonResourceURLs: ['/a'], namespaces: ['b']}]", "both regular resources and non-resource"),
        ("[{level: None, nonResourceURLs: ['a*b']}]", "nonResourceURLs"),
        ("[{level: None, resources: [{group: apps/v1}]}]", "group"),
        ("[{level: None, resources: [{group: apps, resourceNames: [a]}]}]", "resourceNames"),
        ("[{level: None, omitStages: [Before]}]", "omitStages"),
        ("[{level: None, unknown: 1}]", "unknown"),
    ],
)
def test_policies_that_say_nothing_sensible_are_refused(tmp_path: Path, rules: str, why: str) -> None:
    (tmp_path / "policy.yaml").write_text(f"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: {rules}\n")
    with pytest.raises(ValueError, match=why):
        load_policy(tmp_path / "policy.yaml")
