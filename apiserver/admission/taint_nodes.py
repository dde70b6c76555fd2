"""TaintNodesByCondition: a new node is tainted not ready until the node controller knows better."""

from __future__ import annotations

from apiserver.admission.common import about
from apiserver.registry.admission import AdmissionAttributes, NoAdmission

_KEY, _EFFECT = "node.kubernetes.io/not-ready", "NoSchedule"


class TaintNodesByCondition(NoAdmission):
    name = "TaintNodesByCondition"
    resources = (("", "nodes"),)

    def handles(self, attributes: AdmissionAttributes) -> bool:
        return about(attributes, "", "nodes", ("CREATE",))

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        spec = (attributes.obj or {}).setdefault("spec", {})
        taints = spec.get("taints") or []
        if not any(t.get("key") == _KEY and t.get("effect") == _EFFECT for t in taints):
            spec["taints"] = [*taints, {"key": _KEY, "effect": _EFFECT}]
