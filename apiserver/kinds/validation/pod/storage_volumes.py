"""Validation of the volume sources of storage systems; PersistentVolumes use the same checks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from apiserver.kinds.validation.common import dns_label, dns_subdomain, in_range, require
from kubeling.api import fields, names
from kubeling.api.fields import ErrorList, Path

Source = Mapping[str, Any]
_QUALIFIERS = {
    "iqn": re.compile(r"iqn\.\d{4}-\d{2}\.([a-zA-Z0-9\-.]+)(:[^,;*&$|\s]+)$"),
    "eui": re.compile(r"^eui.[a-zA-Z0-9]{16}$"),
    "naa": re.compile(r"^naa.[a-zA-Z0-9]{32}$"),
}
_PORTAL_LIMIT = 64
_CACHING = frozenset({"None", "ReadOnly", "ReadWrite"})
_DISK_KINDS = frozenset({"Shared", "Dedicated", "Managed"})
_MANAGED_URI = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
_BLOB_URI = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"
_HOST_PORT = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*):[^:\[\]]*")


def _check_initiator(name: str, path: Path, *, detailed: bool) -> ErrorList:
    pattern = _QUALIFIERS.get(name[:3])
    if pattern is None:
        detail = "must be valid format starting with iqn, eui, or naa" if detailed else "must be valid format"
        return [fields.invalid(path, name, detail)]
    return [] if pattern.search(name) else [fields.invalid(path, name, "must be valid format")]


def validate_iscsi(source: Source, path: Path, *, detailed: bool = True) -> ErrorList:
    """``detailed=False``: the shorter wording that PersistentVolumes get."""
    errors = require(source, path, "targetPortal")
    name = source.get("iqn") or ""
    at = path.child("iqn")
    errors += _check_initiator(name, at, detailed=detailed) if name else [fields.required(at)]
    errors += in_range(source.get("lun") or 0, path.child("lun"), 0, 255)
    if (source.get("chapAuthDiscovery") or source.get("chapAuthSession")) and source.get("secretRef") is None:
        errors.append(fields.required(path.child("secretRef")))
    if source.get("initiatorName") is not None:
        errors += _check_initiator(source["initiatorName"], path.child("initiatorname"), detailed=detailed)
    return errors


def validate_iscsi_name(source: Source, name: str, path: Path) -> ErrorList:
    """With an initiator name, the volume's name and the portal together are limited."""
    if source.get("initiatorName") is None or len(f"{name}:{source.get('targetPortal', '')}") <= _PORTAL_LIMIT:
        return []
    detail = (
        "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters "
        "if iscsi.initiatorName is specified."
    )
    return [fields.invalid(path, name, detail)]


def validate_fc(source: Source, path: Path) -> ErrorList:
    errors: ErrorList = []
    targets, ids, lun = source.get("targetWWNs") or [], source.get("wwids") or [], source.get("lun")
    at = path.child("targetWWNs")
    if not targets and not ids:
        errors.append(fields.required(at, "must specify either targetWWNs or wwids, but not both"))
    if targets and ids:
        errors.append(fields.invalid(at, targets, "targetWWNs and wwids can not be specified simultaneously"))
    if targets and lun is None:
        errors.append(fields.required(path.child("lun"), "lun is required if targetWWNs is specified"))
    elif targets:
        errors += in_range(lun or 0, path.child("lun"), 0, 255)
    return errors


def _validate_partition(source: Source, path: Path) -> ErrorList:
    partition = source.get("partition") or 0
    if 0 <= partition <= 255:
        return []
    return [fields.invalid(path.child("partition"), partition, "must be between 1 and 255, inclusive")]


def validate_gce_disk(source: Source, path: Path) -> ErrorList:
    return require(source, path, "pdName") + _validate_partition(source, path)


def validate_aws_disk(source: Source, path: Path) -> ErrorList:
    return require(source, path, "volumeID") + _validate_partition(source, path)


def validate_nfs(source: Source, path: Path) -> ErrorList:
    errors = require(source, path, "server", "path")
    target = source.get("path") or ""
    if not target.startswith("/"):
        errors.append(fields.invalid(path.child("path"), target, "must be an absolute path"))
    return errors


def validate_quobyte(source: Source, path: Path) -> ErrorList:
    pairs = "must be a host:port pair or multiple pairs separated by commas"
    errors: ErrorList = []
    registry = source.get("registry") or ""
    if not registry:
        errors.append(fields.required(path.child("registry"), pairs))
    elif len(source.get("tenant") or "") >= 65:
        detail = "must be a UUID and may not exceed a length of 64 characters"
        errors.append(fields.required(path.child("tenant"), detail))
    else:
        bad = [p for p in registry.split(",") if not _HOST_PORT.fullmatch(p)]
        errors += [fields.invalid(path.child("registry"), registry, pairs) for _ in bad]
    return errors + require(source, path, "volume")


