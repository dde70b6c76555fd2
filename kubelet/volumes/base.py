"""What the volume sources share: their context, their failure, and payloads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from kubelet.containers.build import VolumePath
from kubelet.pods import spec as podspec
from kubeling.api.meta import Object
from kubeling.api.resource import Resource


class VolumeError(Exception):
    """A volume that cannot be set up now. ``step`` is what failed and ``reason`` the event's, as upstream's
    operation executor names them; ``volume`` is the persistent volume where there is one."""

    def __init__(
        self, message: str, *, step: str = "MountVolume.SetUp", reason: str = "FailedMount", volume: str = ""
    ) -> None:
        super().__init__(message)
        self.step, self.reason, self.volume = step, reason, volume

    def text(self, volume: str) -> str:
        """The event's message; ``volume`` is the name in the pod."""
        return f'{self.step} failed for volume "{self.volume or volume}" : {self}'


class UnprocessedVolume(VolumeError):
    """Nothing is known yet of what is to be mounted: no claim, no binding, no such kind of volume."""


class ObjectUnavailable(Exception):
    """The API server did not say whether an object is there; the message is the kubelet's own."""


class Objects(Protocol):
    """API objects that pods name."""

    async def get(self, resource: Resource, namespace: str, name: str, pod_uid: str) -> Object | None:
        """The newest state known, None where there is none. The pod hears of later changes. Raises ObjectUnavailable."""
        ...


class Tokens(Protocol):
    async def token(self, namespace: str, account: str, *, audience: str, seconds: int, pod: Object) -> str:
        """A token bound to the pod, from memory while it is fresh. Raises VolumeError."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """One volume of one pod. ``folder`` is the volume's own directory, which need not exist yet; ``others`` are the
    persistent volumes that other pods on this node have mounted, ``warn`` takes reason and message of an event."""

    pod: Object
    volume: Object
    folder: Path
    objects: Objects
    tokens: Tokens
    allocatable: Mapping[str, str]
    node: Object
    warn: Callable[[str, str], None]
    host_ip: str = ""
    others: frozenset[str] = frozenset()

    @property
    def uid(self) -> str:
        return podspec.ref_of(self.pod).uid

    @property
    def namespace(self) -> str:
        return podspec.ref_of(self.pod).namespace

    @property
    def _security(self) -> Mapping[str, Any]:
        return podspec.spec_of(self.pod).get("securityContext") or {}

    @property
    def fs_group(self) -> int | None:
        group: int | None = self._security.get("fsGroup")
        return group

    @property
    def on_root_mismatch(self) -> bool:
        """Whether files change their group only where the volume's root has another one."""
        return bool(self._security.get("fsGroupChangePolicy") == "OnRootMismatch")


@dataclass(frozen=True, slots=True)
class PayloadFile:
    """``mode`` as permission bits, ``owner`` None for root."""

    data: bytes
    mode: int
    owner: int | None = None


Payload = dict[str, PayloadFile]


class Source(Protocol):
    """A kind of volume, named after its field in the pod spec. Each raises VolumeError and ObjectUnavailable."""

    async def set_up(self, context: Context, source: Mapping[str, Any]) -> VolumePath: ...


class PayloadSource(Protocol):
    """A kind of volume whose content the kubelet writes and keeps up to date."""

    async def payload(self, context: Context, source: Mapping[str, Any]) -> Payload: ...
