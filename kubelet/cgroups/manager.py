"""Keeps the control groups of a node's pods: one for all pods, one a quality of service class, one a pod.

Containers are placed in their pod's group by the engine, which is asked for it by name; so what a pod may use in all is held by the
kernel. Where groups cannot be kept (no rights, an engine on another machine) that is told once, and containers stand alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from kubelet.cgroups.driver import Driver, make_driver
from kubelet.cgroups.enforcement import ReservedGroup
from kubelet.cgroups.limits import CgroupSettings, Limits, burstable_limits, pod_limits, wider
from kubelet.cgroups.metrics import SECONDS, tell_version
from kubelet.cgroups.names import KUBEPODS, Name, container_name, parent_for_engine, path_of, pod_name, qos_name
from kubelet.pods import spec as podspec
from kubelet.pods.qos import BEST_EFFORT, BURSTABLE, qos_class
from kubelet.pods.recorder import Recorder
from kubeling.api.meta import Object
from kubeling.client.cgroupfs import CgroupMounts, cgroup_mounts
from kubeling.client.errors import StartError

log = logging.getLogger(__name__)


class CgroupFailure(OSError):
    """A pod's group cannot be what it should be; the text is told in the pod's events."""


class Cgroups(Protocol):
    """What pod workers need. A pod's group is made before its first container and goes after its last."""

    def parent(self, pod: Object) -> str:
        """What the engine is to place the pod's containers in; empty for its own choice."""
        ...

    def container_path(self, pod: Object, container_id: str) -> str:
        """Where the container's group is below the root of a hierarchy; empty where that is the engine's business."""
        ...

    async def prepare(self, pod: Object) -> None:
        """The group is there, and wide enough for what runs and for what is to run. Raises CgroupFailure."""
        ...

    async def settle(self, pod: Object) -> None:
        """Its containers are as they should be: so is the group now. Raises CgroupFailure."""
        ...

    async def shrinks(self, pod: Object) -> tuple[int, int] | None:
        """The memory limit that the pod's group is to have and what is used, when that limit is lower than the one it has.

        Raises CgroupFailure.
        """
        ...

    async def memory(self) -> tuple[int, int] | None:
        """Working set and limit of all pods together, in bytes; None where that is not known or not limited."""
        ...

    async def placed(self, pod: Object) -> None:
        """The pod's first container runs: it should be in its group."""
        ...

    async def started(self, pod: Object, container_id: str) -> None:
        """One of the pod's containers runs."""
        ...

    async def remove(self, uid: str) -> None:
        """With whatever is left in it. Raises OSError."""
        ...

    async def leftovers(self) -> list[str]:
        """UIDs that still have a group."""
        ...


class NoCgroups:
    """Containers stand alone: ``--cgroups-per-qos=false``, or a runtime without processes."""

    async def start(self, engine: Mapping[str, Any]) -> None:
        return

    def parent(self, pod: Object) -> str:
        return ""

    def container_path(self, pod: Object, container_id: str) -> str:
        return ""

    async def prepare(self, pod: Object) -> None:
        return

    async def settle(self, pod: Object) -> None:
        return

    async def shrinks(self, pod: Object) -> tuple[int, int] | None:
        return None

    async def memory(self) -> tuple[int, int] | None:
        return None

    async def placed(self, pod: Object) -> None:
        return

    async def started(self, pod: Object, container_id: str) -> None:
        return

    async def remove(self, uid: str) -> None:
        return

    async def leftovers(self) -> list[str]:
        return []


