"""The Node authorizer and its graph."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.authz.node.authorizer import NodeAuthorizer
from apiserver.authz.node.graph import NodeGraph
from apiserver.http.protocols import Attributes
from apiserver.http.request import User

NODE = User("system:node:n1", groups=("system:nodes", "system:authenticated"))

POD: dict[str, Any] = {
    "metadata": {"name": "p", "namespace": "ns"},
    "spec": {
        "nodeName": "n1",
        "serviceAccountName": "bot",
        "imagePullSecrets": [{"name": "pull"}],
        "containers": [
            {
                "envFrom": [{"configMapRef": {"name": "env"}}],
                "env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "key"}}}],
            }
        ],
        "volumes": [
            {"name": "s", "secret": {"secretName": "sec"}},
            {"name": "c", "persistentVolumeClaim": {"claimName": "claim"}},
            {"name": "p", "projected": {"sources": [{"configMap": {"name": "projected"}}]}},
        ],
    },
}
VOLUME = {
    "metadata": {"name": "pv"},
    "spec": {
        "claimRef": {"namespace": "ns", "name": "claim"},
        "csi": {"nodeStageSecretRef": {"namespace": "csi", "name": "stage"}},
    },
}


@pytest.fixture
def graph() -> NodeGraph:
    made = NodeGraph()
    made.pod_changed(None, POD)
    made.volume_changed(None, VOLUME)
    return made


@pytest.mark.parametrize(
    ("reference", "connected"),
    [
        (("pods", "ns", "p"), True),
        (("secrets", "ns", "sec"), True),
        (("secrets", "ns", "key"), True),
        (("secrets", "ns", "pull"), True),
        (("configmaps", "ns", "env"), True),
        (("configmaps", "ns", "projected"), True),
        (("persistentvolumeclaims", "ns", "claim"), True),
        (("persistentvolumes", "", "pv"), True),
        (("secrets", "csi", "stage"), True),
        (("serviceaccounts", "ns", "bot"), True),
        (("secrets", "ns", "other"), False),
        (("secrets", "elsewhere", "sec"), False),
    ],
)
def test_a_node_reaches_what_its_pods_need(graph: NodeGraph, reference: tuple[str, str, str], connected: bool) -> None:
    assert graph.connects("n1", reference) is connected
    assert not graph.connects("n2", reference)


def test_a_pod_that_goes_takes_its_rights_along(graph: NodeGraph) -> None:
    graph.pod_changed(POD, None)
    assert not graph.connects("n1", ("secrets", "ns", "sec"))


def test_a_mirror_pod_gives_no_rights() -> None:
    graph = NodeGraph()
    metadata = {**POD["metadata"], "annotations": {"kubernetes.io/config.mirror": "x"}}
    graph.pod_changed(None, {**POD, "metadata": metadata})
    assert graph.connects("n1", ("pods", "ns", "p"))
    assert not graph.connects("n1", ("secrets", "ns", "sec"))


@pytest.mark.parametrize(
    ("question", "allowed", "reason"),
    [
        ({"verb": "get", "resource": "secrets", "namespace": "ns", "name": "sec"}, True, ""),
        ({"verb": "get", "resource": "secrets", "namespace": "ns", "name": "no"}, False, "no relationship found"),
        ({"verb": "list", "resource": "secrets", "namespace": "ns"}, False, "No Object name found"),
        ({"verb": "create", "resource": "secrets", "namespace": "ns"}, False, "can only read resources of this type"),
        ({"verb": "get", "resource": "nodes", "name": "n1"}, True, ""),
        ({"verb": "get", "resource": "nodes", "name": "n2"}, False, "node 'n1' cannot read 'n2', only its own Node object"),
        ({"verb": "list", "resource": "nodes"}, False, "node 'n1' cannot read all nodes, only its own Node object"),
        ({"verb": "list", "resource": "pods"}, False, "can only list/watch pods with spec.nodeName field selector"),
        ({"verb": "list", "resource": "pods", "field_selector": "spec.nodeName=n1"}, True, ""),
        ({"verb": "list", "resource": "pods", "field_selector": "spec.nodeName=n2"}, False, "can only list/watch"),
        ({"verb": "create", "resource": "serviceaccounts", "subresource": "token", "namespace": "ns", "name": "bot"}, True, ""),
        ({"verb": "update", "group": "coordination.k8s.io", "resource": "leases", "namespace": "kube-node-lease",
          "name": "n1"}, True, ""),
        ({"verb": "update", "group": "coordination.k8s.io", "resource": "leases", "namespace": "kube-node-lease",
          "name": "n2"}, False, "can only access node lease with the same name"),
        ({"verb": "list", "resource": "services"}, True, ""),
        ({"verb": "delete", "resource": "services", "namespace": "ns", "name": "x"}, False, ""),
    ],
)  # fmt: skip
async def test_decisions(graph: NodeGraph, question: dict[str, Any], allowed: bool, reason: str) -> None:
    decision = await NodeAuthorizer(graph).authorize(Attributes(NODE, **question))
    assert decision.allowed is allowed
    assert reason in decision.reason


async def test_others_are_none_of_its_business(graph: NodeGraph) -> None:
    question = Attributes(User("system:node:n1"), "get", resource="nodes", name="n1")
    assert not (await NodeAuthorizer(graph).authorize(question)).allowed
