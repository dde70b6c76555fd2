"""Which EndpointSlices to create, update and delete so that they hold the wanted endpoints. Pure.

As few slices change as possible: what is in a slice stays there, what is new goes first into slices that change anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from kubeling.api.meta import Object, annotations_of, labels_of

TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"


@dataclass
class Group:
    """Endpoints that share an address type and ports, by an identity that survives changes of readiness."""

    address_type: str
    ports: list[Object]
    endpoints: dict[str, Object] = field(default_factory=dict)


@dataclass
class Changes:
    """What to write. Nothing in it: all is as it should be."""

    create: list[Object] = field(default_factory=list)
    update: list[Object] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)


def endpoint_id(endpoint: Mapping[str, Any]) -> str:
    """An endpoint's identity: its target's uid, else its addresses."""
    uid = (endpoint.get("targetRef") or {}).get("uid")
    return uid or ",".join(endpoint.get("addresses") or ())


def ports_id(ports: Iterable[Mapping[str, Any]]) -> bytes:
    """Equal for the same ports, whatever their order."""
    plain = ({k: v for k, v in port.items() if v not in (None, "")} for port in ports)
    return b";".join(sorted(orjson.dumps(port, option=orjson.OPT_SORT_KEYS) for port in plain))


def pack(template: Object, existing: Sequence[Object], groups: Sequence[Group], limit: int) -> Changes:
    """The changes that give ``groups``. ``template`` is a slice's metadata; ``limit`` endpoints fit into a slice."""
    changes = Changes()
    wanted = {(g.address_type, ports_id(g.ports)): g for g in groups if g.endpoints}
    spare: list[Object] = []
    for identity, group in wanted.items():
        slices = [s for s in existing if _identity(s) == identity]
        spare += _pack_group(template, slices, group, limit, changes)
    spare += [s for s in existing if _identity(s) not in wanted]
    _keep_placeholders(template, spare, groups, changes, bool(wanted))
    return changes


def _identity(slice_: Object) -> tuple[str, bytes]:
    return slice_["addressType"], ports_id(slice_.get("ports") or ())


def _pack_group(template: Object, slices: list[Object], group: Group, limit: int, changes: Changes) -> list[Object]:
    """Packs one group; answers the slices that it no longer needs."""
    missing = dict(group.endpoints)
    kept: list[tuple[Object, list[Object]]] = []
    unneeded: list[Object] = []
    for slice_ in slices:
        ids = [endpoint_id(e) for e in slice_.get("endpoints") or ()]
        endpoints = [missing.pop(i) for i in ids if i in missing]
        if endpoints:
            kept.append((slice_, endpoints))
        else:
            unneeded.append(slice_)
    left = list(missing.values())
    for slice_, endpoints in sorted(kept, key=lambda k: (not _differs(k[0], k[1], template), -len(k[1]))):
        room = max(0, limit - len(endpoints))
        endpoints, left = endpoints + left[:room], left[room:]
        if _differs(slice_, endpoints, template):
            changes.update.append(_filled(template, slice_, group, endpoints))
    while left:
        reused = unneeded.pop() if unneeded else None
        made = _filled(template, reused, group, left[:limit])
        (changes.update if reused is not None else changes.create).append(made)
        left = left[limit:]
    return unneeded


def _keep_placeholders(
    template: Object, spare: list[Object], groups: Sequence[Group], changes: Changes, any_wanted: bool
) -> None:
    """A service without endpoints has one empty slice for each of its address types."""
    for group in [] if any_wanted else groups:
        empty = Group(group.address_type, [])
        kept = next((s for s in spare if s["addressType"] == group.address_type), None)
        if kept is None:
            changes.create.append(_filled(template, None, empty, []))
            continue
        spare.remove(kept)
        if kept.get("endpoints") or kept.get("ports") or _metadata_differs(kept, template):
            changes.update.append(_filled(template, kept, empty, []))
    changes.delete += spare


def _differs(slice_: Object, endpoints: list[Object], template: Object) -> bool:
    before = {endpoint_id(e): e for e in slice_.get("endpoints") or ()}
    return before != {endpoint_id(e): e for e in endpoints} or _metadata_differs(slice_, template)


def _metadata_differs(slice_: Object, template: Object) -> bool:
    ours = {k: v for k, v in annotations_of(slice_).items() if k != TRIGGER_TIME}
    wanted = {k: v for k, v in annotations_of({"metadata": template}).items() if k != TRIGGER_TIME}
    return labels_of(slice_) != template["labels"] or not wanted.items() <= ours.items()


def _filled(template: Object, slice_: Object | None, group: Group, endpoints: list[Object]) -> Object:
    if slice_ is None:
        base: Object = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": template}
    else:
        annotations = {**annotations_of(slice_), **(template.get("annotations") or {})}
        metadata = {**slice_["metadata"], "labels": template["labels"]}
        if annotations:
            metadata["annotations"] = annotations
        base = {**slice_, "metadata": metadata}
    return {**base, "addressType": group.address_type, "ports": group.ports, "endpoints": endpoints}
