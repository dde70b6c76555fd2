"""What the volume sources share: their context, their failure, and payloads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from kubelet.containers.build import VolumePath
from kubelet.pods import spec as podspec
from kubelet.runtime.protocol import Runtime
from kubeling.api.meta import Object
from kubeling.api.resource import Resource


class VolumeError(Exception):
    """A volume that cannot be set up now; the message goes into a FailedMount event."""


class UnprocessedVolume(VolumeError):
    """Nothing is known yet of what is to be mounted: no claim, no binding, no such kind of volume."""


class Objects(Protocol):
    """API objects that pods name."""

    async def get(self, resource: Resource, namespace: str, name: str, pod_uid: str) -> Object | None:
        """The newest state known, None where there is none. The pod hears of later changes."""
        ...


class Tokens(Protocol):
    async def token(self, namespace: str, account: str, *, audience: str, seconds: int, pod: Object) -> str:
        """A token bound to the pod, from memory while it is fresh."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """One volume of one pod. ``folder`` is the volume's own directory, which need not exist yet."""

    pod: Object
    volume: Object
    folder: Path
    objects: Objects
    tokens: Tokens
    runtime: Runtime
    allocatable: Mapping[str, str]
    pod_ip: str = ""
    host_ip: str = ""

    @property
    def uid(self) -> str:
        return podspec.ref_of(self.pod).uid

    @property
    def namespace(self) -> str:
        return podspec.ref_of(self.pod).namespace

    @property
    def fs_group(self) -> int | None:
        context = podspec.spec_of(self.pod).get("securityContext") or {}
        group: int | None = context.get("fsGroup")
        return group


@dataclass(frozen=True, slots=True)
class PayloadFile:
    """``mode`` as permission bits, ``owner`` None for root."""

    data: bytes
    mode: int
    owner: int | None = None


Payload = dict[str, PayloadFile]


class Source(Protocol):
    """A kind of volume, named after its field in the pod spec. Each raises VolumeError."""

    async def set_up(self, context: Context, source: Mapping[str, Any]) -> VolumePath: ...

    async def tear_down(self, folder: Path) -> None: ...


class PayloadSource(Protocol):
    """A kind of volume whose content the kubelet writes and keeps up to date."""

    async def payload(self, context: Context, source: Mapping[str, Any]) -> Payload: ...
