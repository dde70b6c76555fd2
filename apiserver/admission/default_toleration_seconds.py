"""DefaultTolerationSeconds: a pod stays five minutes on a node that is not ready or not reachable, unless it says otherwise."""

from __future__ import annotations

from apiserver.admission.common import about
from apiserver.registry.admission import AdmissionAttributes, NoAdmission
from kubeling.api.meta import Object

_TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_SECONDS = 300


class DefaultTolerationSeconds(NoAdmission):
    name = "DefaultTolerationSeconds"
    resources = (("", "pods"),)

    def handles(self, attributes: AdmissionAttributes) -> bool:
        return about(attributes, "", "pods", ("CREATE", "UPDATE"))

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        spec = (attributes.obj or {}).setdefault("spec", {})
        tolerations = spec.get("tolerations") or []
        added = [
            {"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _SECONDS}
            for taint in _TAINTS
            if not any(_tolerates(toleration, taint) for toleration in tolerations)
        ]
        if added:
            spec["tolerations"] = [*tolerations, *added]


def _tolerates(toleration: Object, taint: str) -> bool:
    return toleration.get("key") in (taint, "", None) and toleration.get("effect") in ("NoExecute", "", None)
