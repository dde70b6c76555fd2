"""emptyDir: a folder, or memory."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kubelet.cgroups.limits import page_size
from kubelet.containers.build import VolumePath
from kubelet.pods import spec as podspec
from kubelet.volumes.base import Context, VolumeError
from kubelet.volumes.mounts import is_mounted, mount_filesystem, mount_tmpfs
from kubelet.volumes.ownership import set_group
from kubeling.api import quantity
from kubeling.api.meta import Object

_HUGE = "HugePages"


class EmptyDirSource:
    async def set_up(self, context: Context, source: Mapping[str, Any]) -> VolumePath:
        size = memory_size(context.pod, context.allocatable, source.get("sizeLimit"))
        medium = source.get("medium") or ""
        pages = huge_page_size(context.pod, medium) if medium.startswith(_HUGE) else ""
        await asyncio.to_thread(_make, context.folder, medium, size, context.fs_group, pages)
        return VolumePath(str(context.folder))


def huge_page_size(pod: Object, medium: str) -> str:
    """The page size of a volume of huge pages: the medium's own, which some container has to request, or the only one that
    containers request. Raises VolumeError."""
    spec = podspec.spec_of(pod)
    asked = [spec, *podspec.containers(pod), *podspec.init_containers(pod)]
    requests: list[str] = [name for part in asked for name in ((part.get("resources") or {}).get("requests") or {})]
    sizes = {page_size(name): name.removeprefix("hugepages-") for name in requests if page_size(name)}
    if medium != _HUGE:
        wanted = page_size("hugepages-" + medium.removeprefix(_HUGE + "-"))
        sizes = {size: text for size, text in sizes.items() if size == wanted}
    elif len(sizes) > 1:
        raise VolumeError(f"medium: {medium} can't be used if container requests multiple huge page sizes")
    if not sizes:
        raise VolumeError(
            f"medium {medium}: hugePages storage requested, but there is no resource request for huge pages"
        )
    return next(iter(sizes.values()))


def memory_size(pod: Object, allocatable: Mapping[str, str], limit: str | None = None) -> int:
    """Bytes of a volume in memory: what the node has for pods, what the pod may use, or the volume's own limit, whichever is
    least. 0 where none of them is known."""
    known = [quantity.parse(q).integer() for q in (allocatable.get("memory"), limit) if q]
    if (own := _memory_limit(pod)) is not None:
        known.append(own)
    return min((size for size in known if size > 0), default=0)


def _memory_limit(pod: Object) -> int | None:
    """The pod's own limit, or that of all its containers together; None where one has none."""
    own = (podspec.spec_of(pod).get("resources") or {}).get("limits") or {}
    if "memory" in own:
        return quantity.parse(own["memory"]).integer()
    lasting = podspec.containers(pod) + [c for c in podspec.init_containers(pod) if podspec.is_sidecar(c)]
    limits = [(c.get("resources") or {}).get("limits", {}).get("memory") for c in lasting]
    if not all(limits):
        return None
    return sum(quantity.parse(limit).integer() for limit in limits)


def _make(folder: Path, medium: str, size: int, group: int | None, pages: str) -> None:
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    if medium == "Memory" and not is_mounted(folder):
        mount_tmpfs(folder, size)
        made = True  # after a reboot too: the folder stayed, what was mounted there did not
    elif pages and not is_mounted(folder):
        mount_filesystem("nodev", folder, "hugetlbfs", f"pagesize={pages.removesuffix('i')}")
        made = True
    elif medium not in ("", "Memory") and not pages:
        raise VolumeError(f'unknown storage medium "{medium}"')
    if made:
        if stat.S_IMODE(folder.stat().st_mode) & 0o777 != 0o777:
            folder.chmod(0o777)  # whatever the umask took away
        if group is not None:
            set_group(folder, group)
