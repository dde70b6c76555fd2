"""Which EndpointSlices to create, update and delete so that they hold the wanted endpoints. Pure.

As few slices change as possible: what is in a slice stays there, what is new goes first into slices that change anyway, then, as
far as it all fits into one, into the fullest of the others. Source of the rules: k8s.io/endpointslice's reconciler.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from controllers.endpoints.triggers import ANNOTATION
from kubeling.api.meta import Object, annotations_of, controller_of, labels_of


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
    """The changes that give ``groups``, all of one address type. ``template``: a slice's metadata; ``limit`` fit into one."""
    changes = Changes()
    owner = template["ownerReferences"][0]["uid"]
    ours = [s for s in existing if (controller_of(s) or {}).get("uid") == owner]
    changes.delete += [s for s in existing if s not in ours]
    wanted = {ports_id(g.ports): g for g in groups if g.endpoints}
    kept = 0
    for identity, group in wanted.items():
        slices = [s for s in ours if ports_id(s.get("ports") or ()) == identity]
        kept += _pack_group(template, slices, group, limit, changes)
    changes.delete += [s for s in ours if ports_id(s.get("ports") or ()) not in wanted]
    if not kept and not changes.create:
        _keep_placeholder(template, Group(groups[0].address_type, []), changes)
    _reuse(owner, changes)
    return changes


def _pack_group(template: Object, slices: list[Object], group: Group, limit: int, changes: Changes) -> int:
    """Packs one group; answers how many of its slices stay."""
    missing = dict(group.endpoints)
    changing: list[tuple[Object, list[Object]]] = []
    unchanged: list[tuple[Object, list[Object]]] = []
    for slice_ in slices:
        ids = [endpoint_id(e) for e in slice_.get("endpoints") or ()]
        endpoints = [missing.pop(i) for i in ids if i in missing]
        if not endpoints:
            changes.delete.append(slice_)
        else:
            (changing if _differs(slice_, endpoints, template) else unchanged).append((slice_, endpoints))
    left = list(missing.values())
    for slice_, endpoints in sorted(changing, key=lambda c: -len(c[1])):
        room = max(0, limit - len(endpoints))
        endpoints, left = endpoints + left[:room], left[room:]
        changes.update.append(_filled(template, slice_, group, endpoints))
    while left:
        fitting = [u for u in unchanged if len(u[1]) + len(left) <= limit] if len(left) < limit else []
        if fitting:
            slice_, endpoints = max(fitting, key=lambda u: len(u[1]))
            changes.update.append(_filled(template, slice_, group, endpoints + left))
            break
        changes.create.append(_filled(template, None, group, left[:limit]))
        left = left[limit:]
    return len(changing) + len(unchanged)


def _keep_placeholder(template: Object, empty: Group, changes: Changes) -> None:
    """A service without endpoints has one empty slice for each of its address types."""
    there = changes.delete[0] if len(changes.delete) == 1 else None
    if there is not None and not (there.get("endpoints") or there.get("ports") or _metadata_differs(there, template)):
        changes.delete.clear()
    else:
        changes.create.append(_filled(template, None, empty, []))


def _reuse(owner: str, changes: Changes) -> None:
    """Updates slices that would go in place of making new ones."""
    for slice_ in list(changes.delete):
        if changes.create and (controller_of(slice_) or {}).get("uid") == owner:
            made = changes.create.pop()
            metadata = {**slice_["metadata"], **{k: v for k, v in made["metadata"].items() if k != "generateName"}}
            changes.update.append({**made, "metadata": metadata})
            changes.delete.remove(slice_)


def _differs(slice_: Object, endpoints: list[Object], template: Object) -> bool:
    before = {endpoint_id(e): e for e in slice_.get("endpoints") or ()}
    return before != {endpoint_id(e): e for e in endpoints} or _metadata_differs(slice_, template)


def _metadata_differs(slice_: Object, template: Object) -> bool:
    return bool(labels_of(slice_) != template["labels"])


def _filled(template: Object, slice_: Object | None, group: Group, endpoints: list[Object]) -> Object:
    """``slice_``, or a new one, with the endpoints; the time of an earlier change goes where there is no newer one."""
    if slice_ is None:
        base: Object = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": template}
    else:
        kept = {k: v for k, v in annotations_of(slice_).items() if k != ANNOTATION}
        annotations = {**kept, **(template.get("annotations") or {})}
        metadata = {k: v for k, v in slice_["metadata"].items() if k != "annotations"} | {"labels": template["labels"]}
        base = {**slice_, "metadata": {**metadata, **({"annotations": annotations} if annotations else {})}}
    return {**base, "addressType": group.address_type, "ports": group.ports, "endpoints": endpoints}
