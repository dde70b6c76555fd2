"""What the server serves: every resource in its group's preferred version, custom ones too."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kubeling.api.errors import StatusError
from kubeling.api.resource import Resource, Subresource
from kubeling.client.clock import Clock
from kubeling.client.errors import ClientError
from kubeling.client.rest import Client

_AGGREGATED = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"}


@dataclass(frozen=True, slots=True)
class Discovered:
    """The resources found, and for each group version that did not answer why. Nothing is known about those."""

    resources: tuple[Resource, ...]
    failures: dict[str, str]

    def of_kind(self, api_version: str, kind: str) -> Resource | None:
        """The resource of a kind in any version of its group, preferably that one."""
        group = api_version.rpartition("/")[0]
        found = [r for r in self.resources if r.kind == kind and r.group == group]
        return next((r for r in found if r.api_version == api_version), found[0] if found else None)


class KnownKinds:
    """What was discovered, asked for anew after ``seconds`` (upstream's mappers: 30), and at once for a kind not yet known."""

    def __init__(self, client: Client, clock: Clock, seconds: float = 30.0) -> None:
        self._client = client
        self._clock = clock
        self._seconds = seconds
        self._found = Discovered((), {})
        self._due = 0.0

    async def of_kind(self, api_version: str, kind: str) -> Resource | None:
        """As ``Discovered.of_kind``. Raises what ``discover`` raises."""
        now = self._clock.monotonic()
        known = self._found.of_kind(api_version, kind) if now < self._due else None
        if known is not None:
            return known
        self._found = await discover(self._client)
        self._due = now + self._seconds
        return self._found.of_kind(api_version, kind)


async def discover(client: Client) -> Discovered:
    """Asks the server. Raises ConnectionFailed or StatusError when it tells nothing at all."""
    core, groups = await asyncio.gather(
        client.request("GET", "/api", headers=_AGGREGATED), client.request("GET", "/apis", headers=_AGGREGATED)
    )
    if core.get("kind") == "APIGroupDiscoveryList":
        found: list[Resource] = []
        stale: dict[str, str] = {}
        for item in [*core.get("items", ()), *groups.get("items", ())]:
            found += _aggregated(item, stale)
        return Discovered(tuple(found), stale)
    return await _legacy(client, core, groups)


def _aggregated(item: dict[str, Any], failures: dict[str, str]) -> Iterable[Resource]:
    group = (item.get("metadata") or {}).get("name", "")
    seen: set[str] = set()
    for version in item.get("versions") or ():
        if version.get("freshness") == "Stale":
            failures[f"{group}/{version['version']}"] = "stale GroupVersion discovery"
            continue
        for entry in version.get("resources") or ():
            plural, kind = entry["resource"], entry.get("responseKind") or {}
            if plural in seen:
                continue
            seen.add(plural)
            subresources = tuple(
                Subresource(s["subresource"], tuple(s.get("verbs") or ())) for s in entry.get("subresources") or ()
            )
            yield Resource(
                group=group,
                version=version["version"],
                kind=kind.get("kind", ""),
                plural=plural,
                namespaced=entry.get("scope") == "Namespaced",
                subresources=subresources,
                verbs=tuple(entry.get("verbs") or ()),
            )


async def _legacy(client: Client, core: dict[str, Any], groups: dict[str, Any]) -> Discovered:
    """The older form: one document a group version."""
    wanted = [("", v) for v in core.get("versions") or ()]
    wanted += [(g["name"], v["version"]) for g in groups.get("groups") or () for v in _preferred_first(g)]
    failures: dict[str, str] = {}

    async def ask(group: str, version: str) -> list[dict[str, Any]]:
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        try:
            answer = await client.request("GET", path)
        except (StatusError, ClientError) as err:
            failures[f"{group}/{version}" if group else version] = str(err)
            return []
        return list(answer.get("resources") or ())

    answers = await asyncio.gather(*(ask(group, version) for group, version in wanted))
    found: dict[tuple[str, str], Resource] = {}
    for (group, version), entries in zip(wanted, answers, strict=True):
        for entry in entries:
            if "/" not in entry["name"]:
                made = _resource(group, version, entry)
                found.setdefault((group, made.plural), made)
    return Discovered(tuple(found.values()), failures)


def _preferred_first(group: dict[str, Any]) -> list[dict[str, Any]]:
    preferred = (group.get("preferredVersion") or {}).get("version")
    return sorted(group.get("versions") or (), key=lambda v: v["version"] != preferred)


def _resource(group: str, version: str, entry: dict[str, Any]) -> Resource:
    return Resource(
        group=group,
        version=version,
        kind=entry["kind"],
        plural=entry["name"],
        namespaced=bool(entry.get("namespaced")),
        verbs=tuple(entry.get("verbs") or ()),
    )
