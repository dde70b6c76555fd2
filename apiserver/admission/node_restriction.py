"""NodeRestriction: a kubelet changes its own node and the pods bound to it, nothing else.

Source: documentation "Admission Control", section NodeRestriction; wording of
k8s.io/kubernetes/plugin/pkg/admission/noderestriction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from apiserver.admission.common import refused
from apiserver.admission.service_account import MIRROR_ANNOTATION
from apiserver.authz.node.authorizer import LEASE_NAMESPACE, node_of
from apiserver.authz.node.graph import pod_references
from apiserver.registry.admission import AdmissionAttributes, NoAdmission
from kubeling.api import errors
from kubeling.api.meta import Object, annotations_of, labels_of, name_of, uid_of
from kubeling.api.resources import NODES, PODS

_KUBELET_LABELS = frozenset(
    {
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
        "node.kubernetes.io/instance-type",
        "beta.kubernetes.io/instance-type",
        "kubernetes.io/os",
        "kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
    }
)
_KUBELET_PREFIXES = ("kubelet.kubernetes.io", "node.kubernetes.io")
_SECONDARY = {
    "secrets": "secrets",
    "configmaps": "configmaps",
    "persistentvolumeclaims": "persistentvolumeclaims",
    "resourceclaims": "resourceclaims",
}


class NodeRestriction(NoAdmission):
    """Checks after all mutation: what counts is what would be stored."""

    name = "NodeRestriction"

    def handles(self, attributes: AdmissionAttributes) -> bool:
        return node_of(attributes.user) is not None and attributes.operation != "CONNECT"

    async def validate(self, attributes: AdmissionAttributes) -> None:
        node = node_of(attributes.user) or ""
        if not node:
            raise refused(attributes, f"could not determine node from user {json.dumps(attributes.user.name)}")
        problem = self._problem(attributes, node)
        if problem:
            raise refused(attributes, problem)

    def _problem(self, attributes: AdmissionAttributes, node: str) -> str:
        match attributes.resource.group, attributes.resource.plural:
            case "", "pods":
                return _pod(attributes, node)
            case "", "nodes":
                return _node(attributes, node)
            case "", "persistentvolumeclaims":
                return _claim(attributes, node)
            case "", "serviceaccounts" if attributes.subresource == "token":
                return _token(attributes, node)
            case "coordination.k8s.io", "leases":
                return _lease(attributes, node)
            case "storage.k8s.io", "csinodes":
                return _own_name(attributes, node, "CSINode")
            case "resource.k8s.io", "resourceslices":
                return _slice(attributes, node)
        return ""


def _pod(attributes: AdmissionAttributes, node: str) -> str:
    shown = json.dumps(node)
    match attributes.subresource, attributes.operation:
        case "", "CREATE":
            return _mirror_pod(attributes, node)
        case "", "DELETE":
            if not _runs_on(attributes.old_obj, node):
                return f"node {shown} can only delete pods with spec.nodeName set to itself"
            return ""
        case "", operation:
            return f"unexpected operation {json.dumps(operation)}, node {shown} can only create and delete mirror pods"
        case "status", "UPDATE":
            return _pod_status(attributes, node)
        case "eviction", "CREATE":
            pod = attributes.registries.of(PODS).cached(attributes.name, attributes.namespace)
            if not _runs_on(pod, node):
                return f"node {node} can only evict pods with spec.nodeName set to itself"
            return ""
    return f"unexpected pod subresource {json.dumps(attributes.subresource)}, only 'status' and 'eviction' are allowed"


def _runs_on(pod: Object | None, node: str) -> bool:
    return ((pod or {}).get("spec") or {}).get("nodeName") == node


def _mirror_pod(attributes: AdmissionAttributes, node: str) -> str:
    pod, shown = attributes.obj or {}, json.dumps(node)
    if MIRROR_ANNOTATION not in annotations_of(pod):
        annotation = json.dumps(MIRROR_ANNOTATION)
        return f"pod does not have {annotation} annotation, node {shown} can only create mirror pods"
    if not _runs_on(pod, node):
        return f"node {shown} can only create pods with spec.nodeName set to itself"
    problem = _owner(attributes, pod, node)
    if problem:
        return problem
    unmarked = {**pod, "metadata": {"name": name_of(pod)}}
    for plural, _, _ in pod_references(unmarked):
        if plural == "serviceaccounts":
            return f"node {shown} can not create pods that reference a service account"
        if plural in _SECONDARY:
            return f"node {shown} can not create pods that reference {_SECONDARY[plural]}"
    return ""


def _owner(attributes: AdmissionAttributes, pod: Object, node: str) -> str:
    shown = json.dumps(node)
    owners = (pod.get("metadata") or {}).get("ownerReferences") or []
    if len(owners) > 1:
        return f"node {shown} can only create pods with a single owner reference set to itself"
    if not owners:
        return f"node {shown} can only create pods with an owner reference set to itself"
    owner = owners[0]
    if (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) != ("v1", "Node", node):
        return f"node {shown} can only create pods with an owner reference set to itself"
    if not owner.get("controller"):
        return f"node {shown} can only create pods with a controller owner reference set to itself"
    if owner.get("blockOwnerDeletion"):
        return f"node {shown} must not set blockOwnerDeletion on an owner reference"
    stored = attributes.registries.of(NODES).cached(node)
    if stored is None:
        raise errors.not_found("", "nodes", node)
    if uid_of(stored) != owner.get("uid"):
        return f"node {shown} UID mismatch: expected {uid_of(stored)} got {owner.get('uid', '')}"
    return ""


def _pod_status(attributes: AdmissionAttributes, node: str) -> str:
    shown, pod, old = json.dumps(node), attributes.obj or {}, attributes.old_obj or {}
    if not _runs_on(old, node):
        return f"node {shown} can only update pod status for pods with spec.nodeName set to itself"
    if labels_of(pod) != labels_of(old):
        return f"node {shown} cannot update labels through pod status"
    claims, before = ((obj.get("status") or {}).get("resourceClaimStatuses") for obj in (pod, old))
    if claims != before:
        return f"node {shown} cannot update resource claim statuses"
    return ""


def _node(attributes: AdmissionAttributes, node: str) -> str:
    shown, name = json.dumps(node), attributes.name
    if attributes.operation == "CREATE":
        obj = attributes.obj or {}
        name = name_of(obj)
        forbidden = _forbidden_labels(labels_of(obj))
        if forbidden:
            return f"node {shown} is not allowed to set the following labels: {', '.join(forbidden)}"
    elif attributes.operation == "UPDATE":
        new, old = attributes.obj or {}, attributes.old_obj or {}
        problem = _node_update(shown, new, old)
        if problem and name == node:
            return problem
    if name != node:
        return f"node {shown} is not allowed to modify node {json.dumps(name)}"
    return ""


def _node_update(shown: str, new: Object, old: Object) -> str:
    if (new.get("metadata") or {}).get("ownerReferences") != (old.get("metadata") or {}).get("ownerReferences"):
        return f"node {shown} is not allowed to modify ownerReferences"
    if (new.get("spec") or {}).get("taints") != (old.get("spec") or {}).get("taints"):
        return f"node {shown} is not allowed to modify taints"
    labels, before = labels_of(new), labels_of(old)
    changed = {k: "" for k in labels.keys() | before.keys() if labels.get(k) != before.get(k)}
    forbidden = _forbidden_labels(changed)
    return f"is not allowed to modify labels: {', '.join(forbidden)}" if forbidden else ""


def _forbidden_labels(labels: Mapping[str, str]) -> list[str]:
    """Those in Kubernetes' own domains that kubelets have no business with, sorted."""
    found = []
    for label in labels:
        domain = label.rpartition("/")[0]
        if not (domain in ("kubernetes.io", "k8s.io") or domain.endswith((".kubernetes.io", ".k8s.io"))):
            continue
        own = any(domain == prefix or domain.endswith("." + prefix) for prefix in _KUBELET_PREFIXES)
        if label not in _KUBELET_LABELS and not own:
            found.append(label)
    return sorted(found)


