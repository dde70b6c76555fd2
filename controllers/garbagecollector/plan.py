"""What to do with one item, from what is known of its owners and dependents. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from controllers.garbagecollector.graph import FOREGROUND, ORPHAN, Item


class Owner(Enum):
    """What became of an owner."""

    SOLID = "exists"
    WAITING = "is deleted once its dependents are gone"
    ABSENT = "does not exist"


@dataclass(frozen=True, slots=True)
class Nothing:
    """Leave the item alone."""


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the item with this propagation policy; first let go of blocked owners where ``unblock``."""

    policy: str
    unblock: bool = False


@dataclass(frozen=True, slots=True)
class DropOwners:
    """Take the references to these uids out of the item."""

    uids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DropFinalizer:
    """Take the finalizer out of the item."""

    finalizer: str


@dataclass(frozen=True, slots=True)
class LookAt:
    """Look at these items (the dependents that a foreground deletion waits for)."""

    uids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OrphanDependents:
    """Take the item out of its dependents' owners, then drop its finalizer."""


Action = Nothing | Delete | DropOwners | DropFinalizer | LookAt | OrphanDependents


def plan_deleting(item: Item, blocking: Sequence[Item]) -> Action:
    """For an item that is being deleted."""
    if item.orphans_dependents:
        return OrphanDependents()
    if not item.waits_for_dependents:
        return Nothing()
    if not blocking:
        return DropFinalizer(FOREGROUND)
    return LookAt(tuple(dep.uid for dep in blocking if not dep.waits_for_dependents))


def plan(item: Item, owners: Mapping[str, Owner], dependents: Sequence[Item]) -> Action:
    """For an item that is not being deleted. ``owners``: the state of each of its owners by uid."""
    if not owners:
        return Nothing()
    gone = tuple(uid for uid, state in owners.items() if state is not Owner.SOLID)
    if len(gone) < len(owners):
        return DropOwners(gone) if gone else Nothing()
    if Owner.WAITING in owners.values() and dependents:
        cycle = any(dep.waits_for_dependents for dep in dependents)
        return Delete("Foreground", unblock=cycle)
    return Delete(_own_policy(item))


def _own_policy(item: Item) -> str:
    """The deletion that the item's own finalizers ask for."""
    if ORPHAN in item.finalizers:
        return "Orphan"
    return "Foreground" if FOREGROUND in item.finalizers else "Background"
