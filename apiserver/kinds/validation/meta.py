"""Validation of metadata, for every kind: names, labels, annotations, finalizers, owners, immutability.

Rules, order and wording follow k8s.io/apimachinery/pkg/api/validation (``ValidateObjectMeta`` and
``ValidateObjectMetaUpdate``) with the stricter finalizer rule that the built-in kinds add.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kubeling.api import fields, names
from kubeling.api.fields import ErrorList, Path

Meta = Mapping[str, Any]
NameCheck = Callable[[str], list[str]]

METADATA = Path("metadata")
IMMUTABLE = "field is immutable"
ANNOTATIONS_LIMIT = 256 * 1024
"""Bytes that all annotation keys and values of an object may take together."""

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
_STANDARD_FINALIZERS = frozenset({"kubernetes", ORPHAN, FOREGROUND})
_MANAGER_LIMIT, _SUBRESOURCE_LIMIT = 128, 256
_IMMUTABLE_FIELDS: tuple[tuple[str, Any], ...] = (
    ("name", ""),
    ("namespace", ""),
    ("uid", ""),
    ("creationTimestamp", None),
    ("deletionTimestamp", None),
    ("deletionGracePeriodSeconds", None),
)


def validate_object_meta(
    meta: Meta, *, namespaced: bool, validate_name: NameCheck, path: Path = METADATA, kube_finalizers: bool = True
) -> ErrorList:
    """Everything wrong with a new object's metadata, its name already generated.

    ``validate_name`` gives the messages for a name; a ``generateName`` is checked by it with a trailing dash allowed.
    ``kube_finalizers=False`` drops the rule that finalizers without a domain are standard ones (custom resources).
    """
    errors: ErrorList = []
    prefix = meta.get("generateName") or ""
    if prefix:
        errors += [fields.invalid(path.child("generateName"), prefix, m) for m in validate_name(_mask_dash(prefix))]
    name = meta.get("name") or ""
    if not name:
        errors.append(fields.required(path.child("name"), "name or generateName is required"))
    else:
        errors += [fields.invalid(path.child("name"), name, m) for m in validate_name(name)]
    errors += _validate_namespace(meta.get("namespace") or "", namespaced, path.child("namespace"))
    errors += nonnegative(meta.get("generation") or 0, path.child("generation"))
    errors += _validate_annotated(meta, path)
    errors += validate_finalizers(meta.get("finalizers") or (), path.child("finalizers"))
    errors += validate_managed_fields(meta.get("managedFields") or (), path.child("managedFields"))
    return errors + _kube_finalizers(meta, path, kube_finalizers)


def validate_object_meta_update(
    new: Meta, old: Meta, *, path: Path = METADATA, kube_finalizers: bool = True
) -> ErrorList:
    """Everything wrong with an update of metadata."""
    errors: ErrorList = []
    if old.get("deletionTimestamp"):
        errors += _no_new_finalizers(new.get("finalizers") or (), old.get("finalizers") or (), path.child("finalizers"))
    if not new.get("resourceVersion"):
        errors.append(fields.invalid(path.child("resourceVersion"), "", "must be specified for an update"))
    if (new.get("generation") or 0) < (old.get("generation") or 0):
        detail = "must not be decremented"
        errors.append(fields.invalid(path.child("generation"), new.get("generation") or 0, detail))
    for field, absent in _IMMUTABLE_FIELDS:
        errors += immutable(new.get(field) or absent, old.get(field) or absent, path.child(field))
    errors += _validate_annotated(new, path)
    errors += validate_managed_fields(new.get("managedFields") or (), path.child("managedFields"))
    return errors + _kube_finalizers(new, path, kube_finalizers)


def immutable(new: Any, old: Any, path: Path) -> ErrorList:
    """``field is immutable`` when the two differ."""
    return [] if new == old else [fields.invalid(path, new, IMMUTABLE)]


def nonnegative(value: int, path: Path) -> ErrorList:
    return [fields.invalid(path, value, "must be greater than or equal to 0")] if value < 0 else []


def validate_labels(labels: Mapping[str, str] | None, path: Path) -> ErrorList:
    """Keys and values of a label map; errors name the map, not the key."""
    errors: ErrorList = []
    for key, value in sorted((labels or {}).items()):
        errors += validate_label_name(key, path)
        errors += [fields.invalid(path, value, m) for m in names.is_label_value(value)]
    return errors


def validate_label_name(key: str, path: Path) -> ErrorList:
    return [fields.invalid(path, key, m) for m in names.is_qualified_name(key)]


def validate_annotations(annotations: Mapping[str, str] | None, path: Path) -> ErrorList:
    """Keys as label keys but of any case, and the limit on the total size."""
    found = sorted((annotations or {}).items())
    errors = [fields.invalid(path, key, m) for key, _ in found for m in names.is_qualified_name(key.lower())]
    if sum(len(k.encode()) + len(v.encode()) for k, v in found) > ANNOTATIONS_LIMIT:
        errors.append(fields.too_long(path, ANNOTATIONS_LIMIT))
    return errors


def validate_finalizers(finalizers: Sequence[str], path: Path) -> ErrorList:
    errors = [fields.invalid(path, f, m) for f in finalizers for m in names.is_qualified_name(f)]
    if ORPHAN in finalizers and FOREGROUND in finalizers:
        detail = f"finalizer {ORPHAN} and {FOREGROUND} cannot be both set"
        errors.append(fields.invalid(path, list(finalizers), detail))
    return errors


def validate_kube_finalizer(finalizer: str, path: Path) -> ErrorList:
    """A finalizer without a domain must be one of Kubernetes' own."""
    if "/" in finalizer or finalizer in _STANDARD_FINALIZERS:
        return []
    return [fields.invalid(path, finalizer, "name is neither a standard finalizer name nor is it fully qualified")]


