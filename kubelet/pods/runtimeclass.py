"""The runtime handler that a pod's RuntimeClass names (pkg/kubelet/runtimeclass)."""

from __future__ import annotations

from kubelet.pods import spec as podspec
from kubelet.runtime.protocol import RuntimeFailure
from kubelet.volumes.base import Objects, VolumeError
from kubeling.api.meta import Object
from kubeling.api.resources import RUNTIME_CLASSES

# the engine runs every container with its own default, which is runc
_HANDLERS = frozenset({"", "runc"})


def require_engine_abilities(pod: Object) -> None:
    """Raises RuntimeFailure for what the engine cannot give to one pod alone."""
    spec = podspec.spec_of(pod)
    if spec.get("hostUsers") is False:
        # Docker maps users for the whole engine (userns-remap) or not at all
        raise RuntimeFailure("can't set `spec.hostUsers: false`, runtime does not support user namespaces")
    if claims := [c["name"] for c in spec.get("resourceClaims") or ()]:
        raise RuntimeFailure(
            f"failed to prepare dynamic resources: no DRA driver is registered here for {', '.join(claims)}"
        )


async def require_runtime_handler(pod: Object, objects: Objects) -> None:
    """Raises RuntimeFailure when the pod's RuntimeClass is unknown or its handler is none of ours."""
    name = podspec.spec_of(pod).get("runtimeClassName") or ""
    if not name:
        return
    try:
        found = await objects.get(RUNTIME_CLASSES, "", name, podspec.ref_of(pod).uid)
    except VolumeError as err:
        raise RuntimeFailure(f"failed to lookup RuntimeClass {name}: {err}") from err
    if found is None:
        raise RuntimeFailure(f'runtimeclass.node.k8s.io "{name}" not found')
    handler = found.get("handler") or ""
    if handler not in _HANDLERS:
        raise RuntimeFailure(
            f'rpc error: code = Unknown desc = failed to get sandbox runtime: no runtime for "{handler}" is configured'
        )
