"""What a pod must say because a quota limits it.

Source: documentation "Resource Quotas"; wording of k8s.io/kubernetes/pkg/quota/v1.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubeling.api.meta import Object
from kubeling.api.podresources import of_container


def missing_values(pod: Object, names: Iterable[str]) -> str:
    """What the pod's containers must state because a quota limits it: ``limits.memory for: c; requests.cpu for: c``."""
    lacking: dict[str, list[str]] = {}
    spec = pod.get("spec") or {}
    given = (spec.get("resources") or {}).get
    for name in names:
        kind, _, resource = name.partition(".")
        if resource not in ("cpu", "memory") or kind not in ("requests", "limits"):
            if name not in ("cpu", "memory"):
                continue
            kind, resource = "requests", name
        if resource in (given(kind) or {}):
            continue
        for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
            if resource not in of_container(container, kind):
                lacking.setdefault(name, []).append(container.get("name", ""))
    return "; ".join(f"{name} for: {','.join(sorted(set(lacking[name])))}" for name in sorted(lacking))