class PodCgroups:
    """``root`` is where ``kubepods`` is; ``node_limits`` hold all pods together, ``share`` everything of ours against others."""

    def __init__(
        self,
        root: Name,
        settings: CgroupSettings,
        node_limits: Limits,
        share: Limits,
        recorder: Recorder,
        *,
        node: Object,
        own_root: bool = True,
        reserved: Sequence[ReservedGroup] = (),
        mounts: Callable[[], CgroupMounts | None] = cgroup_mounts,
        driver: Callable[[CgroupMounts, str], Driver] = make_driver,
    ) -> None:
        self._root, self._kubepods = root, (*root, KUBEPODS)
        self._settings, self._node_limits, self._share = settings, node_limits, share
        self._recorder, self._node = recorder, node
        self._own_root, self._reserved = own_root, reserved
        self._find, self._make = mounts, driver
        self._driver: Driver | None = None
        self._pods: dict[str, Object] = {}
        self._applied: dict[str, Limits] = {}
        self._burstable = Limits()
        self._placed = False

    @property
    def active(self) -> bool:
        return self._driver is not None

    async def start(self, engine: Mapping[str, Any]) -> None:
        """Makes what is above pods; ``engine`` tells its ``cgroup_driver``. Failure is told, not raised."""
        mounts = await asyncio.to_thread(self._find)
        if mounts is None:
            self._give_up("this process cannot write the machine's control groups")
            return
        tell_version(mounts.version)
        self._driver = self._make(mounts, engine.get("cgroup_driver", ""))
        try:
            for depth in range(1, len(self._root) + 1) if self._own_root else ():
                await _set(self._driver, self._root[:depth], self._share)
            if not self._driver.exists(self._root):
                raise OSError(f'cgroup-root "/{"/".join(self._root)}" doesn\'t exist')
            await _set(self._driver, self._kubepods, self._node_limits)
            for qos in (BURSTABLE, BEST_EFFORT):
                await _set(self._driver, qos_name(self._kubepods, qos), Limits())
        except OSError as err:
            self._give_up(str(err))
            return
        self._tell_enforced("Updated Node Allocatable limit across pods")
        for group in self._reserved:
            await self._enforce_reserved(self._driver, group)

    async def _enforce_reserved(self, driver: Driver, group: ReservedGroup) -> None:
        try:
            if not driver.exists(group.name):
                raise OSError(f'"/{"/".join(group.name)}" cgroup does not exist')
            await _set(driver, group.name, group.limits)
        except OSError as err:
            raise StartError(f"Failed to enforce {group.title} Cgroup Limits on {group.shown!r}: {err}") from err
        self._tell_enforced(f"Updated limits on {group.title.lower()} cgroup {group.shown}")

    def _tell_enforced(self, text: str) -> None:
        self._recorder.event(self._node, "Normal", "NodeAllocatableEnforced", text)

    def _give_up(self, why: str) -> None:
        self._driver = None
        shown = "[" + " ".join(f'"{part}"' for part in self._kubepods) + "]"
        log.warning("Pods have no control groups of their own: %s", why)
        message = f"Failed to update Node Allocatable Limits {shown}: {why}"
        self._recorder.event(self._node, "Warning", "FailedNodeAllocatableEnforcement", message)

    def _group(self, pod: Object) -> Name:
        return pod_name(self._kubepods, qos_class(pod), podspec.ref_of(pod).uid)

    def parent(self, pod: Object) -> str:
        return parent_for_engine(self._group(pod), self._driver.name) if self._driver else ""

    def container_path(self, pod: Object, container_id: str) -> str:
        if self._driver is None:
            return ""
        name = self._driver.name
        return f"/{path_of(self._group(pod), name)}/{container_name(container_id, name)}"

    async def prepare(self, pod: Object) -> None:
        uid, wanted = podspec.ref_of(pod).uid, pod_limits(pod, self._settings)
        applied = self._applied.get(uid)
        if self._driver is None or (applied is not None and wider(applied, wanted) == applied):
            return
        if applied is not None:
            wanted = wider(applied, wanted)
        elif self._driver.exists(self._group(pod)):
            # another kubelet's, which may have been about to change it: what runs there must still fit
            wanted = Limits(wanted.cpu_shares, 0, wanted.cpu_period, 0, wanted.pids, wanted.huge_pages)
        self._pods[uid] = pod
        await self._share_among_classes()
        await self._apply(pod, wanted)

    async def settle(self, pod: Object) -> None:
        uid, wanted = podspec.ref_of(pod).uid, pod_limits(pod, self._settings)
        if self._driver is None or self._applied.get(uid) in (None, wanted):
            return
        self._pods[uid] = pod
        await self._apply(pod, wanted)
        await self._share_among_classes()

    async def shrinks(self, pod: Object) -> tuple[int, int] | None:
        applied, wanted = self._applied.get(podspec.ref_of(pod).uid), pod_limits(pod, self._settings).memory
        if self._driver is None or applied is None or not wanted or (applied.memory and wanted >= applied.memory):
            return None
        try:
            return wanted, await asyncio.to_thread(self._driver.memory_used, self._group(pod))
        except OSError as err:
            raise CgroupFailure(f"unable to read memory usage: {err}") from err

    async def memory(self) -> tuple[int, int] | None:
        if self._driver is None or not self._node_limits.memory:
            return None
        used = await asyncio.to_thread(self._driver.working_set, self._kubepods)
        return used, self._node_limits.memory

    async def _apply(self, pod: Object, limits: Limits) -> None:
        assert self._driver is not None  # asked before
        group, uid = self._group(pod), podspec.ref_of(pod).uid
        try:
            await _set(self._driver, group, limits)
        except OSError as err:
            shown = " ".join(group)
            raise CgroupFailure(
                f"unable to ensure pod container exists: failed to create container for [{shown}] : {err}"
            ) from err
        self._applied[uid] = limits

    async def _share_among_classes(self) -> None:
        wanted = burstable_limits(self._pods.values())
        if self._driver is not None and wanted != self._burstable:
            self._burstable = wanted
            await _set(self._driver, qos_name(self._kubepods, BURSTABLE), wanted)

    async def placed(self, pod: Object) -> None:
        if self._placed or self._driver is None:
            return
        self._placed = True
        if not await asyncio.to_thread(self._driver.has_children, self._group(pod)):
            self._give_up("the engine places containers in control groups that are not this machine's")

    async def started(self, pod: Object, container_id: str) -> None:
        if self._driver is None or not self._settings.kill_together:
            return
        try:
            await asyncio.to_thread(self._driver.kill_together, self._group(pod), container_id)
        except OSError as err:  # it has ended already, or is not where it should be
            log.debug("Container %s: memory.oom.group: %s", container_id, err)

    async def remove(self, uid: str) -> None:
        self._pods.pop(uid, None)
        self._applied.pop(uid, None)
        if self._driver is None:
            return
        for qos in (BEST_EFFORT, BURSTABLE, ""):
            with SECONDS.labels("destroy").time():
                await self._driver.remove(pod_name(self._kubepods, qos, uid))
        await self._share_among_classes()

    async def leftovers(self) -> list[str]:
        if self._driver is None:
            return []
        return [uid for _, uid in await asyncio.to_thread(self._driver.pods, self._kubepods)]


async def _set(driver: Driver, group: Name, limits: Limits) -> None:
    """Makes or changes the group. Raises OSError."""
    with SECONDS.labels("update" if driver.exists(group) else "create").time():
        await driver.apply(group, limits)


def default_root(cluster: str, node: str) -> Name:
    """Clusters and nodes that share one machine keep apart."""
    return ("kubeling", cluster, node)
