"""Decisions about requests of nodes (``system:node:NAME`` in group ``system:nodes``), with upstream's reasons.

Source: documentation "Using Node Authorization" and the messages of k8s.io/kubernetes/plugin/pkg/auth/authorizer/node.
"""

from __future__ import annotations

from collections.abc import Callable

from apiserver.authz.node.graph import NodeGraph
from apiserver.authz.rbac.rules import Rule
from apiserver.authz.union import ALLOWED, NO_OPINION, Rules
from apiserver.bootstrap.policy.cluster import NODE_RULES
from apiserver.bootstrap.policy.notation import rule
from apiserver.http.protocols import Attributes, Decision
from apiserver.http.request import User
from kubeling.api.selectors import SelectorError, parse_fields

NODE_PREFIX = "system:node:"
NODES_GROUP = "system:nodes"
LEASE_NAMESPACE = "kube-node-lease"
_OWN_VERBS = ("get", "create", "update", "patch", "delete")
_RULES = tuple(Rule.compile(rule(text)) for text in NODE_RULES)


def node_of(user: User) -> str | None:
    """The node's name, empty when the user has none, None when the user is no node."""
    if not user.name.startswith(NODE_PREFIX) or NODES_GROUP not in user.groups:
        return None
    return user.name.removeprefix(NODE_PREFIX)


def _no(reason: str) -> Decision:
    return Decision(False, reason)


class NodeAuthorizer:
    """One method a resource; what none of them judges is judged by the rules of ``system:node``."""

    def __init__(self, graph: NodeGraph) -> None:
        self._graph = graph
        self._judges: dict[tuple[str, str], Callable[[str, Attributes], Decision]] = {
            ("", "secrets"): self._read,
            ("", "configmaps"): self._read,
            ("", "persistentvolumeclaims"): self._claim,
            ("", "persistentvolumes"): self._get,
            ("", "serviceaccounts"): self._service_account,
            ("", "nodes"): _node,
            ("", "pods"): self._pod,
            ("resource.k8s.io", "resourceclaims"): self._get,
            ("resource.k8s.io", "resourceslices"): self._slice,
            ("storage.k8s.io", "volumeattachments"): self._get,
            ("storage.k8s.io", "csinodes"): _csi_node,
            ("coordination.k8s.io", "leases"): _lease,
        }

    async def authorize(self, attributes: Attributes) -> Decision:
        node = node_of(attributes.user)
        if node is None:
            return NO_OPINION
        if not node:
            return _no(f'unknown node for user "{attributes.user.name}"')
        if not attributes.resource_request:
            return NO_OPINION
        judge = self._judges.get((attributes.group, attributes.resource))
        if judge is not None:
            return judge(node, attributes)
        covered = any(
            r.covers_resource(attributes.verb, attributes.group, attributes.resource, attributes.subresource)
            for r in _RULES
        )
        return ALLOWED if covered else NO_OPINION

    async def rules_for(self, user: User, namespace: str) -> Rules:
        if node_of(user) is None:
            return [], [], False, ""
        return [], [], True, "node authorizer does not support user rule resolution"

    def _connected(self, node: str, attributes: Attributes) -> Decision:
        if not attributes.name:
            return _no("No Object name found")
        if self._graph.connects(node, (attributes.resource, attributes.namespace, attributes.name)):
            return ALLOWED
        return _no(f"no relationship found between node '{node}' and this object")

    def _get(self, node: str, attributes: Attributes) -> Decision:
        if attributes.verb != "get":
            return _no("can only get individual resources of this type")
        if attributes.subresource:
            return _no("cannot get subresource")
        return self._connected(node, attributes)

    def _read(self, node: str, attributes: Attributes) -> Decision:
        if attributes.verb not in ("get", "list", "watch"):
            return _no("can only read resources of this type")
        if attributes.subresource:
            return _no("cannot read subresource")
        if not attributes.namespace:
            return _no("can only read namespaced object of this type")
        return self._connected(node, attributes)

    def _claim(self, node: str, attributes: Attributes) -> Decision:
        if attributes.subresource != "status":
            return self._get(node, attributes)
        if attributes.verb not in ("update", "patch"):
            return _no("can only get/update/patch this type")
        return self._connected(node, attributes)

    def _service_account(self, node: str, attributes: Attributes) -> Decision:
        if attributes.subresource != "token":
            return self._get(node, attributes)
        if attributes.verb != "create" or not attributes.name:
            return _no("can only create tokens for individual service accounts")
        return self._connected(node, attributes)

    def _pod(self, node: str, attributes: Attributes) -> Decision:
        match attributes.subresource, attributes.verb:
            case "", "get":
                return self._get(node, attributes)
            case "", "list" | "watch":
                if _selects_node(attributes, node):
                    return ALLOWED
                return _no("can only list/watch pods with spec.nodeName field selector")
            case ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create"):
                return ALLOWED  # the NodeRestriction admission plugin limits these to pods of the node
        return NO_OPINION

    def _slice(self, node: str, attributes: Attributes) -> Decision:
        if attributes.subresource:
            return _no("cannot authorize ResourceSlice subresources")
        match attributes.verb:
            case "create":
                return ALLOWED
            case "get" | "update" | "patch" | "delete":
                return self._connected(node, attributes)
            case "list" | "watch" | "deletecollection":
                if _selects_node(attributes, node):
                    return ALLOWED
                return _no("can only list/watch/deletecollection resourceslices with nodeName field selector")
        verbs = "get, create, update, patch, delete, list, watch, deletecollection"
        return _no(f"only the following verbs are allowed for a ResourceSlice: {verbs}")


def _selects_node(attributes: Attributes, node: str) -> bool:
    """Whether the field selector asks for the node's objects alone."""
    if not attributes.field_selector:
        return False
    try:
        selector = parse_fields(attributes.field_selector)
    except SelectorError:
        return False
    return selector.required("spec.nodeName") == node


def _node(node: str, attributes: Attributes) -> Decision:
    match attributes.subresource, attributes.verb:
        case ("", "create" | "update" | "patch") | ("status", "update" | "patch"):
            return ALLOWED  # the NodeRestriction admission plugin limits these to the node's own object
        case "", "get" | "list" | "watch":
            if attributes.name == node:
                return ALLOWED
            what = f"'{attributes.name}'" if attributes.name else "all nodes"
            return _no(f"node '{node}' cannot read {what}, only its own Node object")
    return NO_OPINION


def _lease(node: str, attributes: Attributes) -> Decision:
    if attributes.verb not in _OWN_VERBS:
        return _no("can only get, create, update, patch, or delete a node lease")
    if attributes.namespace != LEASE_NAMESPACE:
        return _no(f'can only access leases in the "{LEASE_NAMESPACE}" system namespace')
    if attributes.verb != "create" and attributes.name != node:
        return _no("can only access node lease with the same name as the requesting node")
    return ALLOWED


def _csi_node(node: str, attributes: Attributes) -> Decision:
    if attributes.verb not in _OWN_VERBS:
        return _no("can only get, create, update, patch, or delete a CSINode")
    if attributes.subresource:
        return _no("cannot authorize CSINode subresources")
    if attributes.verb != "create" and attributes.name != node:
        return _no("can only access CSINode with the same name as the requesting node")
    return ALLOWED
