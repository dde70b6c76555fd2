"""Validation of CustomResourceDefinition: names, scope, versions, conversion strategy and what may not change.

Source: staging apiextensions-apiserver pkg/apis/apiextensions/validation. What a version carries is looked into by ``versions``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apiserver.kinds.apiextensions.versions import validate_conversion, validate_versions
from apiserver.kinds.validation.meta import immutable
from kubeling.api import names
from kubeling.api.fields import ErrorList, Path, invalid, not_supported, required
from kubeling.api.meta import annotations_of

Fields = Mapping[str, Any]

SCOPES = ("Cluster", "Namespaced")
STRATEGIES = ("None", "Webhook")
_APPROVED = "api-approved.kubernetes.io"
_MIXED = "may have mixed case, but should otherwise match: "


def validate_definition(obj: Fields) -> ErrorList:
    spec, path = obj.get("spec") or {}, Path("spec")
    name, wanted = obj.get("metadata", {}).get("name") or "", spec.get("names") or {}
    errors: ErrorList = []
    if name != f"{wanted.get('plural') or ''}.{spec.get('group') or ''}":
        errors.append(invalid(Path("metadata", "name"), name, 'must be spec.names.plural+"."+spec.group'))
    errors += _group(spec.get("group") or "", path.child("group"))
    scope = spec.get("scope") or ""
    if not scope:
        errors.append(required(path.child("scope")))
    elif scope not in SCOPES:
        errors.append(not_supported(path.child("scope"), scope, SCOPES))
    errors += _versions(spec.get("versions") or (), path)
    errors += validate_versions(spec.get("versions") or (), path)
    errors += _names(wanted, path.child("names"))
    conversion = spec.get("conversion") or {}
    strategy = conversion.get("strategy")
    if strategy not in STRATEGIES:
        errors.append(not_supported(path.child("conversion", "strategy"), strategy or "", STRATEGIES))
    errors += validate_conversion(conversion, path.child("conversion"))
    if spec.get("preserveUnknownFields"):
        errors.append(invalid(path.child("preserveUnknownFields"), True, "must be false"))
    return errors + _approval(obj) + _stored(obj)


def validate_definition_update(obj: Fields, old: Fields) -> ErrorList:
    """Group and names of the kind stay; so does the scope, once the definition is established."""
    errors = validate_definition(obj)
    spec, before, path = obj.get("spec") or {}, old.get("spec") or {}, Path("spec")
    conditions = (old.get("status") or {}).get("conditions") or ()
    if any(c.get("type") == "Established" and c.get("status") == "True" for c in conditions):
        errors += immutable(spec.get("scope"), before.get("scope"), path.child("scope"))
        errors += _same_name(spec, before, "kind", path)
    errors += immutable(spec.get("group"), before.get("group"), path.child("group"))
    return errors + _same_name(spec, before, "plural", path)


def _versions(versions: Sequence[Fields], path: Path) -> ErrorList:
    """Every version has a name of its own, and exactly one is stored."""
    listed = path.child("versions")
    errors: ErrorList = []
    texts = [version.get("name") or "" for version in versions]
    for i, text in enumerate(texts):
        if wrong := names.is_dns1035_label(text):
            errors.append(invalid(listed.index(i).child("name"), text, ",".join(wrong)))
    shown = [_internal(version) for version in versions]
    if len(set(texts)) < len(texts):
        errors.append(invalid(listed, shown, "must contain unique version names"))
    if sum(bool(version.get("storage")) for version in versions) != 1:
        errors.append(invalid(listed, shown, "must have exactly one version marked as storage version"))
    # the internal type has the first version's name once more
    if texts and (wrong := names.is_dns1035_label(texts[0])):
        errors.append(invalid(path.child("version"), texts[0], ",".join(wrong)))
    return errors


def _internal(version: Fields) -> dict[str, Any]:
    """As Go prints upstream's internal type, which keeps what all versions share elsewhere."""
    flags = {field.capitalize(): bool(version.get(field)) for field in ("served", "storage", "deprecated")}
    rest = ("Schema", "Subresources", "AdditionalPrinterColumns", "SelectableFields")
    warning = version.get("deprecationWarning")
    return {"Name": version.get("name") or "", **flags, "DeprecationWarning": warning, **dict.fromkeys(rest)}


def _approval(obj: Fields) -> ErrorList:
    """Groups of the community must have been approved."""
    group = (obj.get("spec") or {}).get("group") or ""
    if not group.endswith((".k8s.io", ".kubernetes.io")) or annotations_of(obj).get(_APPROVED):
        return []
    text = f'protected groups must have approval annotation "{_APPROVED}", see https://github.com/kubernetes/enhancements/pull/1111'
    return [required(Path("metadata", "annotations").key(_APPROVED), text)]


def _stored(obj: Fields) -> ErrorList:
    """What the status says is stored: the storage version at least, and only versions that there are."""
    path, stored = Path("status", "storedVersions"), (obj.get("status") or {}).get("storedVersions")
    if not stored:
        return [invalid(path, None, "must have at least one stored version")]
    versions = (obj.get("spec") or {}).get("versions") or ()
    declared = {v.get("name", "") for v in versions}
    found = [invalid(path.index(i), name, _missing(name)) for i, name in enumerate(stored) if name not in declared]
    wanted = next((v.get("name", "") for v in reversed(versions) if v.get("storage")), "")
    if wanted and wanted not in stored:
        found.append(invalid(path, list(stored), f"must have the storage version {wanted}"))
    return found


def _missing(version: str) -> str:
    return (
        f"missing from spec.versions; {version} was previously a storage version, and must remain in spec.versions until a "
        f"storage migration ensures no data remains persisted in {version} and removes {version} from status.storedVersions"
    )


def _same_name(spec: Fields, before: Fields, field: str, path: Path) -> ErrorList:
    new, old = ((s.get("names") or {}).get(field) for s in (spec, before))
    return immutable(new, old, path.child("names", field))


def _group(group: str, path: Path) -> ErrorList:
    if not group:
        return [required(path)]
    wrong = names.is_dns1123_subdomain(group)
    if wrong:
        return [invalid(path, group, ",".join(wrong))]
    return [] if "." in group else [invalid(path, group, "should be a domain with at least one dot")]


def _names(wanted: Fields, path: Path) -> ErrorList:
    errors: ErrorList = []
    for field in ("plural", "singular", "kind", "listKind"):
        value = wanted.get(field) or ""
        mixed = field in ("kind", "listKind")
        if not value:
            errors += [] if field == "singular" else [required(path.child(field))]
            continue
        wrong = names.is_dns1035_label(value.lower() if mixed else value)
        if wrong:
            errors.append(invalid(path.child(field), value, (_MIXED if mixed else "") + ",".join(wrong)))
    for field in ("shortNames", "categories"):
        for i, value in enumerate(wanted.get(field) or ()):
            if wrong := names.is_dns1035_label(value):
                errors.append(invalid(path.child(field).index(i), value, ",".join(wrong)))
    if wanted.get("kind") and wanted.get("kind") == wanted.get("listKind"):
        errors.append(invalid(path.child("listKind"), wanted["listKind"], "kind and listKind may not be the same"))
    return errors
