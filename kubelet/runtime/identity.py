"""Whom a container began as: read from what the engine gave to runc, which holds while the container runs."""

from __future__ import annotations

import json
from pathlib import Path

from kubelet.runtime.records import Identity

# with a containerd of Docker's own, and with the system's
_BUNDLES = (
    "/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby",
    "/run/containerd/io.containerd.runtime.v2.task/moby",
)


def bundle_roots(prefixes: tuple[str, ...] = ("", "/proc/1/root")) -> tuple[Path, ...]:
    """Where bundles may be; a kubelet in a container that shares the machine's processes sees them below the first's root."""
    return tuple(Path(prefix + bundle) for prefix in prefixes for bundle in _BUNDLES)


def read_identity(container_id: str, roots: tuple[Path, ...]) -> Identity | None:
    """None where it cannot be told: the container has ended, or the engine is on another machine."""
    for root in roots:
        try:
            user = json.loads((root / container_id / "config.json").read_bytes())["process"]["user"]
        except (OSError, ValueError, KeyError):
            continue
        return Identity(int(user["uid"]), int(user["gid"]), tuple(user.get("additionalGids") or ()))
    return None
