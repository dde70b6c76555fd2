"""Who owns whom, over all kinds: kept up to date by informers, asked by the collector. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from kubeling.api.meta import Object, is_deleting, key_of, uid_of
from kubeling.api.resource import Resource

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


@dataclass(frozen=True, slots=True)
class Item:
    """An object as the graph knows it: its resource, and its metadata."""

    resource: Resource
    obj: Object

    @property
    def uid(self) -> str:
        return uid_of(self.obj)

    @property
    def namespace(self) -> str:
        return key_of(self.obj).namespace

    @property
    def name(self) -> str:
        return key_of(self.obj).name

    @property
    def owners(self) -> list[Object]:
        return list(self.obj["metadata"].get("ownerReferences") or ())

    @property
    def finalizers(self) -> list[str]:
        return list(self.obj["metadata"].get("finalizers") or ())

    @property
    def deleting(self) -> bool:
        return is_deleting(self.obj)

    @property
    def waits_for_dependents(self) -> bool:
        """True while a foreground deletion goes on."""
        return self.deleting and FOREGROUND in self.finalizers

    @property
    def orphans_dependents(self) -> bool:
        """True while a deletion with orphaning goes on."""
        return self.deleting and ORPHAN in self.finalizers

    def __str__(self) -> str:
        return f"{self.resource} {key_of(self.obj)}"


@dataclass
class Graph:
    """``items`` by uid; ``_dependents``: uids of the items that name a uid as their owner."""

    items: dict[str, Item] = field(default_factory=dict)
    _dependents: dict[str, dict[str, None]] = field(default_factory=dict)

    def dependents(self, uid: str) -> list[Item]:
        return [self.items[d] for d in self._dependents.get(uid, ()) if d in self.items]

    def blocking(self, uid: str) -> list[Item]:
        """The dependents that keep a foreground deletion of their owner waiting."""
        return [
            item
            for item in self.dependents(uid)
            if any(o.get("uid") == uid and o.get("blockOwnerDeletion") for o in item.owners)
        ]

    def change(self, resource: Resource, old: Object | None, new: Object | None) -> Iterable[str]:
        """Takes in a change; answers the uids of the items that must be looked at because of it."""
        before, after = (Item(resource, o) if o is not None else None for o in (old, new))
        self._relink(before, after)
        if after is None:
            return self._after_removal(before) if before is not None else ()
        return self._after_change(before, after)

    def _relink(self, before: Item | None, after: Item | None) -> None:
        old_owners = [o.get("uid", "") for o in before.owners] if before else []
        new_owners = [o.get("uid", "") for o in after.owners] if after else []
        if before is not None:
            for uid in old_owners:
                if uid not in new_owners and uid in self._dependents:
                    self._dependents[uid].pop(before.uid, None)
                    if not self._dependents[uid]:
                        del self._dependents[uid]
            if after is None:
                self.items.pop(before.uid, None)
        if after is not None:
            self.items[after.uid] = after
            for uid in new_owners:
                self._dependents.setdefault(uid, {})[after.uid] = None

    def _after_removal(self, gone: Item) -> Iterable[str]:
        yield from list(self._dependents.get(gone.uid, ()))
        yield from self._waiting_owners(gone)

    def _after_change(self, before: Item | None, after: Item) -> Iterable[str]:
        if any(not self._fits(o, after) for o in after.owners):
            yield after.uid
        if any((o := self.items.get(ref.get("uid", ""))) and o.waits_for_dependents for ref in after.owners):
            yield after.uid
        if after.orphans_dependents:
            yield after.uid
        if after.waits_for_dependents and (before is None or not before.waits_for_dependents):
            yield after.uid
            yield from list(self._dependents.get(after.uid, ()))
        if before is not None and before.owners != after.owners:
            yield from self._waiting_owners(before)

    def _fits(self, reference: Object, item: Item) -> bool:
        """True when the reference names an item that we know, by its right name and in the right place."""
        owner = self.items.get(reference.get("uid", ""))
        if owner is None or reference.get("kind") != owner.resource.kind or reference.get("name") != owner.name:
            return False
        return not owner.resource.namespaced or owner.namespace == item.namespace

    def _waiting_owners(self, item: Item) -> Iterable[str]:
        for reference in item.owners:
            owner = self.items.get(reference.get("uid", ""))
            if owner is not None and owner.waits_for_dependents:
                yield owner.uid
