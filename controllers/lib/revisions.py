"""ControllerRevisions: the history of a StatefulSet's or DaemonSet's template.

A revision's data is the strategic merge patch that brings its template back (``kubectl rollout undo`` applies it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import orjson

from controllers.lib.collection import Collection
from controllers.lib.hashing import go_json
from kubeling.api.errors import StatusError, is_already_exists
from kubeling.api.meta import Key, Object, labels_of, name_of, namespace_of, owner_reference

MAX_PREFIX = 223

NameHash = Callable[[Object, Object], str]
"""From an owner and a revision's data to the hash in the revision's name and label."""


def template_data(owner: Object) -> Object:
    """What a revision of the owner's template holds, in the order of keys in which upstream writes it."""
    data = {"spec": {"template": {**owner["spec"]["template"], "$patch": "replace"}}}
    ordered: Object = orjson.loads(go_json(data))
    return ordered


def with_template_of(owner: Object, revision: Object) -> Object:
    """The owner with the template of one of its revisions."""
    template = {k: v for k, v in revision["data"]["spec"]["template"].items() if k != "$patch"}
    return {**owner, "spec": {**owner["spec"], "template": template}}


def new_revision(owner: Object, number: int, hash_label: str, hashed: str) -> Object:
    """The revision of the owner's template, as it is to be created; its name carries the hash."""
    labels = dict(((owner["spec"]["template"].get("metadata") or {}).get("labels")) or {})
    metadata: Object = {
        "name": f"{name_of(owner)[:MAX_PREFIX]}-{hashed}",
        "namespace": namespace_of(owner),
        "labels": {**labels, hash_label: hashed},
        "ownerReferences": [owner_reference(owner)],
    }
    if annotations := owner["metadata"].get("annotations"):
        metadata["annotations"] = dict(annotations)
    return {"metadata": metadata, "data": template_data(owner), "revision": number}


def by_number(revisions: Iterable[Object]) -> list[Object]:
    """Oldest first."""
    created = "creationTimestamp"
    return sorted(revisions, key=lambda r: (int(r["revision"]), r["metadata"].get(created) or "", name_of(r)))


@dataclass(frozen=True, slots=True)
class History:
    """``update``: the revision of the wanted template, last in ``all`` once it exists. ``same``: older ones of that template."""

    all: list[Object]
    update: Object
    same: tuple[Object, ...] = ()

    def named(self, name: str) -> Object | None:
        return next((r for r in self.all if name_of(r) == name), None)


class Revisions:
    """Finds, creates and renumbers the revisions of an owner."""

    def __init__(self, revisions: Collection, owners: Collection, hash_label: str, name_hash: NameHash) -> None:
        self._revisions = revisions
        self._owners = owners
        self._hash_label = hash_label
        self._name_hash = name_hash

    async def history(self, owner: Object, owned: Sequence[Object]) -> History:
        """The owner's history with a revision for its template, created where there is none.

        Raises StatusError (AlreadyExists) after a name was found taken: the next attempt takes another one.
        """
        known = by_number(owned)
        data = template_data(owner)
        number = int(known[-1]["revision"]) + 1 if known else 1
        same = [r for r in known if _is_of(r, data)]
        if not same:
            made = await self._create(owner, number)
            return History([*known, made], made)
        *older, newest = same
        if newest is known[-1]:
            return History(known, newest, tuple(older))
        renumbered = await self._revisions.update({**newest, "revision": number})
        kept = [r for r in known if r is not newest]
        return History([*kept, renumbered], renumbered, tuple(older))

    async def _create(self, owner: Object, number: int) -> Object:
        wanted = new_revision(owner, number, self._hash_label, self._name_hash(owner, template_data(owner)))
        try:
            return await self._revisions.create(wanted)
        except StatusError as err:
            if not is_already_exists(err):
                raise
            there = await self._revisions.fetch(Key(namespace_of(wanted), name_of(wanted)))
            if _is_of(there, wanted["data"]):
                return there
            status = dict(owner.get("status") or {})
            status["collisionCount"] = int(status.get("collisionCount") or 0) + 1
            await self._owners.update_status({**owner, "status": status})
            raise

    async def delete(self, revisions: Iterable[Object]) -> None:
        for revision in revisions:
            await self._revisions.delete(revision)

    def hash_of(self, revision: Object) -> str:
        return labels_of(revision).get(self._hash_label, "")


def _is_of(revision: Object, data: Object) -> bool:
    """True when that is what the revision holds; releases before 1.34 wrote an empty creationTimestamp, too."""
    held = revision["data"]
    template = (held.get("spec") or {}).get("template") or {}
    metadata = template.get("metadata") or {}
    if metadata.get("creationTimestamp", "") is None:
        kept = {k: v for k, v in metadata.items() if k != "creationTimestamp"}
        held = {"spec": {"template": {**template, "metadata": kept}}}
    return bool(held == data)
