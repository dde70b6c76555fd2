"""Query parameters of lists, watches and writes, with upstream's conversions, validation and texts.

Source: ListOptions, CreateOptions and their validation in k8s.io/apimachinery/pkg/apis/meta.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apiserver.http.info import is_true
from apiserver.kinds.validation.meta import validate_field_manager
from apiserver.registry.continuation import Continuation, ContinuationError, decode_continue
from apiserver.registry.kind import Kind
from kubeling.api import errors, fields
from kubeling.api.errors import StatusError
from kubeling.api.fields import ErrorList, Path
from kubeling.api.selectors import FieldSelector, Selector, SelectorError, parse_fields, parse_labels

Query = Mapping[str, list[str]]
EXACT, NOT_OLDER = "Exact", "NotOlderThan"
META_GROUP = "meta.k8s.io"
_MATCH = Path("resourceVersionMatch")
_BUILT_IN_FIELDS = ("metadata.name", "metadata.namespace")


def first(query: Query, name: str) -> str:
    values = query.get(name)
    return values[0] if values else ""


def integer(query: Query, name: str) -> int | None:
    """An int64 parameter, None when it is not given. Raises 400 with Go's text."""
    text = first(query, name)
    if not text:
        return None
    try:
        if not text.isascii() or text != text.strip() or "_" in text:
            raise ValueError
        value = int(text)
    except ValueError:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
    if not -(2**63) <= value < 2**63:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": value out of range')
    return value


def boolean(query: Query, name: str) -> bool | None:
    values = query.get(name)
    return is_true(values[0]) if values else None


@dataclass(frozen=True, slots=True)
class ListOptions:
    """Parsed options of a list or watch. ``version`` is None when no resourceVersion is given."""

    watch: bool
    labels: Selector
    fields: FieldSelector
    version: int | None
    match: str
    limit: int
    after: Continuation | None
    timeout: int | None
    bookmarks: bool
    initial_events: bool | None

    @property
    def selective(self) -> bool:
        return not (self.labels.empty and self.fields.empty)


def list_options(query: Query, kind: Kind, api_version: str, *, watch: bool) -> ListOptions:
    """Raises 400 for parameters that cannot be read, 422 for those that contradict each other."""
    limit, timeout = integer(query, "limit"), integer(query, "timeoutSeconds")
    if not query:
        return ListOptions(watch, parse_labels(""), FieldSelector(), None, "", 0, None, None, False, None)
    labels = _labels(first(query, "labelSelector"))
    chosen = _fields(first(query, "fieldSelector"), kind, api_version)
    initial = boolean(query, "sendInitialEvents")
    match = first(query, "resourceVersionMatch")
    text, token = first(query, "resourceVersion"), first(query, "continue")
    found = _validate(watch, match, text, token, initial)
    if found:
        raise errors.invalid(META_GROUP, "ListOptions", "", found)
    return ListOptions(
        watch,
        labels,
        chosen,
        parse_version(text),
        match,
        max(limit or 0, 0),
        _continuation(token, text),
        timeout,
        bool(boolean(query, "allowWatchBookmarks")),
        initial,
    )


def _labels(text: str) -> Selector:
    try:
        return parse_labels(text)
    except SelectorError as err:
        raise errors.bad_request(str(err)) from None


def _fields(text: str, kind: Kind, api_version: str) -> FieldSelector:
    try:
        selector = parse_fields(text)
    except SelectorError as err:
        raise errors.bad_request(str(err)) from None
    for term in selector.terms:
        if term.field not in _BUILT_IN_FIELDS and term.field not in selectable(kind, api_version):
            raise errors.bad_request(unselectable(kind, term.field))
    return selector


def selectable(kind: Kind, api_version: str) -> Mapping[str, Any]:
    """The selectable fields of a served version, by their names in that version."""
    for conversion in kind.versions:
        if conversion.resource.api_version == api_version:
            return kind.field_selectors if conversion.field_selectors is None else conversion.field_selectors
    return kind.field_selectors


def unselectable(kind: Kind, field: str) -> str:
    if kind.field_error:
        return kind.field_error.format(field=field)
    if kind.field_selectors:
        return f"field label not supported: {field}"
    return f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"'


