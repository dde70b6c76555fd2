"""From client-side to server-side apply: the annotation ``kubectl apply`` leaves, as the manager ``kubectl`` takes over."""

from __future__ import annotations

from typing import Any

import orjson

from kubeling.api.apply.compare import compare, field_set
from kubeling.api.apply.fieldset import FieldSet, difference, union
from kubeling.api.meta import Object, annotations_of
from kubeling.api.schema import Type

MANAGER = "kubectl"
ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"
_ANNOTATIONS_LIMIT = 256 * 1024


def owned_by_client_side_apply(live: Object, made: Type) -> FieldSet:
    """Fields that the annotation sets to what they are: client-side apply owns them, so its successor may take them."""
    try:
        applied: Any = orjson.loads(annotations_of(live).get(ANNOTATION, ""))
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(applied, dict):
        return {}
    change = compare(applied, live, made)
    return difference(field_set(applied, made), union(change.taken, change.removed))


def refreshed(obj: Object, patch: Object) -> Object:
    """``obj`` with its annotation, if it has one, brought up to the applied configuration."""
    annotations = annotations_of(obj)
    if ANNOTATION not in annotations:
        return obj
    return {
        **obj,
        "metadata": {**obj["metadata"], "annotations": {**annotations, ANNOTATION: _text(patch, annotations)}},
    }


def _text(patch: Object, annotations: Any) -> str:
    """The configuration as kubectl writes it; empty when the annotations would grow too large."""
    metadata = dict(patch.get("metadata") or {})
    metadata.pop("managedFields", None)
    if ANNOTATION in (metadata.get("annotations") or {}):
        metadata["annotations"] = {k: v for k, v in metadata["annotations"].items() if k != ANNOTATION}
    text = orjson.dumps({**patch, "metadata": metadata}, option=orjson.OPT_SORT_KEYS).decode() + "\n"
    text = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    others = sum(len(k) + len(v) for k, v in annotations.items() if k != ANNOTATION)
    return "" if others + len(ANNOTATION) + len(text) > _ANNOTATIONS_LIMIT else text
