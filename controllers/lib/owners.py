"""Who owns what: adopting orphans that the selector matches, releasing owned ones that it no longer matches.

Source of the rules: the controllerRef design and kubernetes/pkg/controller's ref manager.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from controllers.lib.collection import Collection
from kubeling.api.errors import StatusError, is_invalid, is_not_found
from kubeling.api.meta import (
    Object,
    controller_of,
    is_deleting,
    key_of,
    labels_of,
    namespace_of,
    owner_reference,
    uid_of,
)
from kubeling.api.selectors import Selector
from kubeling.client.rest import PatchKind

CONTROLLER_UID = "controller"
"""Name of the index by the uid of the controlling owner."""
ORPHANS = "orphans"
"""Name of the index of objects that nobody controls, by namespace."""

log = logging.getLogger(__name__)


def orphans_of(obj: Object) -> Iterable[str]:
    """Index values: the namespace of an object that nobody controls."""
    if controller_of(obj) is None:
        yield namespace_of(obj)


@dataclass
class Claim:
    """Which dependents are the owner's, which it should adopt, which release."""

    owned: list[Object] = field(default_factory=list)
    adopt: list[Object] = field(default_factory=list)
    release: list[Object] = field(default_factory=list)


def plan_claim(owner: Object, selector: Selector, candidates: Iterable[Object]) -> Claim:
    """Sorts candidates of the owner's namespace. An owner being deleted neither adopts nor releases."""
    claim = Claim()
    for obj in candidates:
        reference = controller_of(obj)
        matches = selector.matches(labels_of(obj))
        if reference is not None:
            if reference.get("uid") != uid_of(owner):
                continue
            if matches:
                claim.owned.append(obj)
            elif not is_deleting(owner):
                claim.release.append(obj)
        elif matches and not is_deleting(owner) and not is_deleting(obj):
            claim.adopt.append(obj)
    return claim


async def carry_out(
    claim: Claim, owner: Object, owners: Collection, dependents: Collection, finalizer: str = ""
) -> list[Object]:
    """Adopts and releases; answers what is the owner's now. ``finalizer``: the one that dependents have while they are owned.

    Before anything is adopted the server is asked whether the owner still lives. A dependent that is gone is left out.
    """
    owned = list(claim.owned)
    if claim.adopt:
        await require_alive(owner, owners)
    held: Object = {"finalizers": [finalizer]} if finalizer else {}
    for obj in claim.adopt:
        adopted = await _change_owner(dependents, obj, {"ownerReferences": [owner_reference(owner)], **held}, owner)
        if adopted is not None:
            owned.append(adopted)
    for obj in claim.release:
        away: Object = {"ownerReferences": [{"$patch": "delete", "uid": uid_of(owner)}]}
        if finalizer:
            away["$deleteFromPrimitiveList/finalizers"] = [finalizer]
        await _change_owner(dependents, obj, away, owner)
    return owned


async def require_alive(owner: Object, owners: Collection) -> None:
    """Raises RuntimeError when the server knows the owner as deleted, being deleted, or replaced by another."""
    fresh = await owners.fetch(key_of(owner))
    if uid_of(fresh) != uid_of(owner):
        raise RuntimeError(f"original {owners.resource.kind} {key_of(owner)} is gone: got uid {uid_of(fresh)}")
    if is_deleting(fresh):
        raise RuntimeError(f"{key_of(owner)} has just been deleted at {fresh['metadata']['deletionTimestamp']}")


async def _change_owner(dependents: Collection, obj: Object, metadata: Object, owner: Object) -> Object | None:
    """Patches the owner references; None when the dependent is gone, or another object of its name is there."""
    patch = {"metadata": {"uid": uid_of(obj), **metadata}}
    try:
        return await dependents.patch(obj, patch, kind=PatchKind.STRATEGIC)
    except StatusError as err:
        if is_not_found(err) or (is_invalid(err) and "$patch" in str(metadata)):
            return None  # gone, or the reference was no longer there
        raise
