"""RFC 7386 as evanphx/json-patch applies it."""

from __future__ import annotations

from typing import Any

from kubeling.api.errors import bad_request


def merge_patch(doc: Any, patch: Any) -> Any:
    """``doc`` with a JSON merge patch applied: null deletes, objects merge, everything else replaces.

    Containers on a touched path are copied and come out with sorted keys. Raises StatusError 400 ``Invalid JSON Patch``
    for a patch that is no object.
    """
    if not isinstance(patch, dict):
        raise bad_request("Invalid JSON Patch")
    return _merge(doc, patch)


def _merge(doc: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return without_nulls(patch)
    if not isinstance(doc, dict):
        return without_nulls(patch)
    merged = dict(doc)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif key in merged:
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = without_nulls(value)
    return {key: merged[key] for key in sorted(merged)}


def without_nulls(value: Any) -> Any:
    """A new value of a patch: null members of objects are dropped at every depth, null items of lists stay."""
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [without_nulls(inner) for inner in value]
    return value
