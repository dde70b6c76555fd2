"""The special claim of a pod that asks for extended resources which device classes offer. Pure.

Source: upstream's DynamicResources (extended resources), API reference of PodExtendedResourceClaimStatus.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubeling.api.meta import Object, annotations_of, uid_of
from kubeling.api.quantity import parse
from scheduler.model.pod import PodInfo

ANNOTATION = "resource.kubernetes.io/extended-resource-claim"
UNWRITTEN = "<extended-resources>"
"""The name of a special claim that is not in the API yet; no claim there can have it."""


@dataclass(frozen=True, slots=True)
class Special:
    """The claim for one node, and which container's resource is served by which of its requests."""

    claim: Object
    mappings: tuple[Object, ...]


def earlier_claim(pod: PodInfo, claims: Iterable[Object]) -> Object | None:
    """The special claim that an earlier attempt has left behind: what it holds may be out of date."""
    for claim in claims:
        if annotations_of(claim).get(ANNOTATION) == "true":
            owners = claim["metadata"].get("ownerReferences") or ()
            if any(o.get("uid") == pod.uid and o.get("controller") for o in owners):
                return claim
    return None


def special_claim(pod: PodInfo, classes: Mapping[str, str]) -> Special:
    """``classes``: the resources that devices have to provide, with the classes that offer them."""
    requests, mappings = _requests(pod, classes)
    owner = {"apiVersion": "v1", "kind": "Pod", "name": pod.key.name, "uid": uid_of(pod.obj), "controller": True}
    metadata = {
        "namespace": pod.namespace,
        "name": UNWRITTEN,
        "uid": str(uuid.uuid4()),
        "generateName": f"{pod.key.name}-extended-resources-",
        "annotations": {ANNOTATION: "true"},
        "ownerReferences": [owner],
    }
    return Special({"metadata": metadata, "spec": {"devices": {"requests": requests}}}, tuple(mappings))


def is_unwritten(claim: Object) -> bool:
    return bool(claim["metadata"].get("name") == UNWRITTEN)


def to_create(claim: Object) -> Object:
    """What the server is asked to make of an unwritten claim."""
    metadata = {k: v for k, v in claim["metadata"].items() if k not in ("name", "uid")}
    return {"metadata": metadata, "spec": claim["spec"]}


@dataclass(frozen=True, slots=True)
class _Container:
    """``index`` counts init containers first; ``passes``: it ends before the others start, sidecars excepted."""

    index: int
    spec: Mapping[str, Any]
    passes: bool

    def wants(self, resource: str) -> int:
        amount = self._requests.get(resource)
        return parse(amount).integer() if amount is not None else 0

    def request_name(self, resource: str) -> str:
        return f"container-{self.index}-request-{sorted(self._requests).index(resource)}"

    @property
    def _requests(self) -> Mapping[str, Any]:
        return (self.spec.get("resources") or {}).get("requests") or {}


def _containers(pod: PodInfo) -> list[_Container]:
    init = pod.spec.get("initContainers") or []
    every = [*init, *(pod.spec.get("containers") or ())]
    return [_Container(i, c, i < len(init) and c.get("restartPolicy") != "Always") for i, c in enumerate(every)]


def _requests(pod: PodInfo, classes: Mapping[str, str]) -> tuple[list[Object], list[Object]]:
    """A request for each container that stays; those that pass use the later ones' devices, and one request for what lacks."""
    requests: list[Object] = []
    mappings: list[Object] = []
    containers = _containers(pod)
    for resource in sorted(classes):
        staying = {
            c.index: (c.request_name(resource), c.wants(resource)) for c in containers if not c.passes and c.wants(resource)
        }  # fmt: skip
        kept = [_mapping(containers[index], resource, name) for index, (name, _) in staying.items()]
        lacking: dict[str, int] = {}
        passing: list[Object] = []
        for container in (c for c in containers if c.passes and c.wants(resource)):
            names, missing = _reused(container, resource, [s for i, s in staying.items() if i >= container.index])
            if missing:
                lacking[container.request_name(resource)] = missing
                names = [*names, container.request_name(resource)]
            passing += [_mapping(container, resource, name) for name in names]
        largest = max(lacking, key=lambda name: lacking[name], default="")
        for mapping in passing:
            if mapping["requestName"] in lacking:
                mapping["requestName"] = largest
        wanted = ([(largest, lacking[largest])] if largest else []) + list(staying.values())
        requests += [_request(name, classes[resource], count) for name, count in wanted]
        mappings += [*kept, *passing]
    return sorted(requests, key=lambda r: str(r["name"])), mappings


def _reused(container: _Container, resource: str, later: Sequence[tuple[str, int]]) -> tuple[list[str], int]:
    """The requests of later containers that serve this one, too, and how many devices are missing then."""
    names: list[str] = []
    missing = container.wants(resource)
    for name, count in later:
        names.append(name)
        missing -= count
        if missing <= 0:
            return names, 0
    return names, missing


def _mapping(container: _Container, resource: str, request: str) -> Object:
    return {"containerName": container.spec["name"], "resourceName": resource, "requestName": request}


def _request(name: str, device_class: str, count: int) -> Object:
    wanted = {"deviceClassName": device_class, "allocationMode": "ExactCount", "count": count}
    return {"name": name, "exactly": wanted}