def parse_version(text: str) -> int | None:
    if not text:
        return None
    why = ""
    if not (text.isascii() and text.isdigit()):
        why = "invalid syntax"
    elif int(text) >= 2**64:
        why = "value out of range"
    if why:
        error = fields.invalid(Path("resourceVersion"), text, f'strconv.ParseUint: parsing "{text}": {why}')
        raise errors.failure(500, "", str(error))
    return int(text)


def _continuation(token: str, version: str) -> Continuation | None:
    if not token:
        return None
    if version not in ("", "0"):
        raise errors.bad_request("specifying resource version is not allowed when using continue")
    try:
        return decode_continue(token)
    except ContinuationError as err:
        raise errors.bad_request(f"invalid continue token: {err}") from None


def _validate(watch: bool, match: str, version: str, token: str, initial: bool | None) -> ErrorList:
    found: ErrorList = []
    if watch:
        if initial is not None and match != NOT_OLDER:
            detail = f"sendInitialEvents requires setting resourceVersionMatch to {NOT_OLDER}"
            found.append(fields.forbidden(_MATCH, detail))
        if match:
            if initial is None:
                detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
                found.append(fields.forbidden(_MATCH, detail))
            if match != NOT_OLDER:
                found.append(fields.not_supported(_MATCH, match, [NOT_OLDER]))
            if token:
                found.append(fields.forbidden(_MATCH, "resourceVersionMatch is forbidden when continue is provided"))
        return found
    if match:
        if not version:
            detail = "resourceVersionMatch is forbidden unless resourceVersion is provided"
            found.append(fields.forbidden(_MATCH, detail))
        if token:
            found.append(fields.forbidden(_MATCH, "resourceVersionMatch is forbidden when continue is provided"))
        if match not in (EXACT, NOT_OLDER):
            found.append(fields.not_supported(_MATCH, match, [EXACT, NOT_OLDER, ""]))
        if match == EXACT and version == "0":
            detail = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
            found.append(fields.forbidden(_MATCH, detail))
    if initial is not None:
        found.append(fields.forbidden(Path("sendInitialEvents"), "sendInitialEvents is forbidden for list"))
    return found


@dataclass(frozen=True, slots=True)
class WriteParameters:
    """Parsed options of a write; ``manager`` is empty when none is given."""

    dry_run: bool = False
    manager: str = ""
    validation: str = "Warn"
    force: bool | None = None


_NO_PARAMETERS = WriteParameters()


def write_parameters(query: Query, kind: str, *, apply: bool = False) -> WriteParameters:
    """``kind`` is the options' own: CreateOptions, UpdateOptions, PatchOptions. Raises 422."""
    if not query:
        if apply:
            raise _invalid_options(kind, [fields.required(Path("fieldManager"), "is required for apply patch")])
        return _NO_PARAMETERS
    force, manager = boolean(query, "force"), first(query, "fieldManager")
    validation = first(query, "fieldValidation")
    found: ErrorList = []
    if kind == "PatchOptions":
        if not apply and force is not None:
            found.append(fields.forbidden(Path("force"), "may not be specified for non-apply patch"))
        if apply and not manager:
            found.append(fields.required(Path("fieldManager"), "is required for apply patch"))
    found += validate_field_manager(manager, Path("fieldManager"))
    dry_run = query.get("dryRun") or []
    found += validate_dry_run(dry_run)
    if validation not in ("", "Ignore", "Warn", "Strict"):
        supported = ["", "Ignore", "Strict", "Warn"]
        found.append(fields.not_supported(Path("fieldValidation"), validation, supported))
    if found:
        raise _invalid_options(kind, found)
    return WriteParameters(bool(dry_run), manager, validation or "Warn", force)


def validate_dry_run(values: list[str]) -> ErrorList:
    if all(v == "All" for v in values):
        return []
    return [fields.not_supported(Path("dryRun"), values, ["All"])]


def _invalid_options(kind: str, found: ErrorList) -> StatusError:
    return errors.invalid(META_GROUP, kind, "", found)
