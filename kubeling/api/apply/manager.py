"""Field management of one version of a kind: who owns which field, for ordinary writes and server-side apply."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from kubeling.api.apply import lastapplied
from kubeling.api.apply.caps import cap_updaters
from kubeling.api.apply.fieldset import FieldSet, difference, single, union
from kubeling.api.apply.managed import (
    APPLY,
    UPDATE,
    BadManagedFields,
    Identity,
    Managed,
    Ownership,
    decode,
    decode_or_nothing,
    encode,
    update_entry,
)
from kubeling.api.apply.updater import Conflicts, Convert, Updater
from kubeling.api.apply.validate import validate
from kubeling.api.errors import StatusError, bad_request, failure
from kubeling.api.meta import Object, rfc3339
from kubeling.api.schema import GVK, DecodeError, ObjectSchema
from kubeling.api.schema.walk import zero

BEFORE_FIRST_APPLY = "before-first-apply"

_UNOWNED: FieldSet = {
    "f:apiVersion": {},
    "f:kind": {},
    "f:metadata": {
        ".": {},
        **{
            f"f:{name}": {}
            for name in (
                "clusterName",
                "creationTimestamp",
                "generation",
                "managedFields",
                "name",
                "namespace",
                "resourceVersion",
                "selfLink",
                "uid",
            )
        },
    },
}
"""Fields that are never owned."""


class FieldManager:
    """Tracks fields of objects of one version of a kind, for one endpoint.

    ``ignored`` are dotted paths that the endpoint resets (``status`` on the main resource, ``spec`` on status).
    Objects come and go in this version, with ``apiVersion`` and ``kind``; none is changed in place.
    """

    def __init__(self, gvk: GVK, schema: ObjectSchema, ignored: Iterable[str] = ()) -> None:
        self._gvk = gvk
        self._schema = schema
        self._type = schema.root
        reset: FieldSet = {}
        for path in ignored:
            reset = union(reset, single(*(f"f:{name}" for name in path.split("."))))
        self._updater = Updater(schema.root, reset)
        self._zero: Object = zero(schema.root) if schema.root.fields else {}

    def update(
        self,
        live: Object | None,
        new: Object,
        manager: str,
        subresource: str,
        now: datetime,
        convert: Convert | None = None,
    ) -> Object:
        """``new`` with the managed fields that an ordinary write by ``manager`` leaves; ``live`` is None on create.

        Managed fields that the request brings replace the live ones (not through subresources); ``[]`` or ``[{}]`` resets them.
        """
        bare = _without_managed(new)
        if live is None and bare is new:
            return self._created(new, manager, subresource, now)
        if live is not None and bare == _without_managed(live):
            stored, given = (o.get("metadata", {}).get("managedFields") for o in (live, new))
            if given is None or given == stored:
                return {**bare, "metadata": {**bare["metadata"], "managedFields": stored}} if stored else bare
        managed = self._given(live, new, subresource)
        if not managed.owners and live is not None and live.get("metadata", {}).get("uid"):
            return _with_managed(bare, managed)
        old = self._zero if live is None else _without_managed(live)
        who = Identity(manager, UPDATE, self._gvk.api_version, subresource)
        managed = self._tracked(old, bare, managed, who, now, convert if live is not None else None)
        return _with_managed(bare, cap_updaters(managed))

    def apply(
        self,
        live: Object | None,
        patch: Object,
        manager: str,
        force: bool,
        subresource: str,
        now: datetime,
        convert: Convert | None = None,
    ) -> Object:
        """The object after server-side apply of ``patch``, decoded but not defaulted; ``live`` is None on create.

        Raises StatusError: 400 for another kind or managed fields in the patch, 409 with a cause for each conflict, and
        (as upstream) 500 for a patch that does not fit the schema. When nothing changes, ``live`` comes back, with
        its ownership as it now is.
        """
        self._check(patch)
        try:
            managed = decode((live or {}).get("metadata", {}).get("managedFields") or ())
        except BadManagedFields as error:
            raise failure(500, "", f"failed to decode managed fields: {error}") from None
        old = self._zero_object(patch) if live is None else _without_managed(live)
        if not managed.owners:
            first = Identity(BEFORE_FIRST_APPLY, UPDATE, self._gvk.api_version, subresource)
            managed = self._tracked(self._zero_object(old), old, managed, first, now)
        who = Identity.of(manager, APPLY, self._gvk.api_version, subresource)
        merged, managed = self._applied(old, patch, managed, who, convert if live is not None else None, force=force)
        obj = dict(old)
        if merged is not None:
            obj = self._versioned(merged, patch)
            if who in managed.owners:
                owned = managed.owners[who]
                managed.owners[who] = Ownership(owned.api_version, owned.fields, rfc3339(now))
        if manager == lastapplied.MANAGER:
            obj = lastapplied.refreshed(obj, patch)
        return _with_managed(obj, managed)

    def _given(self, live: Object | None, new: Object, subresource: str) -> Managed:
        """The managed fields that a write starts from."""
        stored: Any = (live or {}).get("metadata", {}).get("managedFields") or ()
        given = new.get("metadata", {}).get("managedFields")
        if subresource or given is None:
            return decode_or_nothing(stored)
        if not given or given == [{}]:
            return Managed()
        if given is stored or given == stored:
            return decode_or_nothing(stored)
        managed = decode_or_nothing(given)
        return managed if managed.owners else decode_or_nothing(stored)

    def _created(self, new: Object, manager: str, subresource: str, now: datetime) -> Object:
        """A new object that brings no managed fields: everything in it is its creator's."""
        fields = difference(self._updater.created(self._zero, new), _UNOWNED)
        if not fields:
            return new
        entry = update_entry(manager, self._gvk.api_version, rfc3339(now), fields, subresource)
        return {**new, "metadata": {**(new.get("metadata") or {}), "managedFields": [entry]}}

    def _tracked(
        self,
        live: Mapping[str, Any],
        new: Object,
        managed: Managed,
        who: Identity,
        now: datetime,
        convert: Convert | None = None,
    ) -> Managed:
        """Ownership after an update; who took fields gets them added to those they had, and the time."""
        current = Identity("", UPDATE, self._gvk.api_version, "")
        managed = self._updater.update(live, new, managed, current, self._gvk.api_version, convert)
        taken = managed.owners.pop(current, None)
        fields = difference(taken.fields, _UNOWNED) if taken else {}
        if fields:
            before = managed.owners.get(who)
            fields = union(before.fields, fields) if before else fields
            managed.owners[who] = Ownership(self._gvk.api_version, fields, rfc3339(now))
        return managed

    def _applied(
        self, live: Object, patch: Object, managed: Managed, who: Identity, convert: Convert | None, *, force: bool
    ) -> tuple[Mapping[str, Any] | None, Managed]:
        version = self._gvk.api_version
        try:
            merged, after = self._updater.apply(live, patch, managed, who, version, convert, force=force)
        except Conflicts as conflicts:
            left = conflicts.sets
            if who.manager == lastapplied.MANAGER:
                allowed = lastapplied.owned_by_client_side_apply(live, self._type)
                left = {o: kept for o, fields in left.items() if (kept := difference(fields, allowed))}
            if left:
                raise conflict_error(Conflicts(left)) from None
            merged, after = self._updater.apply(live, patch, managed, who, version, convert, force=True)
        if who in after.owners:
            after.set_fields(who, difference(after.owners[who].fields, _UNOWNED))
        return merged, after

    def _versioned(self, merged: Mapping[str, Any], patch: Object) -> Object:
        """The merged object decoded; what the merge's looser types let through is an error of the server upstream, too."""
        try:
            return self._schema.decode(merged).obj
        except DecodeError as error:
            text = f"failed to convert new object ({_shown(patch)}) to proper version: {error}"
            raise failure(500, "", text) from None

    def _check(self, patch: Object) -> None:
        api_version, kind = _text(patch, "apiVersion"), _text(patch, "kind")
        if (api_version, kind) != (self._gvk.api_version, self._gvk.kind):
            raise bad_request(f"invalid object type: {_shown_type(patch)}")
        metadata = patch.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        if metadata.get("managedFields") is not None:
            raise bad_request("metadata.managedFields must be nil")
        wrong = validate(patch, self._type)
        if wrong:
            raise failure(500, "", f"failed to create typed patch object ({_shown(patch)}): {wrong}")

    def _zero_object(self, named: Mapping[str, Any]) -> Object:
        """The zero object, with the kind and name that upstream gives an object before it is created."""
        return {**self._zero, "apiVersion": named.get("apiVersion"), "kind": named.get("kind")}


