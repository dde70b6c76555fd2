"""Pods that name a RuntimeClass, and what the kubelet has no runtime for."""

from __future__ import annotations

from typing import Any

import pytest

from kubelet.containers.build import VolumePath, container_mounts
from kubelet.containers.failure import ConfigError
from kubelet.pods.runtimeclass import runtime_handler
from kubelet.runtime.protocol import RuntimeFailure
from kubelet.volumes.base import VolumeError

UNREACHABLE = "unreachable"


class Classes:
    """RuntimeClasses: their handlers by name."""

    def __init__(self, **handlers: str) -> None:
        self.handlers = handlers

    async def get(self, resource: Any, namespace: str, name: str, pod_uid: str) -> Any:
        if name == UNREACHABLE:
            raise VolumeError("the server is away")
        return {"handler": self.handlers[name]} if name in self.handlers else None


class Engine:
    """One with runc and another runtime."""

    async def version(self) -> Any:
        return {"handlers": ("crun", "runc")}


ENGINE: Any = Engine()


def pod(name: str | None) -> dict[str, Any]:
    return {"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": {"runtimeClassName": name}}


@pytest.mark.parametrize(("name", "handler"), [(None, ""), ("plain", "runc"), ("other", "crun"), ("empty", "")])
async def test_the_engines_runtimes_run(name: str | None, handler: str) -> None:
    assert await runtime_handler(pod(name), Classes(plain="runc", other="crun", empty=""), ENGINE) == handler


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("sandboxed", 'failed to get sandbox runtime: no runtime for "gvisor" is configured'),
        ("missing", 'runtimeclass.node.k8s.io "missing" not found'),
        (UNREACHABLE, "failed to lookup RuntimeClass unreachable: the server is away"),
    ],
)
async def test_other_handlers_are_refused(name: str, why: str) -> None:
    with pytest.raises(RuntimeFailure) as failure:
        await runtime_handler(pod(name), Classes(sandboxed="gvisor"), ENGINE)
    assert str(failure.value).endswith(why)


@pytest.mark.parametrize("mode", [None, "Disabled", "IfPossible"])
def test_recursive_read_only_is_plain_read_only_where_that_will_do(mode: str | None) -> None:
    container = {"name": "c", "volumeMounts": [_mount(mode)]}
    (mount, _), *_ = container_mounts(container, {"v": VolumePath("/v")}, {})
    assert mount.read_only


def test_recursive_read_only_is_refused_where_it_is_demanded() -> None:
    container = {"name": "c", "volumeMounts": [_mount("Enabled")]}
    with pytest.raises(ConfigError, match=r'^failed to resolve recursive read-only mode: volume "v" requested'):
        container_mounts(container, {"v": VolumePath("/v")}, {})


def _mount(mode: str | None) -> dict[str, Any]:
    return {"name": "v", "mountPath": "/m", "readOnly": True, "recursiveReadOnly": mode}
