"""Reading: one object, a list at the revision that was asked for, a page of it.

Semantics of resourceVersion, resourceVersionMatch, limit and continue as documented by Kubernetes and recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from apiserver.cache.entry import Entry, entry_of
from apiserver.registry.continuation import INCONSISTENT, encode_continue
from apiserver.registry.objects import Objects
from apiserver.registry.options import EXACT, ListOptions
from apiserver.storage.base import Compacted, FutureRevision
from kubeling.api import errors
from kubeling.api.errors import StatusError
from kubeling.api.selectors import FieldSelector

FRESH_SECONDS = 3.0
"""How long a read waits for the cache to reach a revision that the client has seen elsewhere."""

_CONTINUE_GONE = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)
_VERSION_GONE = "The resourceVersion for the provided list is too old."

Filter = Callable[[Entry], bool]


@dataclass(frozen=True, slots=True)
class Listing:
    """Entries of a list, and what its metadata says."""

    entries: list[Entry]
    revision: int
    continue_: str = ""
    remaining: int | None = None


def entry_filter(objects: Objects, options: ListOptions) -> Filter | None:
    """What selectors leave of the entries; None when they select everything."""
    if not options.selective:
        return None
    labels, chosen = options.labels, options.fields
    if chosen.empty:
        return lambda entry: labels.matches(entry.labels)
    match_fields = field_filter(objects, chosen)
    if labels.empty:
        return match_fields
    return lambda entry: labels.matches(entry.labels) and match_fields(entry)


def field_filter(objects: Objects, selector: FieldSelector) -> Filter:
    names = {name: i for i, (name, _) in enumerate(objects.cache.form.selectable)}

    def matches(entry: Entry) -> bool:
        def value_of(field: str) -> str:
            if field == "metadata.name":
                return entry.name
            if field == "metadata.namespace":
                return entry.namespace
            at = names.get(field)
            return entry.fields[at] if at is not None else ""

        return selector.matches(value_of)

    return matches


async def make_fresh(objects: Objects, version: int | None) -> int:
    """Until the cache may answer for a resourceVersion; the revision that it is then known to have reached."""
    hub = objects.hub
    if version is None:
        await hub.catch_up()
    elif version > hub.revision:
        try:
            async with asyncio.timeout(FRESH_SECONDS):
                await hub.wait_for(version)
        except TimeoutError:
            raise too_large(version, hub.revision) from None
    return hub.revision


def too_large(version: int, current: int) -> StatusError:
    text = "Too large resource version"
    err = errors.timeout(f"{text}: {version}, current: {current}", 1)
    err.status["details"]["causes"] = [{"reason": "ResourceVersionTooLarge", "message": text}]
    return err


async def get(objects: Objects, namespace: str, name: str, version: int | None) -> Entry:
    """One object, at least as new as ``version`` (None: the newest there is). Raises 404."""
    await make_fresh(objects, version)
    entry = objects.cache.get(f"{namespace}/{name}" if namespace else name)
    if entry is None:
        raise objects.not_found(name)
    return entry


async def list_entries(objects: Objects, namespace: str, options: ListOptions) -> Listing:
    """The list that the options ask for. Raises 410, 504."""
    scope = f"{namespace}/" if namespace else ""
    select = entry_filter(objects, options)
    limit = 0 if options.version == 0 else options.limit
    if options.after is not None:
        if options.after.revision == INCONSISTENT:
            revision = await make_fresh(objects, None)
            return _page(objects, scope, select, limit, revision, scope + options.after.start)
        return await _at(objects, scope, select, limit, options.after.revision, scope + options.after.start)
    exact = options.match == EXACT or (bool(options.limit) and not options.match)
    if options.version and exact:
        return await _at(objects, scope, select, limit, options.version, "")
    revision = await make_fresh(objects, options.version)
    return _page(objects, scope, select, limit, revision, "")


def _page(objects: Objects, scope: str, select: Filter | None, limit: int, revision: int, start: str) -> Listing:
    """From the cache, as it is now."""
    entries = _chosen(objects.cache.scan(scope, start), select, limit)
    if not limit or len(entries) <= limit:
        return Listing(entries, revision)
    entries.pop()
    after = entries[-1].key + "\0"
    remaining = objects.cache.count(scope, after) if select is None else None
    return Listing(entries, revision, _token(scope, after, revision), remaining)


def _token(scope: str, after: str, revision: int) -> str:
    """Upstream's folder of a namespace has no slash at its end, so the keys in it begin with one."""
    return encode_continue("/" + after[len(scope) :] if scope else after, revision)


def _chosen(entries: Iterable[Entry], select: Filter | None, limit: int) -> list[Entry]:
    """Those selected, at most one more than the limit."""
    if select is None and not limit:
        return list(entries)
    found = []
    for entry in entries:
        if select is None or select(entry):
            found.append(entry)
            if limit and len(found) > limit:
                break
    return found


async def _at(objects: Objects, scope: str, select: Filter | None, limit: int, revision: int, start: str) -> Listing:
    """The state at a revision: from the cache while nothing of the kind has changed since, else from the store's
    history."""
    if objects.cache.revision <= revision <= objects.hub.revision:
        return _page(objects, scope, select, limit, revision, start)
    prefix = objects.cache.prefix
    entries: list[Entry] = []
    after = prefix + (start or scope)
    while True:
        try:
            page = await objects.storage.page(prefix + scope, after=after, limit=limit or 0, revision=revision)
        except Compacted:
            raise _expired(scope, start, objects) from None
        except FutureRevision:
            raise too_large(revision, objects.hub.revision) from None
        for item in page.items:
            entry = entry_of(item.key[len(prefix) :], item.value, item.revision, objects.cache.form)
            if select is None or select(entry):
                entries.append(entry)
        if not page.remaining or (limit and len(entries) >= limit):
            break
        after = page.items[-1].key + "\0"
    more = bool(page.remaining) or bool(limit and len(entries) > limit)
    if not limit or not more:
        return Listing(entries, revision)
    entries = entries[:limit]
    token = _token(scope, entries[-1].key + "\0", revision)
    return Listing(entries, revision, token, page.remaining if select is None else None)


def _expired(scope: str, start: str, objects: Objects) -> StatusError:
    if not start:
        return errors.expired(_VERSION_GONE)
    err = errors.expired(_CONTINUE_GONE)
    relative = "/" + start[len(scope) :] if scope else start
    err.status["metadata"] = {"continue": encode_continue(relative, INCONSISTENT)}
    return err
