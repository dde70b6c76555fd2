"""NodeRestriction: what kubelets may write."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.admission.node_restriction import NodeRestriction
from apiserver.http.request import User
from kubeling.api.errors import StatusError
from kubeling.api.resources import LEASES, NODES, PODS, SERVICE_ACCOUNTS

NODE = User("system:node:n1", groups=("system:nodes",))
OWNER = {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "u", "controller": True}


def mirror(**changes: Any) -> dict[str, Any]:
    metadata = {"name": "p", "annotations": {"kubernetes.io/config.mirror": "x"}, "ownerReferences": [OWNER]}
    return {"metadata": metadata, "spec": {"nodeName": "n1", **changes}}


def node(name: str = "n1", labels: Any = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **({"labels": labels} if labels else {})}, "spec": spec}


PLAIN = {"metadata": {"name": "p"}, "spec": {"nodeName": "n1"}}
TOKEN = {"spec": {"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "up"}}}


@pytest.mark.parametrize(
    ("resource", "operation", "subresource", "obj", "old", "text"),
    [
        (PODS, "CREATE", "", PLAIN, None, "can only create mirror pods"),
        (PODS, "CREATE", "", mirror(), None, ""),
        (PODS, "CREATE", "", mirror(nodeName="n2"), None, "can only create pods with spec.nodeName set to itself"),
        (
            PODS,
            "CREATE",
            "",
            mirror(serviceAccountName="x"),
            None,
            "can not create pods that reference a service account",
        ),
        (
            PODS,
            "CREATE",
            "",
            mirror(volumes=[{"name": "v", "secret": {"secretName": "s"}}]),
            None,
            "that reference secrets",
        ),
        (
            PODS,
            "DELETE",
            "",
            None,
            {"metadata": {"name": "p"}, "spec": {"nodeName": "n2"}},
            "can only delete pods with",
        ),
        (PODS, "DELETE", "", None, PLAIN, ""),
        (PODS, "UPDATE", "status", PLAIN, PLAIN, ""),
        (
            PODS,
            "UPDATE",
            "status",
            {**PLAIN, "metadata": {"name": "p", "labels": {"a": "b"}}},
            PLAIN,
            "cannot update labels",
        ),
        (PODS, "UPDATE", "", PLAIN, PLAIN, "can only create and delete mirror pods"),
        (NODES, "CREATE", "", node(), None, ""),
        (NODES, "CREATE", "", node("n2"), None, 'is not allowed to modify node "n2"'),
        (
            NODES,
            "CREATE",
            "",
            node(labels={"node-restriction.kubernetes.io/x": "y"}),
            None,
            "to set the following labels",
        ),
        (NODES, "CREATE", "", node(labels={"kubernetes.io/os": "linux", "x": "y"}), None, ""),
        (NODES, "UPDATE", "", node(taints=[]), node(taints=[{"key": "a"}]), "is not allowed to modify taints"),
        (NODES, "UPDATE", "", node(labels={"k8s.io/x": "y"}), node(), "is not allowed to modify labels: k8s.io/x"),
        (NODES, "DELETE", "", None, node("n2"), "is not allowed to modify node"),
        (SERVICE_ACCOUNTS, "CREATE", "token", TOKEN, None, ""),
        (SERVICE_ACCOUNTS, "CREATE", "token", {"spec": {}}, None, "node requested token not bound to a pod"),
        (LEASES, "UPDATE", "", {"metadata": {"name": "n1"}}, None, "can only access leases in the"),
    ],
)
async def test_nodes(
    attributes: Any, registries: Any, resource: Any, operation: str, subresource: str, obj: Any, old: Any, text: str
) -> None:
    registries.put(NODES, {"metadata": {"name": "n1", "uid": "u"}})
    registries.put(PODS, {"metadata": {"name": "p", "namespace": "ns", "uid": "up"}, "spec": {"nodeName": "n1"}})
    request = attributes(resource, obj, old, operation=operation, subresource=subresource, user=NODE)
    found = ""
    try:
        await NodeRestriction().validate(request)
    except StatusError as error:
        found = error.message
    assert text in found and bool(found) is bool(text)


async def test_others_are_not_restricted(attributes: Any) -> None:
    assert not NodeRestriction().handles(attributes(NODES, node("n2")))