def validate_owner_references(owners: Sequence[Mapping[str, Any]], path: Path) -> ErrorList:
    errors: ErrorList = []
    first_controller = ""
    for owner in owners:
        errors += _validate_owner(owner, path)
        if not owner.get("controller"):
            continue
        this = f"{owner.get('kind', '')}/{owner.get('name', '')}"
        if first_controller:
            detail = (
                "Only one reference can have Controller set to true. "
                f'Found "true" in references for {first_controller} and {this}'
            )
            errors.append(fields.invalid(path, [_owner_shown(o) for o in owners], detail))
        else:
            first_controller = this
    return errors


def validate_managed_fields(entries: Sequence[Mapping[str, Any]], path: Path) -> ErrorList:
    errors: ErrorList = []
    for i, entry in enumerate(entries):
        at = path.index(i)
        operation, kind = entry.get("operation", ""), entry.get("fieldsType", "")
        if operation not in ("Apply", "Update"):
            errors.append(fields.invalid(at.child("operation"), operation, "must be `Apply` or `Update`"))
        if kind not in ("", "FieldsV1"):
            errors.append(fields.invalid(at.child("fieldsType"), kind, "must be `FieldsV1`"))
        errors += validate_field_manager(entry.get("manager", ""), at.child("manager"))
        if len(entry.get("subresource", "").encode()) > _SUBRESOURCE_LIMIT:
            errors.append(fields.too_long(at.child("subresource"), _SUBRESOURCE_LIMIT))
    return errors


def validate_field_manager(manager: str, path: Path) -> ErrorList:
    """At most 128 bytes, all printable."""
    errors = [fields.too_long(path, _MANAGER_LIMIT)] if len(manager.encode()) > _MANAGER_LIMIT else []
    position = 0
    for char in manager:
        if not char.isprintable():
            detail = f"invalid character U+{ord(char):04X} (at position {position})"
            errors.append(fields.invalid(path, manager, detail))
        position += len(char.encode())
    return errors


def _mask_dash(prefix: str) -> str:
    """A prefix may end with a dash, because a name goes on after it."""
    return prefix[:-1] + "a" if len(prefix) > 1 and prefix.endswith("-") else prefix


def _validate_namespace(namespace: str, namespaced: bool, path: Path) -> ErrorList:
    if not namespaced:
        return [fields.forbidden(path, "not allowed on this type")] if namespace else []
    if not namespace:
        return [fields.required(path)]
    return [fields.invalid(path, namespace, m) for m in names.is_dns1123_label(namespace)]


def _validate_annotated(meta: Meta, path: Path) -> ErrorList:
    return [
        *validate_labels(meta.get("labels"), path.child("labels")),
        *validate_annotations(meta.get("annotations"), path.child("annotations")),
        *validate_owner_references(meta.get("ownerReferences") or (), path.child("ownerReferences")),
    ]


def _kube_finalizers(meta: Meta, path: Path, wanted: bool) -> ErrorList:
    if not wanted:
        return []
    at = path.child("finalizers")
    return [e for i, f in enumerate(meta.get("finalizers") or ()) for e in validate_kube_finalizer(f, at.index(i))]


def _no_new_finalizers(new: Sequence[str], old: Sequence[str], path: Path) -> ErrorList:
    extra = sorted(set(new) - set(old))
    if not extra:
        return []
    shown = ", ".join(fields.quoted(f) for f in extra)
    detail = (
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{" + shown + "}"
    )
    return [fields.forbidden(path, detail)]


def _validate_owner(owner: Mapping[str, Any], path: Path) -> ErrorList:
    errors: ErrorList = []
    api_version, kind = owner.get("apiVersion", ""), owner.get("kind", "")
    parts = api_version.split("/")
    version = parts[-1] if len(parts) <= 2 else ""
    if not version:
        errors.append(fields.invalid(path.child("apiVersion"), api_version, "version must not be empty"))
    for field in ("kind", "name", "uid"):
        if not owner.get(field):
            errors.append(fields.invalid(path.child(field), "", "must not be empty"))
    if api_version == "v1" and kind == "Event":
        errors.append(fields.invalid(path, _owner_shown(owner), "/v1, Kind=Event is disallowed from being an owner"))
    return errors


def _owner_shown(owner: Mapping[str, Any]) -> dict[str, Any]:
    """An owner reference with its fields in the order in which Go prints them."""
    shown = {field: owner.get(field, "") for field in ("apiVersion", "kind", "name", "uid")}
    return shown | {f: owner[f] for f in ("controller", "blockOwnerDeletion") if owner.get(f) is not None}
