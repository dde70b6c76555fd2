"""Validation of PersistentVolumeClaim specs: in claims, ephemeral volumes and StatefulSet templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.kinds.validation.common import POSITIVE, dns_label, dns_subdomain
from apiserver.kinds.validation.meta import validate_annotations, validate_labels
from apiserver.kinds.validation.selectors import validate_label_selector
from kubeling.api import fields, quantity
from kubeling.api.fields import ErrorList, Path

ACCESS_MODES = frozenset({"ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"})
VOLUME_MODES = frozenset({"Block", "Filesystem"})


def validate_access_modes(modes: list[str], path: Path) -> ErrorList:
    errors = [fields.not_supported(path, mode, ACCESS_MODES) for mode in modes if mode not in ACCESS_MODES]
    if "ReadWriteOncePod" in modes and any(m != "ReadWriteOncePod" and m in ACCESS_MODES for m in modes):
        errors.append(fields.forbidden(path, "may not use ReadWriteOncePod with other access modes"))
    return errors


def validate_claim_spec(spec: Mapping[str, Any], path: Path, *, allow_invalid_api_group: bool = False) -> ErrorList:
    """A ``PersistentVolumeClaimSpec``."""
    errors: ErrorList = []
    modes = spec.get("accessModes") or []
    if not modes:
        errors.append(fields.required(path.child("accessModes"), "at least 1 access mode is required"))
    errors += validate_label_selector(spec.get("selector"), path.child("selector"))
    errors += validate_access_modes(modes, path.child("accessModes"))
    errors += _validate_storage(spec, path.child("resources").key("storage"))
    for field in ("storageClassName",):
        if spec.get(field):
            errors += dns_subdomain(spec[field], path.child(field))
    mode = spec.get("volumeMode")
    if mode is not None and mode not in VOLUME_MODES:
        errors.append(fields.not_supported(path.child("volumeMode"), mode, VOLUME_MODES))
    for field in ("dataSource", "dataSourceRef"):
        if spec.get(field) is not None:
            errors += _validate_source(spec[field], path.child(field), allow_invalid_api_group)
    errors += _validate_sources_agree(spec, path)
    if spec.get("volumeAttributesClassName"):
        at = path.child("volumeAttributesClassName")
        errors += dns_subdomain(spec["volumeAttributesClassName"], at)
    return errors


def validate_claim_template(template: Mapping[str, Any], path: Path) -> ErrorList:
    """The claim template of a generic ephemeral volume: only labels and annotations of its metadata may be set."""
    meta, at = template.get("metadata") or {}, path.child("metadata")
    errors = validate_annotations(meta.get("annotations"), at.child("annotations"))
    errors += validate_labels(meta.get("labels"), at.child("labels"))
    for field in _META_FIELDS:
        if meta.get(field):
            errors.append(fields.forbidden(at.child(_META_FIELDS[field]), "cannot be set"))
    return errors + validate_claim_spec(template.get("spec") or {}, path.child("spec"))


_META_FIELDS = {
    "name": "name",
    "generateName": "generateName",
    "namespace": "namespace",
    "selfLink": "selfLink",
    "uid": "uID",
    "resourceVersion": "resourceVersion",
    "generation": "generation",
    "creationTimestamp": "creationTimestamp",
    "deletionTimestamp": "deletionTimestamp",
    "deletionGracePeriodSeconds": "deletionGracePeriodSeconds",
    "ownerReferences": "ownerReferences",
    "finalizers": "finalizers",
    "managedFields": "managedFields",
}
"""Metadata fields to how upstream spells them here: the Go name with its first letter lowered."""


def _validate_storage(spec: Mapping[str, Any], path: Path) -> ErrorList:
    asked = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if asked is None:
        return [fields.required(path)]
    amount = quantity.parse(asked)
    return [fields.invalid(path, str(amount), POSITIVE)] if amount.value <= 0 else []


def _validate_source(source: Mapping[str, Any], path: Path, allow_invalid_api_group: bool) -> ErrorList:
    errors = [fields.required(path.child(f)) for f in ("name", "kind") if not source.get(f)]
    group, kind = source.get("apiGroup") or "", source.get("kind") or ""
    if not group and kind != "PersistentVolumeClaim":
        detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        errors.append(fields.invalid(path, kind, detail))
    if group and not allow_invalid_api_group:
        errors += dns_subdomain(group, path.child("apiGroup"))
    if source.get("namespace"):
        errors += dns_label(source["namespace"], path.child("namespace"))
    return errors


def _validate_sources_agree(spec: Mapping[str, Any], path: Path) -> ErrorList:
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is None or reference is None:
        return []
    shown: dict[str, str] = {}  # upstream passes the path of dataSource as the value, which Go prints so
    if reference.get("namespace"):
        return [fields.invalid(path, shown, "may not be specified when dataSourceRef.namespace is specified")]
    if any(source.get(f) != reference.get(f) for f in ("apiGroup", "kind", "name")):
        return [fields.invalid(path, shown, "must match dataSourceRef")]
    return []
