"""Ownership and what a write does to it (structured-merge-diff, merge): pure functions on a table of managers."""

from __future__ import annotations

from collections.abc import Mapping
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

    def update(self, live: Value, new: Value, managed: Managed, who: Identity, version: str) -> Managed:
        """Ownership after ``who`` wrote ``new`` over ``live``: what changed is theirs, what went is nobody's."""
        managed = managed.copy()
        change = self._settle(live, new, managed, who, force=True)
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
        self, live: Value, config: Value, managed: Managed, who: Identity, version: str, *, force: bool
    ) -> tuple[Value | None, Managed]:
        """The merged object (None: it is what ``live`` is) and the ownership. Raises Conflicts unless forced."""
        managed = managed.copy()
        merged = merge(live, config, self._type)
        last = managed.owners.get(who)
        fields = without_below(field_set(config, self._type), self._ignored)
        managed.owners[who] = Ownership(version, fields, last.time if last else "")
        merged = self._prune(merged, managed, last.fields if last else {})
        self._settle(live, merged, managed, who, force=force)
        if who in managed.owners and not managed.owners[who].fields:
            del managed.owners[who]
        return (None if merged == live else merged), managed

    def _settle(self, live: Value, new: Value, managed: Managed, who: Identity, *, force: bool) -> Comparison:
        """Takes what changed from the other managers. Raises Conflicts when they own it and force is not given."""
        change = compare(live, new, self._type).without(self._ignored)
        if change.same:
            return change
        taken = change.taken
        conflicts = {
            other: found
            for other, owned in managed.owners.items()
            if other != who and (found := intersection(owned.fields, taken))
        }
        if conflicts and not force:
            raise Conflicts(conflicts)
        gone = union(taken, change.removed)
        for other, owned in list(managed.owners.items()):
            if other != who:
                managed.set_fields(other, difference(owned.fields, gone))
        return change

    def _prune(self, merged: Any, managed: Managed, last: FieldSet) -> Any:
        """Removes what the applier used to own and no longer applies, unless somebody else owns it."""
        if not last:
            return merged
        made = self._type
        named = with_named_fields
        pruned = remove(merged, named(last, made), made)
        everything = named(field_set(merged, made), made)
        left = named(field_set(pruned, made), made)
        owned: FieldSet = {}
        for ownership in managed.owners.values():
            owned = union(owned, ownership.fields)
        gone = difference(everything, union(left, named(owned, made)))
        pruned = remove(merged, gone, made)
        left = named(field_set(pruned, made), made)
        return remove(merged, intersection(difference(everything, left), named(last, made)), made)
