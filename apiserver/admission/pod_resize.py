"""PodResizeValidator: a pod may be resized only to what its node could ever give it, and only where a node can resize at all.

Source: plugin/pkg/admission/podresize.
"""

from __future__ import annotations

from collections.abc import Iterator

from apiserver.admission.common import about, refused
from apiserver.registry.admission import AdmissionAttributes, NoAdmission
from kubeling.api.errors import StatusError
from kubeling.api.meta import Object, labels_of, name_of
from kubeling.api.podresources import pod_requests, resources
from kubeling.api.quantity import parse
from kubeling.api.resources import NODES

_SYSTEM = "kubernetes.io/os"
_NONE = parse("0")


class PodResizeValidator(NoAdmission):
    name = "PodResizeValidator"
    resources = (("", "pods"),)

    def handles(self, attributes: AdmissionAttributes) -> bool:
        return about(attributes, "", "pods", ("UPDATE",), ("resize",))

    async def validate(self, attributes: AdmissionAttributes) -> None:
        pod, old = attributes.obj or {}, attributes.old_obj or {}
        where = pod["spec"].get("nodeName")
        if not where or pod["spec"] == old.get("spec"):
            return
        node = attributes.registries.of(NODES).cached(where)
        if node is None:
            raise refused(attributes, f'node "{where}" not found')
        system = labels_of(node).get(_SYSTEM, "linux")
        if system != "linux":
            why = f'pod resize is only supported on linux nodes, node "{name_of(node)}" is "{system}"'
            raise _because(refused(attributes, why), "UnsupportedPlatform")
        lacking = "; ".join(_lacking(pod, node))
        if lacking:
            why = f"node didn't have enough allocatable resources: {lacking}"
            raise _because(refused(attributes, why), "NodeCapacity")


def _lacking(pod: Object, node: Object) -> Iterator[str]:
    asked, given = pod_requests(pod), resources((node.get("status") or {}).get("allocatable"))
    for name in ("cpu", "memory"):
        wanted, has = asked.get(name, _NONE), given.get(name, _NONE)
        if wanted.value > has.value:
            shown = (q.milli() if name == "cpu" else q.integer() for q in (wanted, has))
            yield "{}, requested: {}, allocatable: {}".format(name, *shown)


def _because(error: StatusError, cause: str) -> StatusError:
    """Tells clients (autoscalers) why, so that they need not read the message."""
    error.status["details"]["causes"] = [{"reason": cause}]
    return error
