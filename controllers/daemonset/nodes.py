"""Which nodes a DaemonSet's pods belong on, and the pod for a node. Pure.

Source of the rules: the DaemonSet documentation (taints and tolerations of its pods, node affinity for placement).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

from controllers.lib.pods import pod_from_template
from kubeling.api.meta import Object, annotations_of, name_of
from kubeling.api.placement import selects_node, untolerated

HASH_LABEL = "controller-revision-hash"
GENERATION_LABEL = "pod-template-generation"
GENERATION = "deprecated.daemonset.template.generation"
_TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
_HOST_NETWORK = ("node.kubernetes.io/network-unavailable", "NoSchedule")


class Placement(NamedTuple):
    """``run``: a pod belongs here; ``stay``: one that is here already may remain."""

    run: bool
    stay: bool


def tolerations_of(spec: Mapping[str, Any]) -> list[Object]:
    """The template's tolerations with those that every DaemonSet pod has."""
    found: list[Object] = list(spec.get("tolerations") or ())
    for key, effect in [*_TOLERATED, *([_HOST_NETWORK] if spec.get("hostNetwork") else [])]:
        made = {"key": key, "operator": "Exists", "effect": effect}
        same = [
            i for i, t in enumerate(found) if {**t, "tolerationSeconds": None} == {**made, "tolerationSeconds": None}
        ]
        for index in same:
            found[index] = made
        if not same:
            found.append(made)
    return found


def placement(owner: Object, node: Object) -> Placement:
    spec = owner["spec"]["template"].get("spec") or {}
    if spec.get("nodeName") and spec["nodeName"] != name_of(node):
        return Placement(False, False)
    if not selects_node(spec, node):
        return Placement(False, False)
    taints, tolerations = (node.get("spec") or {}).get("taints") or (), tolerations_of(spec)
    if untolerated(taints, tolerations, ("NoExecute",)):
        return Placement(False, False)
    return Placement(not untolerated(taints, tolerations, ("NoSchedule",)), True)


def node_of(pod: Object) -> str:
    """The pod's node: the one that it is bound to, or the one that it is meant for; empty where that cannot be told."""
    spec = pod.get("spec") or {}
    if spec.get("nodeName"):
        return str(spec["nodeName"])
    required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    ) or {}
    for values in _names(required.get("nodeSelectorTerms") or ()):
        return values[0] if len(values) == 1 else ""
    return ""


def _names(terms: Iterable[Object]) -> Iterable[list[str]]:
    for term in terms:
        for field in term.get("matchFields") or ():
            if field.get("key") == "metadata.name" and field.get("operator") == "In":
                yield field.get("values") or []


def pod_for(owner: Object, node_name: str, hashed: str) -> Object:
    """The pod for a node, bound to it by node affinity so that the scheduler places it there."""
    pod = pod_from_template(owner, owner["spec"]["template"])
    labels = pod["metadata"].setdefault("labels", {})
    labels[HASH_LABEL] = hashed
    generation = annotations_of(owner).get(GENERATION, "")
    if generation.isascii() and generation.removeprefix("-").isdecimal():
        labels[GENERATION_LABEL] = generation
    spec = pod["spec"]
    spec["tolerations"] = deepcopy(tolerations_of(spec))
    affinity = spec.setdefault("affinity", {}).setdefault("nodeAffinity", {})
    here = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node_name]}]}
    affinity["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": [here]}
    return pod
