"""PodTopologyLabels: a pod that is bound to a node learns the node's zone and region as labels of its own."""

from __future__ import annotations

from apiserver.admission.common import about
from apiserver.registry.admission import AdmissionAttributes, NoAdmission
from kubeling.api.meta import Object, labels_of
from kubeling.api.resources import NODES

_LABELS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


class PodTopologyLabels(NoAdmission):
    name = "PodTopologyLabels"
    resources = (("", "pods"), ("", "bindings"))

    def handles(self, attributes: AdmissionAttributes) -> bool:
        return about(attributes, "", "pods", ("CREATE",), ("", "binding")) or about(
            attributes, "", "bindings", ("CREATE",)
        )

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        obj = attributes.obj or {}
        name = _node_name(obj, binding=attributes.subresource == "binding" or attributes.resource.plural == "bindings")
        node = attributes.registries.of(NODES).cached(name) if name else None
        found = {key: value for key, value in labels_of(node or {}).items() if key in _LABELS}
        if found:
            metadata = obj.setdefault("metadata", {})
            metadata["labels"] = {**(metadata.get("labels") or {}), **found}


def _node_name(obj: Object, *, binding: bool) -> str:
    if not binding:
        return str((obj.get("spec") or {}).get("nodeName") or "")
    target = obj.get("target") or {}
    return str(target.get("name") or "") if target.get("kind") in ("Node", "", None) else ""
