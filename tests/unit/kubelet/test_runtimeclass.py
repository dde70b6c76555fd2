"""Pods that name a RuntimeClass, and what the kubelet has no runtime for."""

from __future__ import annotations

from typing import Any

import pytest

from kubelet.pods.runtimeclass import runtime_handler
from kubelet.runtime.protocol import RuntimeFailure
from kubelet.volumes.base import ObjectUnavailable

UNREACHABLE = "unreachable"


class Classes:
    """RuntimeClasses: their handlers by name."""

    def __init__(self, **handlers: str) -> None:
        self.handlers = handlers

    async def get(self, resource: Any, namespace: str, name: str, pod_uid: str) -> Any:
        if name == UNREACHABLE:
            raise ObjectUnavailable("the server is away")
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
