"""docs/kubelet.md says of every field of a pod's spec what the kubelet does with it: none is forgotten, none made up."""

from __future__ import annotations

import re
from pathlib import Path

from kubeling.api.schema.definitions import Definition, load, reference

DOCUMENT = Path(__file__).parents[3] / "docs" / "kubelet.md"
VERDICTS = {"done", "partly", "refused", "elsewhere", "as upstream"}
CORE = "io.k8s.api.core.v1."
_ROW = re.compile(r"^\| (?P<fields>`.+?`) \| (?P<verdict>[a-z ]+) \|.*\|$")


def documented() -> dict[str, dict[str, str]]:
    """Verdict by type and field; the field ``*`` is all of them."""
    found: dict[str, dict[str, str]] = {}
    owner = ""
    for line in DOCUMENT.read_text().splitlines():
        if line.startswith("#"):
            owner = line.lstrip("# ")
        elif match := _ROW.match(line):
            found.setdefault(owner, {}).update(
                dict.fromkeys(re.findall(r"`([^`]+)`", match["fields"]), match["verdict"])
            )
    return found


def target(schema: Definition) -> str:
    """The core type that a property refers to, by its short name; empty for others."""
    name = reference(schema) or reference(schema.get("items") or {})
    return name.removeprefix(CORE) if name.startswith(CORE) else ""


def reachable(owner: str, table: dict[str, dict[str, str]], seen: set[str]) -> None:
    """Types below one: those with a chapter of their own, by fields that the kubelet itself acts on."""
    if owner in seen or owner not in table:
        return
    seen.add(owner)
    for name, schema in (load("1.36")[CORE + owner].get("properties") or {}).items():
        if table[owner].get(name) not in ("elsewhere", "refused"):
            reachable(target(schema), table, seen)


def test_every_field_has_a_verdict() -> None:
    table = documented()
    assert {v for fields in table.values() for v in fields.values()} <= VERDICTS
    seen: set[str] = set()
    reachable("PodSpec", table, seen)
    assert seen == set(table), "a chapter that no field leads to"
    for owner, fields in table.items():
        properties = set(load("1.36")[CORE + owner].get("properties") or {})
        if set(fields) != {"*"}:
            assert set(fields) == properties, owner


def test_types_with_choices_have_chapters() -> None:
    """A type whose fields are choices (sources, handlers, contexts) is where a new one appears first."""
    owners = {"PodSpec", "Container", "Volume", "VolumeProjection", "EnvVarSource", "LifecycleHandler", "Probe"}
    owners |= {"SecurityContext", "PodSecurityContext", "VolumeMount", "ContainerRestartRule", "Lifecycle"}
    assert owners <= set(documented())
