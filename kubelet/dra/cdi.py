"""What CDI devices put into a container: files of vendors describe them, which newer engines read and ours does not.

Source: https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kubelet.runtime.specs import Device, Mount

FOLDERS = (Path("/etc/cdi"), Path("/var/run/cdi"))
"""A device in a later folder takes the place of one in an earlier."""
_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class CdiError(Exception):
    """Devices that are not described, or whose description asks for what the engine cannot do."""


@dataclass(slots=True)
class Edits:
    """What a container gets besides what its pod asks for."""

    env: list[tuple[str, str]] = field(default_factory=list)
    mounts: list[Mount] = field(default_factory=list)
    devices: list[Device] = field(default_factory=list)


def edits_for(names: Sequence[str], folders: Iterable[Path] = FOLDERS) -> Edits:
    """``names``: ``vendor/class=device``. Reads files. Raises CdiError."""
    edits = Edits()
    if not names:
        return edits
    known = {name: entry for spec in _specs(folders) for name, entry in _devices(spec)}
    missing = [name for name in names if name not in known]
    if missing:
        raise CdiError(f"CDI device injection failed: unresolvable CDI devices {', '.join(missing)}")
    general: list[Mapping[str, Any]] = []
    for name in dict.fromkeys(names):
        spec, own = known[name]
        if spec not in general:
            general.append(spec)
        _apply(edits, own, name)
    for spec in general:
        _apply(edits, spec.get("containerEdits") or {}, str(spec.get("kind")))
    return edits


def _specs(folders: Iterable[Path]) -> Iterator[Mapping[str, Any]]:
    for folder in folders:
        for path in sorted(folder.glob("*")) if folder.is_dir() else ():
            if path.suffix not in (".json", ".yaml"):
                continue
            try:
                spec = yaml.load(path.read_bytes(), Loader=_YAML)  # a safe loader
            except (OSError, yaml.YAMLError):
                continue  # an unreadable file describes nothing
            if isinstance(spec, Mapping) and spec.get("kind"):
                yield spec


def _devices(spec: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Mapping[str, Any], Mapping[str, Any]]]]:
    for device in spec.get("devices") or ():
        yield f"{spec['kind']}={device.get('name')}", (spec, device.get("containerEdits") or {})


def _apply(edits: Edits, given: Mapping[str, Any], what: str) -> None:
    if given.get("hooks"):
        raise CdiError(f"CDI device injection failed: {what} has hooks, which the container engine does not run")
    for variable in given.get("env") or ():
        name, _, value = variable.partition("=")
        edits.env.append((name, value))
    for mount in given.get("mounts") or ():
        read_only = "ro" in (mount.get("options") or ())
        edits.mounts.append(Mount(mount["hostPath"], mount["containerPath"], read_only))
    for node in given.get("deviceNodes") or ():
        read_only = "w" not in (node.get("permissions") or "rwm")
        edits.devices.append(Device(node.get("hostPath") or node["path"], node["path"], read_only))
