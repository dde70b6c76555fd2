"""Small clusters for the scheduler's tests."""

from __future__ import annotations

import itertools
import random
from typing import Any

from scheduler.cache import Cache
from scheduler.framework.profile import Profile
from scheduler.framework.schedule import Decision, schedule
from scheduler.framework.status import Diagnosis
from scheduler.model.pod import PodInfo
from scheduler.plugins import DEFAULT_PROFILE

_numbers = itertools.count()


class Listed:
    """Objects of other kinds: ``Listed(PersistentVolumeClaim=[...])``."""

    def __init__(self, **kinds: list[dict[str, Any]]) -> None:
        self.kinds = kinds

    def get(self, kind: str, name: str, namespace: str = "") -> dict[str, Any] | None:
        found = (o for o in self.kinds.get(kind, ()) if o["metadata"]["name"] == name)
        return next((o for o in found if o["metadata"].get("namespace", "") == namespace), None)

    def list(self, kind: str, namespace: str = "") -> list[dict[str, Any]]:
        return [o for o in self.kinds.get(kind, ()) if not namespace or o["metadata"].get("namespace") == namespace]


def node(
    name: str, *, labels: dict[str, str] | None = None, images: dict[str, int] | None = None, **spec: Any
) -> dict[str, Any]:
    """A node with 4 CPUs, 8Gi and place for 110 pods; ``allocatable`` replaces some of that."""
    allocatable = {"cpu": "4", "memory": "8Gi", "pods": "110", **spec.pop("allocatable", {})}
    listed = [{"names": [n], "sizeBytes": size} for n, size in (images or {}).items()]
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
        "spec": spec,
        "status": {"allocatable": allocatable, "images": listed},
    }


def pod(
    name: str = "", *, on: str = "", cpu: str = "", memory: str = "", labels: dict[str, str] | None = None, **spec: Any
) -> PodInfo:
    """A pod in ``default`` (or ``namespace``); ``on`` binds it; everything else goes into its spec."""
    name = name or f"p{next(_numbers)}"
    namespace, status = spec.pop("namespace", "default"), spec.pop("status", {})
    requests = {k: v for k, v in {"cpu": cpu, "memory": memory, **spec.pop("requests", {})}.items() if v}
    container = {
        "name": "c",
        "image": spec.pop("image", "web:1"),
        "ports": spec.pop("ports", []),
        "resources": {"requests": requests},
    }
    metadata = {"name": name, "namespace": namespace, "uid": name, "labels": labels or {}, **spec.pop("metadata", {})}
    body = {"containers": [container], **({"nodeName": on} if on else {}), **spec}
    return PodInfo({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": body, "status": status})


def cluster(*items: dict[str, Any] | PodInfo, listers: Listed | None = None, seed: int = 1) -> Cache:
    """A cache with these nodes and bound pods."""
    cache = Cache(listers or Listed(), random.Random(seed))
    for item in items:
        if isinstance(item, PodInfo):
            cache.set_pod(item)
        else:
            cache.set_node(item)
    return cache


def decide(wanted: PodInfo, cache: Cache, profile: Profile | None = None, seed: int = 1) -> Decision:
    return schedule(wanted, cache, profile or Profile.of(DEFAULT_PROFILE), random.Random(seed))


def chosen(wanted: PodInfo, cache: Cache, profile: Profile | None = None) -> set[str]:
    """Every node that chance may choose."""
    return {decide(wanted, cache, profile, seed).node for seed in range(25)}


def why(wanted: PodInfo, cache: Cache, profile: Profile | None = None) -> str:
    """The message when there is no node."""
    diagnosis = decide(wanted, cache, profile).diagnosis
    assert isinstance(diagnosis, Diagnosis)
    return diagnosis.message()
