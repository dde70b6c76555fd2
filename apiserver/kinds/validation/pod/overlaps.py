"""Warnings about volumes that put two things at one path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from kubeling.api.fields import quoted

Fields = Mapping[str, Any]
_CERTIFICATE_PATHS = (
    ("certificateChainPath", "PodCertificate chain"),
    ("keyPath", "PodCertificate key"),
    ("credentialBundlePath", "PodCertificate credential bundle"),
)


class _Entry(NamedTuple):
    """A path in a volume and what puts it there; ``source`` is empty where the volume has one source only."""

    path: str
    source: str

    def __str__(self) -> str:
        return f"{quoted(self.path)} ({self.source})" if self.source else quoted(self.path)


def overlapping_paths(spec: Fields) -> Iterator[str]:
    for volume in spec.get("volumes") or ():
        name = quoted(volume.get("name") or "")
        for what, entries in _single_source(volume):
            yield from (f"volume {name} ({what}): overlapping paths: {pair}" for pair in _overlaps(entries))
        if volume.get("projected") is not None:
            yield from _projected(volume["projected"], name)


def _single_source(volume: Fields) -> Iterator[tuple[str, list[_Entry]]]:
    for field, label, key in (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")):
        if volume.get(field) is not None:
            what = f"{label} {quoted(volume[field].get(key) or '')}"
            yield what, _entries(volume[field].get("items"), "")
    if volume.get("downwardAPI") is not None:
        yield "DownwardAPI", _entries(volume["downwardAPI"].get("items"), "")


def _projected(projected: Fields, name: str) -> Iterator[str]:
    seen: list[_Entry] = []
    for source in projected.get("sources") or ():
        if not any(value is not None for value in source.values()):
            yield f"volume {name} (Projected) has no sources provided"
            continue
        for entry in map(_trimmed, _projected_entries(source)):
            for other in _colliding(seen, entry):
                yield f"volume {name} (Projected): overlapping paths: {entry} with {other}"
            seen.append(entry)


def _projected_entries(source: Fields) -> list[_Entry]:
    """What one source brings; of several only the first in upstream's order counts."""
    for field, label in (("configMap", "ConfigMap"), ("secret", "Secret")):
        if (source.get(field) or {}).get("items"):
            return _entries(source[field]["items"], f"{label} {quoted(source[field].get('name') or '')}")
    if (source.get("downwardAPI") or {}).get("items"):
        return _entries(source["downwardAPI"]["items"], "DownwardAPI")
    if source.get("serviceAccountToken") is not None:
        return [_Entry(source["serviceAccountToken"].get("path") or "", "ServiceAccountToken")]
    bundle, certificate = source.get("clusterTrustBundle"), source.get("podCertificate")
    if bundle is not None:
        shown = bundle.get("name") or bundle.get("signerName") or ""
        return [_Entry(bundle.get("path") or "", f"ClusterTrustBundle {quoted(shown)}")]
    if certificate is not None:
        return [_Entry(certificate[field], label) for field, label in _CERTIFICATE_PATHS if certificate.get(field)]
    return []


def _entries(items: Iterable[Fields] | None, source: str) -> list[_Entry]:
    return [_Entry(item.get("path") or "", source) for item in items or ()]


def _trimmed(entry: _Entry) -> _Entry:
    return entry._replace(path=entry.path.rstrip("/"))


def _overlaps(entries: list[_Entry]) -> Iterator[str]:
    seen: list[_Entry] = []
    for entry in map(_trimmed, entries):
        yield from (f"{entry} with {other}" for other in _colliding(seen, entry))
        seen.append(entry)


def _colliding(seen: list[_Entry], entry: _Entry) -> list[_Entry]:
    """Entries at the same path, above it or below it."""
    own = entry.path + "/"
    if not entry.path:
        return []
    return [e for e in seen if e.path and ((e.path + "/").startswith(own) or own.startswith(e.path + "/"))]
