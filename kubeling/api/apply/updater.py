"""Ownership and what a write does to it (structured-merge-diff, merge): pure functions on a table of managers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from kubeling.api.apply.compare import Comparison, compare, field_set, with_named_fields
from kubeling.api.apply.fieldset import FieldSet, difference, intersection, paths, union, without_below
from kubeling.api.apply.managed import Identity, Managed, Ownership
from kubeling.api.apply.merge import merge, remove
from kubeling.api.apply.owned import fresh
from kubeling.api.schema import Type

Value = Mapping[str, Any]
Convert = Callable[[Value, str], tuple[Value, Type] | None]
"""An object in another version of its kind, and that version's type; None when there is no such version."""
_OWN = frozenset({"apiVersion", "kind", "metadata", "status", "data", "stringData", "binaryData"})
"""Fields that are seldom the same in two objects: remembering them would cost more than it saves."""
_MOST_PARTS = 512


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field that another manager owns and an apply would change."""

    owner: Identity
    path: str


class Conflicts(Exception):
    """An apply would change fields of others."""

    def __init__(self, sets: Mapping[Identity, FieldSet]) -> None:
        super().__init__(f"{len(sets)} managers")
        self.sets = dict(sets)

    def all(self) -> list[Conflict]:
        """Every conflict, by manager and path."""
        return [Conflict(who, path) for who in sorted(self.sets) for path in paths(self.sets[who])]


class Updater:
    """Tracks ownership for objects of one type. ``ignored`` are fields that writes here never own nor change."""

    def __init__(self, made: Type, ignored: FieldSet) -> None:
        self._type = made
        self._ignored = ignored
        self._parts: dict[tuple[str, bytes], FieldSet] = {}

    def update(
        self, live: Value, new: Value, managed: Managed, who: Identity, version: str, convert: Convert | None = None
    ) -> Managed:
        """Ownership after ``who`` wrote ``new`` over ``live``: what changed is theirs, what went is nobody's.

        With ``convert``, managers of other versions lose what changed in theirs.
        """
        managed = managed.copy()
        change = self._settle(live, new, managed, who, version, convert, force=True)
        owned = managed.owners.get(who, Ownership(version, {}))
        fields = union(difference(owned.fields, change.removed), change.taken)
        managed.owners[who] = Ownership(version, fields, owned.time)
        if not fields:
            del managed.owners[who]
        return managed

    def created(self, zero: Value, new: Value) -> FieldSet:
        """What the creator of an object that nobody manages yet owns, in written order: ``update`` of the zero object, faster.

        Objects made from one template bring the same spec again and again, so parts are remembered by what they say.
        """
        fields: FieldSet = {}
        for name in sorted(new):
            fields.update(self._part(name, zero, new[name]))
        return without_below(fields, self._ignored)

    def _part(self, name: str, zero: Value, value: Any) -> FieldSet:
        """The field of an object over the zero object."""
        own = {name: zero[name]} if name in zero else {}
        if name in _OWN or not isinstance(value, dict):
            return fresh({name: value}, own, self._type)
        try:
            text = orjson.dumps(value)
        except TypeError:  # an integer of more than 64 bits
            return fresh({name: value}, own, self._type)
        key = (name, blake2b(text, digest_size=16).digest())
        found = self._parts.get(key)
        if found is None:
            if len(self._parts) >= _MOST_PARTS:
                self._parts.clear()
            found = self._parts[key] = fresh({name: value}, own, self._type)
        return found

    def apply(
        self,
        live: Value,
        config: Value,
        managed: Managed,
        who: Identity,
        version: str,
        convert: Convert | None = None,
        *,
        force: bool,
    ) -> tuple[Value | None, Managed]:
        """The merged object (None: it is what ``live`` is) and the ownership. Raises Conflicts unless forced."""
        managed = managed.copy()
        merged = merge(live, config, self._type)
        last = managed.owners.get(who)
        fields = without_below(field_set(config, self._type), self._ignored)
        managed.owners[who] = Ownership(version, fields, last.time if last else "")
        merged = self._prune(merged, managed, last, version, convert)
        self._settle(live, merged, managed, who, version, convert, force=force)
        if who in managed.owners and not managed.owners[who].fields:
            del managed.owners[who]
        return (None if merged == live else merged), managed

    def _settle(
        self,
        live: Value,
        new: Value,
        managed: Managed,
        who: Identity,
        version: str,
        convert: Convert | None,
        *,
        force: bool,
    ) -> Comparison:
        """Takes what changed from the other managers. Raises Conflicts when they own it and force is not given."""
        own = compare(live, new, self._type).without(self._ignored)
        if own.same:
            return own
        changes: dict[str, Comparison | None] = {version: own}
        conflicts: dict[Identity, FieldSet] = {}
        gone: dict[Identity, FieldSet] = {}
        for other, owned in list(managed.owners.items()):
            if other == who:
                continue
            if owned.api_version not in changes:
                changes[owned.api_version] = self._change_in(owned.api_version, live, new, convert) if convert else own
            change = changes[owned.api_version]
            if change is None:  # nobody speaks that version any more
                del managed.owners[other]
                continue
            if found := intersection(owned.fields, change.taken):
                conflicts[other] = found
            gone[other] = union(change.taken, change.removed)
        if conflicts and not force:
            raise Conflicts(conflicts)
        for other, fields in gone.items():
            managed.set_fields(other, difference(managed.owners[other].fields, fields))
        return own

    def _change_in(self, version: str, live: Value, new: Value, convert: Convert) -> Comparison | None:
        before, after = convert(live, version), convert(new, version)
        if before is None or after is None:
            return None
        return compare(before[0], after[0], after[1]).without(self._ignored)

    def _prune(
        self, merged: Any, managed: Managed, last: Ownership | None, version: str, convert: Convert | None
    ) -> Any:
        """Removes what the applier used to own and no longer applies, unless somebody else owns it.

        Seen in the version of its last apply, where its fields mean something.
        """
        if last is None or not last.fields:
            return merged
        found = (merged, self._type) if convert is None else self._in(last.api_version, merged, version, convert)
        if found is None:
            return merged
        base, made = found
        pruned = remove(base, with_named_fields(last.fields, made), made)
        for owned_version, owned in _by_version(managed, last.api_version if convert is None else "").items():
            pruned = self._kept(base, pruned, made, last.api_version, owned_version, owned, convert)
        everything, left = (with_named_fields(field_set(value, made), made) for value in (base, pruned))
        dangling = intersection(difference(everything, left), with_named_fields(last.fields, made))
        pruned = remove(base, dangling, made)
        if convert is None or last.api_version == version:
            return pruned
        back = convert(pruned, version)
        return merged if back is None else back[0]

    def _in(self, wanted: str, value: Any, version: str, convert: Convert) -> tuple[Any, Type] | None:
        return (value, self._type) if wanted == version else convert(value, wanted)

    @staticmethod
    def _kept(
        base: Any, pruned: Any, made: Type, version: str, owned_version: str, owned: FieldSet, convert: Convert | None
    ) -> Any:
        """``pruned`` with what owners that speak ``owned_version`` own of ``base`` back in it."""
        before, after, theirs = base, pruned, made
        if convert is not None and owned_version != version:
            whole, part = convert(base, owned_version), convert(pruned, owned_version)
            if whole is None or part is None:
                return pruned
            (before, theirs), after = whole, part[0]
        everything, left = (with_named_fields(field_set(value, theirs), theirs) for value in (before, after))
        gone = difference(everything, union(left, with_named_fields(owned, theirs)))
        kept = remove(before, gone, theirs)
        if convert is None or owned_version == version:
            return kept
        back = convert(kept, version)
        return pruned if back is None else back[0]


def _by_version(managed: Managed, only: str) -> dict[str, FieldSet]:
    """What is owned, by the versions that the owners speak; all of it under ``only`` where one is given."""
    found: dict[str, FieldSet] = {}
    for owned in managed.owners.values():
        version = only or owned.api_version
        found[version] = union(found.get(version, {}), owned.fields)
    return found
