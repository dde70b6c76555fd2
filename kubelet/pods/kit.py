"""What pod workers work with; built once, in ``kubelet.app``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from kubelet.cgroups.manager import Cgroups, NoCgroups
from kubelet.containers.build import NodeFacts
from kubelet.dra.claims import NoClaims, PodClaims
from kubelet.pods.allocation import Fits
from kubelet.pods.backoff import Backoff
from kubelet.pods.killer import Exits, Killer
from kubelet.pods.logs import NoPodLogs, PodLogs
from kubelet.pods.recorder import Recorder
from kubelet.pods.starter import ContainerStarter
from kubelet.probes.manager import ProbeManager
from kubelet.runtime.protocol import Runtime
from kubelet.volumes.manager import VolumeManager
from kubeling.api.meta import Object
from kubeling.client.clock import Clock

# publishes a pod's status; with ``final`` the pod's API object goes too
Publish = Callable[[Object, Object], None]
Finish = Callable[[Object, Object], Awaitable[None]]


@dataclass(frozen=True)
class Kit:
    runtime: Runtime
    starter: ContainerStarter
    killer: Killer
    exits: Exits
    volumes: VolumeManager
    probes: ProbeManager
    recorder: Recorder
    clock: Clock
    node: NodeFacts
    pods_folder: Path
    publish: Publish
    finish: Finish
    release: Callable[[str], None]
    cgroups: Cgroups = field(default_factory=NoCgroups)
    claims: PodClaims = field(default_factory=NoClaims)
    logs: PodLogs = field(default_factory=NoPodLogs)
    fits: Fits = lambda pod: None
    backoff: Backoff = field(default_factory=Backoff)
