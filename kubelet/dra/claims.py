"""The claims that pods of this node use: prepared by their drivers before the pod's sandbox is made, given back when it has ended.

Source: pkg/kubelet/cm/dra/manager.go.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import orjson

from kubelet.dra.plugins import DraError, Plugin, Plugins
from kubelet.dra.wire import ClaimRef, PreparedDevice
from kubelet.pods import spec as podspec
from kubelet.volumes.base import Objects, ObjectUnavailable
from kubeling.api.meta import Object, is_controlled_by, name_of, namespace_of, uid_of
from kubeling.api.resources import RESOURCE_CLAIMS

log = logging.getLogger(__name__)
STATE = "dra_manager_state"
Key = tuple[str, str]
"""Namespace and name."""


@dataclass(slots=True)
class Claim:
    """``pods``: uids of those that use it; ``devices`` by driver, once it is prepared."""

    ref: ClaimRef
    pods: set[str]
    devices: dict[str, list[PreparedDevice]] = field(default_factory=dict)
    prepared: bool = False

    def cdi(self, request: str) -> Iterator[str]:
        """The CDI devices of a request, or of all of them where none is named."""
        for devices in self.devices.values():
            for device in devices:
                names = {n for full in device.requests for n in (full, full.partition("/")[0])}
                if not request or not names or request in names:
                    yield from device.cdi


class PodClaims(Protocol):
    """Both raise DraError."""

    async def prepare(self, pod: Object) -> None: ...

    async def unprepare(self, pod: Object) -> None: ...


class NoClaims:
    """For pods that use none."""

    async def prepare(self, pod: Object) -> None:
        return None

    async def unprepare(self, pod: Object) -> None:
        return None

    async def cdi_devices(self, pod: Object, container: Object) -> list[str]:
        return []


class Claims:
    """``folder``: where the state is kept for the next kubelet; None keeps none."""

    def __init__(self, folder: Path | None, objects: Objects, plugins: Plugins) -> None:
        self._path = folder / STATE if folder is not None else None
        self._objects, self._plugins = objects, plugins
        self._claims: dict[Key, Claim] | None = None

    async def prepare(self, pod: Object) -> None:
        """Raises DraError where not all of the pod's claims are ready to be used."""
        names = list(_claim_names(pod))
        if not names:
            return
        try:
            await self._prepare(pod, [await self._checked(pod, entry, name) for entry, name in names])
        except DraError as err:
            raise DraError(f"prepare dynamic resources: {err}") from err

    async def _checked(self, pod: Object, entry: Mapping[str, Any], name: str) -> Object:
        """The claim, which the pod may use."""
        namespace = namespace_of(pod)
        try:
            claim = await self._objects.get(RESOURCE_CLAIMS, namespace, name, uid_of(pod))
        except ObjectUnavailable as err:
            raise DraError(f"fetch ResourceClaim {name}: {err}") from err
        if claim is None:
            raise DraError(f'fetch ResourceClaim {name}: resourceclaims.resource.k8s.io "{name}" not found')
        if entry.get("resourceClaimTemplateName") and not is_controlled_by(claim, pod):
            owner = f"{namespace}/{name_of(pod)}"
            raise DraError(f"ResourceClaim {namespace}/{name} was not created for pod {owner} (pod is not owner)")
        status = claim.get("status") or {}
        if not any(r.get("uid") == uid_of(pod) for r in status.get("reservedFor") or ()):
            who = f"pod {name_of(pod)} ({uid_of(pod)})"
            raise DraError(f"{who} is not allowed to use ResourceClaim {name} ({uid_of(claim)})")
        if status.get("allocation") is None:
            raise DraError(f"ResourceClaim {name}: claim {namespace}/{name} not allocated")
        return claim

    async def _prepare(self, pod: Object, claims: list[Object]) -> None:
        known = await self._known()
        plugins = {driver: self._plugins.of(driver) for claim in claims for driver in _drivers(claim)}
        batches: dict[str, list[Claim]] = {}
        for claim in claims:
            key = (namespace_of(claim), name_of(claim))
            noted = known.setdefault(key, Claim(ClaimRef(*key[:1], uid_of(claim), key[1]), set()))
            if noted.ref.uid != uid_of(claim):
                text = f"old ResourceClaim with same name {key[1]} and different UID {noted.ref.uid} still exists"
                raise DraError(f"{text} (previous pod force-deleted?!)")
            noted.pods.add(uid_of(pod))
            for driver in _drivers(claim):
                noted.devices.setdefault(driver, [])
                if not noted.prepared:
                    batches.setdefault(driver, []).append(noted)
        await self._save()
        for driver, batch in batches.items():
            await _prepare_batch(plugins[driver], batch)
        for noted in (n for batch in batches.values() for n in batch):
            noted.prepared = True
        await self._save()

    async def unprepare(self, pod: Object) -> None:
        """Gives back what no other pod uses. Raises DraError."""
        known = await self._known()
        mine = {key: claim for key, claim in known.items() if uid_of(pod) in claim.pods}
        if not mine:
            return
        try:
            await self._unprepare({k: c for k, c in mine.items() if len(c.pods) == 1}, known)
        except DraError as err:
            raise DraError(f"unprepare dynamic resources: {err}") from err
        for claim in mine.values():
            claim.pods.discard(uid_of(pod))
        await self._save()

    async def _unprepare(self, ending: Mapping[Key, Claim], known: dict[Key, Claim]) -> None:
        batches: dict[str, list[Claim]] = {}
        for claim in ending.values():
            for driver in claim.devices:
                batches.setdefault(driver, []).append(claim)
        for driver, batch in batches.items():
            method = "NodeUnprepareResources"
            answers = await self._plugins.of(driver).unprepare([c.ref for c in batch])
            _require_all(method, batch, {uid: a.error for uid, a in answers.items()})
        for key in ending:
            known.pop(key, None)

    async def cdi_devices(self, pod: Object, container: Object) -> list[str]:
        """The CDI devices that the container gets."""
        known, names = await self._known(), {e.get("name"): n for e, n in _claim_names(pod)}
        found: list[str] = []
        for used in (container.get("resources") or {}).get("claims") or ():
            claim = known.get((namespace_of(pod), names.get(used["name"], "")))
            found += claim.cdi(used.get("request") or "") if claim is not None else ()
        special = (pod.get("status") or {}).get("extendedResourceClaimStatus") or {}
        claim = known.get((namespace_of(pod), special.get("resourceClaimName", "")))
        for mapping in special.get("requestMappings") or ():
            if claim is not None and mapping["containerName"] == container["name"]:
                found += claim.cdi(mapping["requestName"])
        return list(dict.fromkeys(found))

    async def _known(self) -> dict[Key, Claim]:
        if self._claims is None:
            self._claims = await asyncio.to_thread(_read, self._path) if self._path is not None else {}
        return self._claims

    async def _save(self) -> None:
        if self._path is not None:
            claims = [{**asdict(c), "pods": sorted(c.pods)} for c in (self._claims or {}).values()]
            await asyncio.to_thread(_write, self._path, orjson.dumps(claims))


