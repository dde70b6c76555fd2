"""``meta.k8s.io`` Tables: columns from a kind's printer, rows from objects. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from apiserver.registry.kind import Column, Printer
from kubeling.api.meta import Object, name_of

NAME_TEXT = (
    "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a "
    "client to request the generation of an appropriate name automatically. Name is primarily intended for creation "
    "idempotence and configuration definition. Cannot be updated. More info: "
    "https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
)
CREATED_TEXT = (
    "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed "
    "to be set in happens-before order across separate operations. Clients may not set this value. It is represented "
    "in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)


def _default_row(obj: Object, now: datetime) -> list[Any]:
    return [name_of(obj), (obj.get("metadata") or {}).get("creationTimestamp")]


DEFAULT_PRINTER = Printer(
    (Column("Name", format="name", description=NAME_TEXT), Column("Created At", "date", description=CREATED_TEXT)),
    _default_row,
)
"""For kinds without columns of their own (upstream's default table convertor)."""


def table_columns(printer: Printer | None) -> list[Object]:
    return [
        {"name": c.name, "type": c.type, "format": c.format, "description": c.description, "priority": c.priority}
        for c in (printer or DEFAULT_PRINTER).columns
    ]


def table_rows(
    printer: Printer | None, objects: Iterable[Object], include: str, api_version: str, now: datetime
) -> list[Object]:
    """``include``: ``None``, ``Metadata`` or ``Object``."""
    printer = printer or DEFAULT_PRINTER
    rows: list[Object] = []
    if printer.order is not None:
        objects = sorted(objects, key=printer.order)
    for obj in objects:
        carried: Object | None = None
        if include == "Object":
            carried = obj
        elif include != "None":
            metadata = _shown_metadata(obj.get("metadata") or {}, printer)
            carried = {"kind": "PartialObjectMetadata", "apiVersion": api_version, "metadata": metadata}
        conditions = printer.conditions(obj) if printer.conditions else []
        shown = {"conditions": conditions} if conditions else {}
        rows.append({"cells": printer.row(obj, now), **shown, "object": carried})
    return rows


def _shown_metadata(metadata: Object, printer: Printer) -> Object:
    annotations = metadata.get("annotations") or {}
    if not any(key in annotations for key in printer.hidden_annotations):
        return metadata
    kept = {key: value for key, value in annotations.items() if key not in printer.hidden_annotations}
    rest = {field: value for field, value in metadata.items() if field != "annotations"}
    return {**rest, "annotations": kept} if kept else rest


def table(api_version: str, meta: dict[str, Any], columns: list[Object] | None, rows: list[Object] | None) -> Object:
    return {"kind": "Table", "apiVersion": api_version, "metadata": meta, "columnDefinitions": columns, "rows": rows}
