"""One stored object in the form it is served in, and one change of it.

Stored bytes are ``{"kind":…,"apiVersion":…,"metadata":{…"uid":"…",…},…}`` without a resourceVersion. Served bytes
("body") have the
resourceVersion spliced in behind the uid and leave kind and apiVersion out, as the items of a list do; a single object
or a watch event gets its head back by joining. So nothing is encoded on the way out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from kubeling.api.meta import Object

EMPTY: Mapping[str, str] = {}
_UID = b'"uid":"'
_UID_LENGTH = 36
_META = b'"metadata":{'


class EventType(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Form:
    """How the bytes of a kind are cut: ``head`` is ``{"kind":"Pod","apiVersion":"v1",``; ``selectable`` gives field
    values; ``read`` brings a stored object up to the kind's present schema, where that changes."""

    head: bytes
    selectable: tuple[tuple[str, Callable[[Object], str]], ...]
    read: Callable[[Object], Object] | None = None

    @classmethod
    def of(
        cls,
        kind: str,
        api_version: str,
        selectable: Mapping[str, Callable[[Object], str]],
        read: Callable[[Object], Object] | None = None,
    ) -> Form:
        return cls(head_of(kind, api_version), tuple(selectable.items()), read)


def head_of(kind: str, api_version: str) -> bytes:
    return b'{"kind":%s,"apiVersion":%s,' % (orjson.dumps(kind), orjson.dumps(api_version))


class Entry:
    """An object at a revision: its name, labels and selectable fields for filtering, its body for answering."""

    __slots__ = ("body", "fields", "key", "labels", "name", "namespace", "revision")

    def __init__(
        self, key: str, revision: int, body: bytes, labels: Mapping[str, str], fields: tuple[str, ...]
    ) -> None:
        self.key = key
        self.namespace, _, self.name = key.rpartition("/")
        self.revision = revision
        self.body = body
        self.labels = labels
        self.fields = fields

    def full(self, head: bytes) -> bytes:
        """The object as a GET answers it."""
        return head + self.body[1:]

    def decode(self, form: Form) -> Object:
        """A fresh dict of the whole object."""
        obj: Object = orjson.loads(form.head + self.body[1:])
        return obj

    def deleted_at(self, revision: int) -> Entry:
        """The last state, as the DELETED event tells it: with the revision of the deletion."""
        body = self.body.replace(b'"resourceVersion":"%d"' % self.revision, b'"resourceVersion":"%d"' % revision, 1)
        return Entry(self.key, revision, body, self.labels, self.fields)


def body_of(stored: bytes, form: Form, revision: int) -> bytes:
    """Served bytes of stored ones; falls back to decoding when they are not laid out as ``encode`` lays them out."""
    head = len(form.head)
    if stored.startswith(form.head) and stored.startswith(_META, head):
        at = stored.find(_UID, head)
        end = at + len(_UID) + _UID_LENGTH + 1
        if at > 0 and stored[end - 1 : end] == b'"':
            return b'{%s,"resourceVersion":"%d"%s' % (stored[head:end], revision, stored[end:])
    obj = orjson.loads(stored)
    obj.pop("kind", None)
    obj.pop("apiVersion", None)
    obj["metadata"] = {**(obj.get("metadata") or {}), "resourceVersion": str(revision)}
    return orjson.dumps(obj)


def entry_of(key: str, stored: bytes, revision: int, form: Form) -> Entry:
    """The entry of stored bytes."""
    return decoded_entry(key, stored, revision, form)[0]


def decoded_entry(key: str, stored: bytes, revision: int, form: Form) -> tuple[Entry, Object]:
    """The entry of stored bytes and the object itself, as ``Entry.decode`` gives it: the one decoding of a change."""
    obj: Object = orjson.loads(stored)
    if form.read is not None:
        obj = form.read(obj)
        stored = encode(obj)
    labels = obj["metadata"].get("labels") or EMPTY
    fields = tuple(value(obj) for _, value in form.selectable)
    entry = Entry(key, revision, body_of(stored, form, revision), labels, fields)
    if not stored.startswith(form.head):
        return entry, entry.decode(form)
    obj["metadata"]["resourceVersion"] = str(revision)
    return entry, obj


_METADATA_ORDER = ("name", "generateName", "namespace", "uid")


def encode(obj: Object) -> bytes:
    """Bytes to store: kind, apiVersion and metadata first, no resourceVersion (etcd knows it)."""
    metadata = obj["metadata"]
    ordered = {k: metadata[k] for k in _METADATA_ORDER if k in metadata}
    ordered.update((k, v) for k, v in metadata.items() if k not in ordered and k != "resourceVersion")
    whole: dict[str, Any] = {"kind": obj["kind"], "apiVersion": obj["apiVersion"], "metadata": ordered}
    whole.update((k, v) for k, v in obj.items() if k not in whole)
    return orjson.dumps(whole)


class Event:
    """A change of one object. ``entry`` is the new state (for DELETED the last one), ``old`` the one before.

    ``obj`` is the new state decoded, while listeners are told; they share it. ``at``: seconds of the cache's clock.
    """

    __slots__ = ("at", "entry", "lines", "obj", "old", "revision", "type")

    def __init__(self, type_: EventType, entry: Entry, old: Entry | None) -> None:
        self.type = type_
        self.entry = entry
        self.old = old
        self.revision = entry.revision
        self.lines: dict[object, bytes] | None = None
        self.obj: Object | None = None
        self.at = 0.0

    def line(self, style: object, render: Callable[[EventType, Entry], bytes], type_: EventType) -> bytes:
        """The bytes of the event in a style (served version and rendering), made once however many watch."""
        key = (style, type_)
        if self.lines is None:
            self.lines = {}
        line = self.lines.get(key)
        if line is None:
            line = self.lines[key] = render(type_, self.entry)
        return line

    def left_line(self, style: object, render: Callable[[EventType, Entry], bytes]) -> bytes:
        """What a watcher is told whose selection the object left: the state that was in it, at this revision."""
        key = (style, "left")
        if self.lines is None:
            self.lines = {}
        line = self.lines.get(key)
        if line is None:
            last = self.old or self.entry
            line = self.lines[key] = render(EventType.DELETED, last.deleted_at(self.revision))
        return line