def validate_glusterfs(source: Source, path: Path) -> ErrorList:
    errors = require(source, path, "endpoints", "path")
    namespace = source.get("endpointsNamespace")
    if namespace == "":
        detail = "if the endpointnamespace is set, it must be a valid namespace name"
        errors.append(fields.invalid(path.child("endpointsNamespace"), namespace, detail))
    elif namespace is not None:
        errors += dns_label(namespace, path.child("endpointsNamespace"))
    return errors


def validate_flocker(source: Source, path: Path) -> ErrorList:
    errors: ErrorList = []
    name, uuid = source.get("datasetName") or "", source.get("datasetUUID") or ""
    if not name and not uuid:
        errors.append(fields.required(path, "one of datasetName and datasetUUID is required"))
    if name and uuid:
        detail = "datasetName and datasetUUID can not be specified simultaneously"
        errors.append(fields.invalid(path, "resource", detail))
    if "/" in name:
        errors.append(fields.invalid(path.child("datasetName"), name, "must not contain '/'"))
    return errors


def validate_rbd(source: Source, path: Path) -> ErrorList:
    return require(source, path, "monitors", "image")


def validate_cephfs(source: Source, path: Path) -> ErrorList:
    return require(source, path, "monitors")


def _require_secret(source: Source, path: Path, *wanted: str) -> ErrorList:
    secret = source.get("secretRef")
    return [] if secret is None else require(secret, path.child("secretRef"), *wanted)


def validate_cinder(source: Source, path: Path) -> ErrorList:
    return require(source, path, "volumeID") + _require_secret(source, path, "name")


def validate_flex(source: Source, path: Path) -> ErrorList:
    errors = require(source, path, "driver")
    for key in sorted(source.get("options") or {}):
        domain = "." + key.partition("/")[0].lower()
        if domain.endswith((".kubernetes.io", ".k8s.io")):
            detail = "kubernetes.io and k8s.io namespaces are reserved"
            errors.append(fields.invalid(path.child("options").key(key), key, detail))
    return errors


def validate_azure_file(source: Source, path: Path) -> ErrorList:
    errors = require(source, path, "secretName", "shareName")
    if source.get("secretNamespace") == "":
        errors.append(fields.required(path.child("secretNamespace")))
    return errors


def validate_azure_disk(source: Source, path: Path) -> ErrorList:
    errors = require(source, path, "diskName", "diskURI")
    uri, kind = source.get("diskURI") or "", source.get("kind")
    for field, supported in (("cachingMode", _CACHING), ("kind", _DISK_KINDS)):
        if source.get(field) is not None and source[field] not in supported:
            errors.append(fields.not_supported(path.child(field), source[field], supported))
    if kind == "Managed" and not uri.startswith("/subscriptions/"):
        errors.append(fields.not_supported(path.child("diskURI"), uri, [_MANAGED_URI]))
    if kind is not None and kind != "Managed" and not uri.startswith("https://"):
        errors.append(fields.not_supported(path.child("diskURI"), uri, [_BLOB_URI]))
    return errors


def validate_vsphere(source: Source, path: Path) -> ErrorList:
    return require(source, path, "volumePath")


def validate_photon(source: Source, path: Path) -> ErrorList:
    return require(source, path, "pdID")


def validate_portworx(source: Source, path: Path) -> ErrorList:
    return require(source, path, "volumeID")


def validate_scale_io(source: Source, path: Path) -> ErrorList:
    return require(source, path, "gateway", "system", "volumeName")


def validate_storageos(source: Source, path: Path) -> ErrorList:
    errors: ErrorList = []
    name, namespace = source.get("volumeName") or "", source.get("volumeNamespace") or ""
    at = path.child("volumeName")
    errors += dns_label(name, at) if name else [fields.required(at)]
    if namespace:
        errors += dns_label(namespace, path.child("volumeNamespace"))
    return errors + _require_secret(source, path, "name")


def validate_csi_driver_name(name: str, path: Path) -> ErrorList:
    errors = [] if name else [fields.required(path)]
    if len(name) > 63:
        errors.append(fields.too_long(path, 63))
    return errors + [fields.invalid(path, name, m) for m in names.is_dns1123_subdomain(name.lower())]


def validate_csi(source: Source, path: Path) -> ErrorList:
    errors = validate_csi_driver_name(source.get("driver") or "", path.child("driver"))
    secret = source.get("nodePublishSecretRef")
    if secret is not None and not secret.get("name"):
        errors.append(fields.required(path.child("nodePublishSecretRef", "name")))
    elif secret is not None:
        errors += dns_subdomain(secret["name"], path.child("name"))
    return errors
