"""The runtime handler that a pod's RuntimeClass names (pkg/kubelet/runtimeclass)."""

from __future__ import annotations

from kubelet.pods import spec as podspec
from kubelet.runtime.protocol import Runtime, RuntimeFailure
from kubelet.volumes.base import Objects, ObjectUnavailable
from kubeling.api.meta import Object
from kubeling.api.resources import RUNTIME_CLASSES


def require_engine_abilities(pod: Object) -> None:
    """Raises RuntimeFailure for what the engine cannot give to one pod alone."""
    spec = podspec.spec_of(pod)
    if spec.get("hostUsers") is False:
        # Docker maps users for the whole engine (userns-remap) or not at all
        raise RuntimeFailure("can't set `spec.hostUsers: false`, runtime does not support user namespaces")


async def runtime_handler(pod: Object, objects: Objects, runtime: Runtime) -> str:
    """The handler of the pod's RuntimeClass, empty for the engine's default.

    Raises RuntimeFailure when the class is unknown or the engine has no runtime of the handler's name.
    """
    name = podspec.spec_of(pod).get("runtimeClassName") or ""
    if not name:
        return ""
    try:
        found = await objects.get(RUNTIME_CLASSES, "", name, podspec.ref_of(pod).uid)
    except ObjectUnavailable as err:
        raise RuntimeFailure(f"failed to lookup RuntimeClass {name}: {err}") from err
    if found is None:
        raise RuntimeFailure(f'runtimeclass.node.k8s.io "{name}" not found')
    handler = found.get("handler") or ""
    if handler and handler not in (await runtime.version())["handlers"]:
        raise RuntimeFailure(
            f'rpc error: code = Unknown desc = failed to get sandbox runtime: no runtime for "{handler}" is configured'
        )
    return str(handler)
