"""Validation of projected volumes and of the keys that Secret and ConfigMap volumes choose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.kinds.validation.common import local_non_reserved_path, named, require
from apiserver.kinds.validation.pod.downward import FILE_MODE_ERROR, bad_mode, validate_downward_file
from apiserver.kinds.validation.selectors import validate_label_selector
from kubeling.api import fields, names
from kubeling.api.fields import ErrorList, Path

Source = Mapping[str, Any]
DUPLICATE_PATHS = "conflicting duplicate paths"
_MIN_TOKEN_SECONDS, _MAX_TOKEN_SECONDS = 600, 1 << 32


def validate_key_to_path(item: Source, path: Path) -> ErrorList:
    errors = require(item, path, "key", "path")
    errors += local_non_reserved_path(item.get("path") or "", path.child("path"))
    if bad_mode(item.get("mode")):
        errors.append(fields.invalid(path.child("mode"), item["mode"], FILE_MODE_ERROR))
    return errors


def validate_projected(volume: Source, path: Path) -> ErrorList:
    errors: ErrorList = []
    if bad_mode(volume.get("defaultMode")):
        errors.append(fields.invalid(path.child("defaultMode"), volume["defaultMode"], FILE_MODE_ERROR))
    taken: set[str] = set()
    for i, source in enumerate(volume.get("sources") or ()):
        at = path.child("sources").index(i)
        for field in ("secret", "configMap"):
            if source.get(field) is not None:
                errors += _validate_keys(source[field], at.child(field), path, taken)
        if source.get("downwardAPI") is not None:
            errors += _validate_downward(source["downwardAPI"], at.child("downwardAPI"), path, taken)
        if source.get("serviceAccountToken") is not None:
            errors += _validate_token(source["serviceAccountToken"], at.child("serviceAccountToken"), path)
        if source.get("clusterTrustBundle") is not None:
            bundle = source["clusterTrustBundle"]
            errors += _validate_trust_bundle(bundle, at.child("clusterTrustBundle"))
            errors += _claim_path(bundle.get("path") or "", bundle.get("path") or "", path, taken)
        if sum(value is not None for value in source.values()) > 1:
            errors.append(fields.forbidden(at, "may not specify more than 1 volume type per source"))
    return errors


def _claim_path(wanted: str, shown: str, path: Path, taken: set[str]) -> ErrorList:
    if wanted in taken:
        return [fields.invalid(path, shown, DUPLICATE_PATHS)]
    taken.add(wanted)
    return []


def _validate_keys(source: Source, path: Path, volume_path: Path, taken: set[str]) -> ErrorList:
    errors = require(source, path, "name")
    for i, item in enumerate(source.get("items") or ()):
        errors += validate_key_to_path(item, path.child("items").index(i))
        if item.get("path"):
            errors += _claim_path(item["path"], source.get("name") or "", volume_path, taken)
    return errors


def _validate_downward(source: Source, path: Path, volume_path: Path, taken: set[str]) -> ErrorList:
    errors: ErrorList = []
    for item in source.get("items") or ():
        errors += validate_downward_file(item, path)
        if item.get("path"):
            errors += _claim_path(item["path"], item["path"], volume_path, taken)
    return errors


def _validate_token(token: Source, path: Path, volume_path: Path) -> ErrorList:
    errors: ErrorList = []
    seconds = token.get("expirationSeconds") or 0
    at = path.child("expirationSeconds")
    if seconds < _MIN_TOKEN_SECONDS:
        errors.append(fields.invalid(at, seconds, "may not specify a duration less than 10 minutes"))
    if seconds > _MAX_TOKEN_SECONDS:
        errors.append(fields.invalid(at, seconds, "may not specify a duration larger than 2^32 seconds"))
    wanted = token.get("path") or ""
    if not wanted:
        errors.append(fields.required(volume_path.child("path")))
    return errors + local_non_reserved_path(wanted, volume_path.child("path"))


def _validate_trust_bundle(bundle: Source, path: Path) -> ErrorList:
    errors: ErrorList = []
    name, signer = bundle.get("name"), bundle.get("signerName")
    if name is not None and signer is not None:
        errors.append(fields.invalid(path, dict(bundle), "only one of name and signerName may be used"))
    elif name is not None:
        if not name:
            errors.append(fields.required(path.child("name"), "must be a valid object name"))
        for message in names.is_dns1123_subdomain(name.rpartition(":")[2]):
            detail = f"not a valid clustertrustbundlename: {message}"
            errors.append(fields.invalid(path.child("name"), name, detail))
        if bundle.get("labelSelector") is not None:
            detail = "labelSelector must be unset if name is specified"
            errors.append(fields.invalid(path.child("labelSelector"), bundle["labelSelector"], detail))
    elif signer is not None:
        errors += _validate_signer(signer, path.child("signerName"))
        errors += validate_label_selector(bundle.get("labelSelector"), path.child("labelSelector"))
    else:
        errors.append(fields.required(path, "either name or signerName must be specified"))
    errors += require(bundle, path, "path")
    return errors + local_non_reserved_path(bundle.get("path") or "", path.child("path"))


def _validate_signer(signer: str, path: Path) -> ErrorList:
    if not signer:
        return [fields.required(path, "must be a valid signer name")]
    domain, slash, rest = signer.partition("/")
    if not slash or not rest:
        return [
            fields.invalid(
                path, signer, "must be a fully qualified domain and path of the form 'example.com/signer-name'"
            )
        ]
    return named(domain, path, names.is_dns1123_subdomain)
