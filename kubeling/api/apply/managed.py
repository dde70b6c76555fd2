"""``metadata.managedFields`` as a table of managers, and back (k8s.io/apimachinery/pkg/util/managedfields)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kubeling.api.apply.fieldset import BadFieldSet, FieldSet, checked, ordered

UPDATE = "Update"
APPLY = "Apply"


class Identity(NamedTuple):
    """Who manages: appliers are one across versions, updaters one for each (``api_version`` is empty for appliers)."""

    manager: str
    operation: str
    api_version: str
    subresource: str

    @classmethod
    def of(cls, manager: str, operation: str, api_version: str, subresource: str) -> Identity:
        return cls(manager, operation, "" if operation == APPLY else api_version, subresource)

    def __str__(self) -> str:
        """As conflicts name it: ``"kubectl" with subresource "scale" using apps/v1``."""
        text = f'"{self.manager}"'
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        return f"{text} using {self.api_version}" if self.operation == UPDATE else text


@dataclass(slots=True)
class Ownership:
    """What one manager owns: paths in a version of the kind, and when that last changed."""

    api_version: str
    fields: FieldSet
    time: str = ""


@dataclass(slots=True)
class Managed:
    """All managers of an object. Entries are replaced, never changed in place."""

    owners: dict[Identity, Ownership] = field(default_factory=dict)

    def set_fields(self, who: Identity, fields: FieldSet) -> None:
        """Gives an existing manager other fields; one without fields goes."""
        old = self.owners[who]
        if fields:
            self.owners[who] = Ownership(old.api_version, fields, old.time)
        else:
            del self.owners[who]

    def copy(self) -> Managed:
        return Managed(dict(self.owners))


class BadManagedFields(ValueError):
    """The entries cannot be understood; the text is upstream's."""


def decode(entries: Iterable[Mapping[str, Any]]) -> Managed:
    """The table of managers. Raises BadManagedFields."""
    managed = Managed()
    for index, entry in enumerate(entries):
        operation, api_version = entry.get("operation", ""), entry.get("apiVersion") or ""
        if operation not in (UPDATE, APPLY):
            raise BadManagedFields("operation must be `Apply` or `Update`")
        if not api_version:
            raise BadManagedFields("apiVersion must not be empty")
        fields_type = entry.get("fieldsType") or ""
        if not fields_type:
            raise BadManagedFields(f"missing fieldsType in managed fields entry {index}")
        if fields_type != "FieldsV1":
            raise BadManagedFields(f'invalid fieldsType "{fields_type}" in managed fields entry {index}')
        who = Identity.of(entry.get("manager") or "", operation, api_version, entry.get("subresource") or "")
        try:
            fields = checked(entry.get("fieldsV1") or {})
        except BadFieldSet as error:
            raise BadManagedFields(f"error decoding set: {error}") from None
        managed.owners[who] = Ownership(api_version, fields, entry.get("time") or "")
    return managed


def decode_or_nothing(entries: Iterable[Mapping[str, Any]]) -> Managed:
    """As ``decode``; entries that cannot be understood count as none."""
    try:
        return decode(entries)
    except BadManagedFields:
        return Managed()


def encode(managed: Managed) -> list[dict[str, Any]]:
    """The entries in upstream's order: appliers first, then by time, manager, version and subresource."""
    entries = [_entry(who, owned) for who, owned in managed.owners.items()]
    entries.sort(
        key=lambda e: (e["operation"], e.get("time", ""), e["manager"], e["apiVersion"], e.get("subresource", ""))
    )
    return entries


def _entry(who: Identity, owned: Ownership) -> dict[str, Any]:
    return _written(who.manager, who.operation, owned.api_version, owned.time, ordered(owned.fields), who.subresource)


def update_entry(manager: str, api_version: str, time: str, fields: FieldSet, subresource: str) -> dict[str, Any]:
    """The entry of an updating manager; ``fields`` are in their written order already."""
    return _written(manager, UPDATE, api_version, time, fields, subresource)


def _written(
    manager: str, operation: str, api_version: str, time: str, fields: FieldSet, subresource: str
) -> dict[str, Any]:
    entry: dict[str, Any] = {"manager": manager, "operation": operation, "apiVersion": api_version}
    if time:
        entry["time"] = time
    entry["fieldsType"] = "FieldsV1"
    entry["fieldsV1"] = fields
    if subresource:
        entry["subresource"] = subresource
    return entry
