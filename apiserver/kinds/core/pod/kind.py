"""The declaration of the Pod kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from apiserver.kinds.core.pod.binding import BindingStrategy, bind
from apiserver.kinds.core.pod.eviction import evict
from apiserver.kinds.core.pod.printer import PRINTER, pod_ip
from apiserver.kinds.core.pod.strategy import PodStrategy
from apiserver.kinds.core.pod.subresources import EphemeralContainersStrategy, PodStatusStrategy, ResizeStrategy
from apiserver.registry.kind import Kind
from kubeling.api.meta import Object
from kubeling.api.resources import PODS


def _field(part: str, name: str) -> Callable[[Object], str]:
    return lambda pod: str((pod.get(part) or {}).get(name) or "")


FIELD_SELECTORS: Mapping[str, Callable[[Object], str]] = {
    "spec.nodeName": _field("spec", "nodeName"),
    "spec.host": _field("spec", "nodeName"),
    "spec.restartPolicy": _field("spec", "restartPolicy"),
    "spec.schedulerName": _field("spec", "schedulerName"),
    "spec.serviceAccountName": _field("spec", "serviceAccountName"),
    "spec.hostNetwork": lambda pod: "true" if (pod.get("spec") or {}).get("hostNetwork") else "false",
    "status.phase": _field("status", "phase"),
    "status.podIP": lambda pod: pod_ip(pod.get("status") or {}),
    "status.podIPs": lambda pod: "",  # accepted by upstream, but no pod has a value for it
    "status.nominatedNodeName": _field("status", "nominatedNodeName"),
}

POD = Kind(
    PODS,
    PodStrategy(),
    PRINTER,
    status=PodStatusStrategy(),
    updates={
        "ephemeralcontainers": EphemeralContainersStrategy(),
        "resize": ResizeStrategy(),
        "binding": BindingStrategy(),
    },
    actions={"binding": bind, "eviction": evict},
    field_selectors=FIELD_SELECTORS,
    returns_deleted=True,
)