async def _prepare_batch(plugin: Plugin, batch: list[Claim]) -> None:
    answers = await plugin.prepare([c.ref for c in batch])
    _require_all("NodePrepareResources", batch, {uid: a.error for uid, a in answers.items()})
    for claim in batch:
        claim.devices[plugin.driver] = list(answers[claim.ref.uid].devices)


def _require_all(method: str, batch: Iterable[Claim], errors: Mapping[str, str]) -> None:
    by_uid = {claim.ref.uid: claim for claim in batch}
    for uid, error in errors.items():
        if uid not in by_uid:
            raise DraError(f"{method} returned result for unknown claim UID {uid}")
        if error:
            raise DraError(f"{method} failed for ResourceClaim {by_uid[uid].ref.name}: {error}")
    if skipped := len(by_uid.keys() - errors.keys()):
        raise DraError(f"{method} skipped {skipped} ResourceClaims")


def _claim_names(pod: Object) -> Iterator[tuple[Mapping[str, Any], str]]:
    """The claims that the pod uses, each with its entry; an entry for which none is needed is left out. Raises DraError."""
    status = pod.get("status") or {}
    made = {s["name"]: s.get("resourceClaimName") for s in status.get("resourceClaimStatuses") or ()}
    for entry in podspec.spec_of(pod).get("resourceClaims") or ():
        name = entry.get("resourceClaimName") or made.get(entry["name"])
        if name:
            yield entry, name
        elif entry["name"] not in made:
            raise DraError(f'pod "{namespace_of(pod)}/{name_of(pod)}": ResourceClaim not created yet')
    special = (status.get("extendedResourceClaimStatus") or {}).get("resourceClaimName")
    if special:
        yield {}, special


def _drivers(claim: Object) -> list[str]:
    results = ((claim["status"].get("allocation") or {}).get("devices") or {}).get("results") or ()
    return list(dict.fromkeys(r["driver"] for r in results))


def _read(path: Path) -> dict[Key, Claim]:
    try:
        entries = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except orjson.JSONDecodeError as err:
        log.error("%s cannot be read, claims are prepared again: %s", path, err)
        return {}
    found = {}
    for entry in entries:
        ref = ClaimRef(**entry["ref"])
        devices = {driver: [_device(d) for d in listed] for driver, listed in entry["devices"].items()}
        found[ref.namespace, ref.name] = Claim(ref, set(entry["pods"]), devices, entry["prepared"])
    return found


def _device(entry: Mapping[str, Any]) -> PreparedDevice:
    return PreparedDevice(tuple(entry["requests"]), entry["pool"], entry["device"], tuple(entry["cdi"]))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(content)
    new.replace(path)