def _claim(attributes: AdmissionAttributes, node: str) -> str:
    if attributes.subresource != "status":
        return "may only update PVC status"
    if attributes.operation != "UPDATE":
        return f"unexpected operation {json.dumps(attributes.operation)}"
    new, old = attributes.obj or {}, attributes.old_obj or {}
    kept = all(new.get(field) == old.get(field) for field in ("spec",)) and labels_of(new) == labels_of(old)
    return "" if kept else f"node {json.dumps(node)} is not allowed to update fields other than status of a claim"


def _token(attributes: AdmissionAttributes, node: str) -> str:
    reference = (((attributes.obj or {}).get("spec") or {}).get("boundObjectRef")) or {}
    if not reference:
        return "node requested token not bound to a pod"
    if (reference.get("apiVersion"), reference.get("kind")) != ("v1", "Pod"):
        return "node requested token not bound to a pod"
    if not reference.get("uid"):
        return f"node requested token with a pod binding without a uid; pod: {reference.get('name', '')}"
    pod = attributes.registries.of(PODS).cached(reference.get("name", ""), attributes.namespace)
    if pod is None:
        raise errors.not_found("", "pods", reference.get("name", ""))
    if uid_of(pod) != reference["uid"]:
        return f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record ({uid_of(pod)})"
    if not _runs_on(pod, node):
        return "node requested token bound to a pod scheduled on a different node"
    return ""


def _lease(attributes: AdmissionAttributes, node: str) -> str:
    if attributes.namespace != LEASE_NAMESPACE:
        return f"can only access leases in the {json.dumps(LEASE_NAMESPACE)} system namespace"
    return _own_name(attributes, node, "node lease")


def _own_name(attributes: AdmissionAttributes, node: str, what: str) -> str:
    name = name_of(attributes.obj or {}) if attributes.operation == "CREATE" else attributes.name
    return "" if name == node else f"can only access {what} with the same name as the requesting node"


def _slice(attributes: AdmissionAttributes, node: str) -> str:
    obj = attributes.old_obj if attributes.operation == "DELETE" else attributes.obj
    if ((obj or {}).get("spec") or {}).get("nodeName") == node:
        return ""
    verb = {"CREATE": "create", "DELETE": "delete"}.get(attributes.operation, "update")
    return f"can only {verb} ResourceSlice with the same NodeName as the requesting node"
