"""Objects as they go out: as they are, as a Table, as PartialObjectMetadata; one, many, or as lines of a watch.

The plain view of a stored version cuts and joins cached bytes. Everything else is built from decoded objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Protocol

import orjson

from apiserver.cache.entry import Entry, EventType
from apiserver.registry.kind import Printer
from apiserver.registry.listing import Listing
from apiserver.registry.served import Served
from apiserver.tables.table import table, table_columns, table_rows
from kubeling.api.meta import Object, resource_version_of

Clock = Callable[[], datetime]


class View(Protocol):
    """A rendering. ``style`` is equal for renderings whose lines are the same bytes."""

    style: object

    def one(self, entry: Entry) -> bytes: ...

    def obj(self, obj: Object) -> Object: ...

    def many(self, listing: Listing) -> bytes: ...

    def line(self, type_: EventType, entry: Entry) -> bytes: ...

    def bookmark(self, revision: int, annotations: dict[str, str]) -> bytes: ...


def list_meta(listing: Listing) -> dict[str, Any]:
    meta: dict[str, Any] = {"resourceVersion": str(listing.revision)}
    if listing.continue_:
        meta["continue"] = listing.continue_
    if listing.remaining:
        meta["remainingItemCount"] = listing.remaining
    return meta


def _line(type_: str, body: bytes) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (type_.encode(), body)


class ObjectView:
    """Objects as they are, in a served version. ``empty`` gives the kind's empty object (for bookmarks)."""

    def __init__(self, served: Served, decode: Callable[[Entry], Object], empty: Callable[[], Object]) -> None:
        self._served = served
        self._decode = decode
        self._empty = empty
        self.style: object = served.resource.api_version

    def one(self, entry: Entry) -> bytes:
        served = self._served
        if served.conversion is None:
            return served.head + entry.body[1:]
        return orjson.dumps(served.from_storage(self._decode(entry)))

    def obj(self, obj: Object) -> Object:
        return obj

    def _item(self, entry: Entry) -> bytes:
        body = self.one(entry)
        if self._served.typed_items:
            return body
        obj = orjson.loads(body)
        obj.pop("kind", None)
        obj.pop("apiVersion", None)
        return orjson.dumps(obj)

    def many(self, listing: Listing) -> bytes:
        resource = self._served.resource
        if self._served.conversion is None and not self._served.typed_items:
            items = b",".join([entry.body for entry in listing.entries])
        else:
            items = b",".join([self._item(entry) for entry in listing.entries])
        meta = list_meta(listing)
        if self._served.typed_items:  # upstream writes these lists from a map, not from a struct
            meta.setdefault("continue", "")
        head = orjson.dumps({"kind": resource.list_kind_name, "apiVersion": resource.api_version, "metadata": meta})
        return b'%s,"items":[%s]}' % (head[:-1], items)

    def line(self, type_: EventType, entry: Entry) -> bytes:
        return _line(type_, self.one(entry))

    def bookmark(self, revision: int, annotations: dict[str, str]) -> bytes:
        obj = self._empty()
        obj["metadata"] = {"resourceVersion": str(revision), "creationTimestamp": None}
        if annotations:
            obj["metadata"]["annotations"] = annotations
        return _line("BOOKMARK", orjson.dumps(obj))


def partial(obj: Object, api_version: str) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": api_version, "metadata": obj.get("metadata") or {}}


class PartialView:
    """Metadata alone."""

    def __init__(self, served: Served, version: str, decode: Callable[[Entry], Object]) -> None:
        self._decode = decode
        self._served = served
        self._version = f"meta.k8s.io/{version}"
        self.style: object = ("PartialObjectMetadata", version)

    def obj(self, obj: Object) -> Object:
        return partial(obj, self._version)

    def one(self, entry: Entry) -> bytes:
        return orjson.dumps(self.obj(self._decode(entry)))

    def many(self, listing: Listing) -> bytes:
        items = [self.obj(self._decode(e)) for e in listing.entries]
        kind = "PartialObjectMetadataList"
        return orjson.dumps({"kind": kind, "apiVersion": self._version, "metadata": list_meta(listing), "items": items})

    def line(self, type_: EventType, entry: Entry) -> bytes:
        return _line(type_, self.one(entry))

    def bookmark(self, revision: int, annotations: dict[str, str]) -> bytes:
        metadata: dict[str, Any] = {"resourceVersion": str(revision), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        return _line("BOOKMARK", orjson.dumps(partial({"metadata": metadata}, self._version)))


class TableView:
    """Rows for people. ``include`` is None, Metadata or Object: what each row carries beside its cells.

    ``printer``: instead of the kind's own. One instance serves one request: a watch names the columns in its first event only.
    """

    def __init__(
        self,
        served: Served,
        version: str,
        include: str,
        decode: Callable[[Entry], Object],
        clock: Clock,
        printer: Printer | None = None,
    ) -> None:
        self._served = served
        self._printer = printer or served.printer
        self._version = f"meta.k8s.io/{version}"
        self._include = include or "Metadata"
        self._decode = decode
        self._clock = clock
        self._named = False
        self.style: object = self  # cells hold ages, the first line columns: never shared

    def _shown(self, entry: Entry) -> Object:
        return self._served.from_storage(self._decode(entry))

    def _table(self, objects: Iterable[Object], meta: dict[str, Any], columns: bool = True) -> Object:
        rows = table_rows(self._printer, objects, self._include, self._version, self._clock())
        shown = rows if rows or self._printer is not None else None  # the default convertor's rows start out as null
        return table(self._version, meta, table_columns(self._printer) if columns else None, shown)

    def obj(self, obj: Object) -> Object:
        """One object, or a list that an action made (component statuses)."""
        listed = obj.get("kind") == self._served.resource.list_kind_name
        meta = {"resourceVersion": version} if (version := resource_version_of(obj)) else {}
        return self._table(obj["items"] if listed else [obj], meta)

    def one(self, entry: Entry) -> bytes:
        return orjson.dumps(self.obj(self._shown(entry)))

    def many(self, listing: Listing) -> bytes:
        return orjson.dumps(self._table((self._shown(e) for e in listing.entries), list_meta(listing)))

    def line(self, type_: EventType, entry: Entry) -> bytes:
        named, self._named = self._named, True
        return _line(
            type_,
            orjson.dumps(self._table([self._shown(entry)], {"resourceVersion": str(entry.revision)}, not named)),
        )

    def bookmark(self, revision: int, annotations: dict[str, str]) -> bytes:
        named, self._named = self._named, True
        metadata: dict[str, Any] = {"resourceVersion": str(revision), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        row = {"cells": [], "object": partial({"metadata": metadata}, self._version)}
        columns = None if named else table_columns(self._printer)
        meta = {"resourceVersion": str(revision)}
        return _line("BOOKMARK", orjson.dumps(table(self._version, meta, columns, [row])))
