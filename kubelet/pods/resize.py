"""In-place resize: running containers whose cgroup no longer says what the spec says."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kubelet.containers.resources import ResourcePolicy, container_resources
from kubelet.pods import spec as podspec
from kubelet.runtime.records import ContainerRecord, PodRecord, State
from kubelet.runtime.specs import Resources
from kubeling.api.meta import Object


@dataclass(frozen=True, slots=True)
class Resize:
    """``restart``: the container's resize policy wants it to run anew for this."""

    record: ContainerRecord
    container: Object
    resources: Resources
    restart: bool

    @property
    def lowers_memory(self) -> bool:
        """Whether less memory is allowed while the container goes on."""
        old = self.record.resources.memory if self.record.resources else 0
        new = self.resources.memory
        return bool(new) and not self.restart and (not old or new < old)


def memory_refusal(pod: tuple[int, int] | None, containers: Iterable[tuple[str, int, int]]) -> str:
    """Why memory limits cannot go down, empty if they can: limit and use of the pod, of containers by name, in bytes."""
    found = []
    if pod is not None and pod[1] >= pod[0]:
        found.append(f"attempting to set pod memory limit ({pod[0]}) below current usage ({pod[1]})")
    for name, wanted, used in containers:
        if used >= wanted:
            found.append(f'attempting to set container "{name}" memory limit ({wanted}) below current usage ({used})')
    if not found:
        return ""
    return "cannot decrease memory limits: " + (found[0] if len(found) == 1 else f"[{', '.join(found)}]")


def _comparable(resources: Resources) -> Resources:
    """Only what can change while a container runs."""
    return dataclasses.replace(resources, oom_score_adj=0, pids=0, cpu_period=0)


def resizes(pod: Object, observed: PodRecord, policy: ResourcePolicy) -> Iterator[Resize]:
    """The containers to change. One that runs unbounded and should keep doing so is left alone."""
    for container in [*podspec.containers(pod), *filter(podspec.is_sidecar, podspec.init_containers(pod))]:
        record = observed.latest(container["name"])
        if record is None or record.state is not State.RUNNING or record.resources is None:
            continue
        wanted = container_resources(pod, container, policy)
        old, new = _comparable(record.resources), _comparable(wanted)
        if old == new:
            continue
        policies = {p["resourceName"]: p.get("restartPolicy") for p in container.get("resizePolicy") or ()}
        cpu = (old.cpu_shares, old.cpu_quota) != (new.cpu_shares, new.cpu_quota)
        changed = [name for name, differs in (("cpu", cpu), ("memory", old.memory != new.memory)) if differs]
        # an engine cannot lift a memory limit of a running container
        lifted = bool(old.memory and not new.memory)
        restart = lifted or any(policies.get(name) == "RestartContainer" for name in changed)
        yield Resize(record, container, wanted, restart)