def _shown_type(obj: Object) -> str:
    """``apps/v1, Kind=Deployment``, ``/v1, Kind=Pod``."""
    api_version = _text(obj, "apiVersion")
    return f"{api_version if '/' in api_version else f'/{api_version}'}, Kind={_text(obj, 'kind')}"


def _shown(obj: Object) -> str:
    """Namespace, name and type as Go's messages about apply give them."""
    metadata = obj.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return f"{_text(metadata, 'namespace')}/{_text(metadata, 'name')}; {_shown_type(obj)}"


def conflict_error(conflicts: Conflicts) -> StatusError:
    """409 with a cause for each conflict."""
    found = conflicts.all()
    causes = [{"reason": "FieldManagerConflict", "message": f"conflict with {c.owner}", "field": c.path} for c in found]
    if len(found) == 1:
        message = f"Apply failed with 1 conflict: conflict with {found[0].owner}: {found[0].path}"
    else:
        lines: list[str] = []
        for owner in dict.fromkeys(c.owner for c in found):
            lines.append(f"conflicts with {owner}:")
            lines.extend(f"- {c.path}" for c in found if c.owner == owner)
        message = f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)
    return failure(409, "Conflict", message, {"causes": causes})


def _text(obj: Mapping[str, Any], name: str) -> str:
    value = obj.get(name)
    return value if isinstance(value, str) else ""


def _without_managed(obj: Object) -> Object:
    metadata = obj.get("metadata")
    if not metadata or "managedFields" not in metadata:
        return obj
    return {**obj, "metadata": {k: v for k, v in metadata.items() if k != "managedFields"}}


def _with_managed(obj: Object, managed: Managed) -> Object:
    if not managed.owners:
        return obj
    return {**obj, "metadata": {**(obj.get("metadata") or {}), "managedFields": encode(managed)}}
