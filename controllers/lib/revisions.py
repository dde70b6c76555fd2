"""ControllerRevisions: the history of a StatefulSet's or DaemonSet's template.

A revision's data is the strategic merge patch that brings its template back (``kubectl rollout undo`` applies it).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from controllers.lib.collection import Collection
from controllers.lib.hashing import content_hash
from kubeling.api.errors import StatusError, is_already_exists
from kubeling.api.meta import Key, Object, labels_of, name_of, namespace_of, owner_reference

MAX_PREFIX = 223


def template_data(owner: Object) -> Object:
    """What a revision of the owner's template holds."""
    return {"spec": {"template": {**deepcopy(owner["spec"]["template"]), "$patch": "replace"}}}


def with_template_of(owner: Object, revision: Object) -> Object:
    """The owner with the template of one of its revisions."""
    template = {k: v for k, v in revision["data"]["spec"]["template"].items() if k != "$patch"}
    return {**owner, "spec": {**owner["spec"], "template": template}}


def new_revision(owner: Object, number: int, hash_label: str) -> Object:
    """The revision of the owner's template, as it is to be created; its name carries the hash."""
    data = template_data(owner)
    hashed = content_hash(data, (owner.get("status") or {}).get("collisionCount"))
    labels = dict(((owner["spec"]["template"].get("metadata") or {}).get("labels")) or {})
    metadata: Object = {
        "name": f"{name_of(owner)[:MAX_PREFIX]}-{hashed}",
        "namespace": namespace_of(owner),
        "labels": {**labels, hash_label: hashed},
        "ownerReferences": [owner_reference(owner)],
    }
    if annotations := _annotations(owner):
        metadata["annotations"] = annotations
    return {"metadata": metadata, "data": data, "revision": number}


def _annotations(owner: Object) -> dict[str, str]:
    found = (owner["metadata"].get("annotations") or {}).items()
    return {k: v for k, v in found if k != "kubectl.kubernetes.io/last-applied-configuration"}


def by_number(revisions: Iterable[Object]) -> list[Object]:
    """Oldest first."""
    created = "creationTimestamp"
    return sorted(revisions, key=lambda r: (int(r["revision"]), r["metadata"].get(created) or "", name_of(r)))


@dataclass(frozen=True, slots=True)
class History:
    """``update``: the revision of the wanted template, last in ``all`` once it exists."""

    all: list[Object]
    update: Object

    def named(self, name: str) -> Object | None:
        return next((r for r in self.all if name_of(r) == name), None)


class Revisions:
    """Finds, creates and renumbers the revisions of an owner."""

    def __init__(self, revisions: Collection, owners: Collection, hash_label: str) -> None:
        self._revisions = revisions
        self._owners = owners
        self._hash_label = hash_label

    async def history(self, owner: Object, owned: Sequence[Object]) -> History:
        """The owner's history with a revision for its template, created where there is none.

        Raises StatusError (AlreadyExists) after a name was found taken: the next attempt takes another one.
        """
        known = by_number(owned)
        data = template_data(owner)
        number = int(known[-1]["revision"]) + 1 if known else 1
        same = [r for r in known if _same(r["data"], data)]
        if same and same[-1] is known[-1]:
            return History(known, same[-1])
        if same:
            renumbered = await self._revisions.update({**same[-1], "revision": number})
            kept = [r for r in known if r is not same[-1]]
            return History([*kept, renumbered], renumbered)
        made = await self._create(owner, number)
        return History([*known, made], made)

    async def _create(self, owner: Object, number: int) -> Object:
        wanted = new_revision(owner, number, self._hash_label)
        try:
            return await self._revisions.create(wanted)
        except StatusError as err:
            if not is_already_exists(err):
                raise
            there = await self._revisions.fetch(Key(namespace_of(wanted), name_of(wanted)))
            if _same(there["data"], wanted["data"]):
                return there
            status = dict(owner.get("status") or {})
            status["collisionCount"] = int(status.get("collisionCount") or 0) + 1
            await self._owners.update_status({**owner, "status": status})
            raise

    async def truncate(self, history: History, live: set[str], limit: int) -> None:
        """Deletes the oldest revisions beyond the limit that are not live (by name)."""
        dead = [r for r in history.all if name_of(r) not in live]
        for revision in dead[: max(0, len(dead) - limit)]:
            await self._revisions.delete(revision)

    def hash_of(self, revision: Object) -> str:
        return labels_of(revision).get(self._hash_label, "")


def _same(a: Any, b: Any) -> bool:
    return bool(a == b)
