"""What pods hold on disks: volumes, container layers, logs, in the fields of the Summary API (pkg/kubelet/server/stats)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kubelet.containers.build import VolumePath
from kubelet.pods import spec as podspec
from kubelet.runtime.protocol import Runtime
from kubelet.runtime.records import ContainerRecord
from kubelet.server.machine_stats import filesystem, log_usage
from kubelet.server.metrics import family, line
from kubelet.volumes.usage import folder_usage
from kubeling.api.meta import Object, rfc3339
from kubeling.client.clock import Clock

# kinds whose use is counted file by file; of claims and NFS the file system tells; the host's paths belong to nobody here
_COUNTED = frozenset({"emptyDir", "configMap", "secret", "downwardAPI", "projected"})
_LEAST = 60.0
Use = tuple[int, int]  # bytes and inodes


@dataclass(frozen=True, slots=True)
class PodDisks:
    """Of one pod: ``volumes`` as the Summary API shows them; ``layers`` and ``logs`` by container; ``local``: what counts as the
    pod's local ephemeral storage."""

    at: float
    volumes: list[Object]
    layers: Mapping[str, Use]
    logs: Mapping[str, Use]
    local: Use


class Disks:
    """Measures a pod at most once in ``period`` seconds, because files have to be counted; a negative period leaves volumes out.
    ``mounted`` tells a pod's volumes by name."""

    def __init__(
        self, runtime: Runtime, clock: Clock, mounted: Callable[[str], Mapping[str, VolumePath]], period: float
    ) -> None:
        self._runtime, self._clock, self._mounted, self._period = runtime, clock, mounted, period
        self._known: dict[str, PodDisks] = {}

    async def of(self, pod: Object, running: Sequence[ContainerRecord]) -> PodDisks:
        """``running`` are the pod's containers that run now. Raises RuntimeFailure."""
        uid, now = podspec.ref_of(pod).uid, self._clock.monotonic()
        known = self._known.get(uid)
        names = {c.name for c in running}
        if (
            known is None
            or now - known.at >= (self._period if self._period > 0 else _LEAST)
            or not names <= known.layers.keys()
        ):
            layers = {c.name: await self._runtime.layer(c.id) for c in running}
            stamp = rfc3339(self._clock.now())
            mounted = self._mounted(uid) if self._period >= 0 else {}
            known = await asyncio.to_thread(_measure, pod, mounted, running, layers, now, stamp)
            self._known[uid] = known
        return known

    def forget_all_but(self, uids: Iterable[str]) -> None:
        kept = set(uids)
        self._known = {uid: known for uid, known in self._known.items() if uid in kept}


def _measure(
    pod: Object,
    mounted: Mapping[str, VolumePath],
    running: Sequence[ContainerRecord],
    layers: Mapping[str, Use],
    now: float,
    stamp: str,
) -> PodDisks:
    logs = {c.name: log_usage(c.log_path) for c in running}
    volumes: list[Object] = []
    local = [*layers.values(), *logs.values()]
    for volume in podspec.spec_of(pod).get("volumes") or ():
        path = mounted.get(volume["name"])
        shown = _volume(pod, volume, path, stamp) if path is not None and not path.block else None
        if shown is None:
            continue
        volumes.append(shown)
        if "configMap" in volume or ("emptyDir" in volume and not (volume["emptyDir"] or {}).get("medium")):
            local.append((shown["usedBytes"], shown["inodesUsed"]))
    return PodDisks(now, volumes, layers, logs, (sum(b for b, _ in local), sum(i for _, i in local)))


def _volume(pod: Object, volume: Object, path: VolumePath, stamp: str) -> Object | None:
    """None for what nobody measures, and for what has gone meanwhile."""
    kind = next((k for k in volume if k != "name"), "emptyDir")
    claim = claim_of(pod, volume)
    if kind not in _COUNTED and not claim and kind != "nfs":
        return None
    try:
        use = folder_usage(Path(path.path)) if kind in _COUNTED else None
        found = filesystem(path.path, stamp, use)
    except OSError:
        return None
    reference = {"pvcRef": {"name": claim, "namespace": podspec.ref_of(pod).namespace}} if claim else {}
    return {**found, "name": volume["name"], **reference}


def claim_of(pod: Object, volume: Object) -> str:
    """The name of the claim behind a volume; empty for volumes of other kinds."""
    if "ephemeral" in volume:
        return f"{podspec.ref_of(pod).name}-{volume['name']}"
    name: str = (volume.get("persistentVolumeClaim") or {}).get("claimName") or ""
    return name


_STATS = (
    ("capacity_bytes", "Capacity in bytes of the volume", "capacityBytes"),
    ("available_bytes", "Number of available bytes in the volume", "availableBytes"),
    ("used_bytes", "Number of used bytes in the volume", "usedBytes"),
    ("inodes", "Maximum number of inodes in the volume", "inodes"),
    ("inodes_free", "Number of free inodes in the volume", "inodesFree"),
    ("inodes_used", "Number of used inodes in the volume", "inodesUsed"),
)


def disk_metrics(found: Sequence[tuple[Object, PodDisks]]) -> str:
    """Prometheus text: claims, each once however many pods use it, and containers' logs."""
    claims = {(v["pvcRef"]["namespace"], v["pvcRef"]["name"]): v for _, d in found for v in d.volumes if "pvcRef" in v}
    lines: list[str] = []
    for what, text, field in _STATS:
        name = f"kubelet_volume_stats_{what}"
        rows = [
            line(name, {"namespace": namespace, "persistentvolumeclaim": claim}, volume[field])
            for (namespace, claim), volume in claims.items()
        ]
        lines += family(name, "gauge", f"[ALPHA] {text}", rows) if rows else []
    name = "kubelet_container_log_filesystem_used_bytes"
    rows = []
    for pod, disks in found:
        ref = podspec.ref_of(pod)
        labels = {"uid": ref.uid, "namespace": ref.namespace, "pod": ref.name}
        rows += [line(name, {**labels, "container": c}, size) for c, (size, _) in disks.logs.items()]
    if rows:
        lines += family(name, "gauge", "[ALPHA] Bytes used by the container's logs on the filesystem.", rows)
    return "".join(f"{text}\n" for text in lines)
