"""Discovery documents from the catalogue of served resources. Pure.

Forms: APIVersions, APIGroupList, APIGroup, APIResourceList, and the aggregated APIGroupDiscoveryList.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping

from apiserver.discovery.groups import group_rank, version_rank
from apiserver.registry.registries import stored
from apiserver.registry.served import Served
from kubeling.api.meta import Object
from kubeling.api.resource import Subresource

AGGREGATED_VERSION = "apidiscovery.k8s.io/v2"
_HASH_BYTES = 8


def groups_of(served: Iterable[Served]) -> dict[str, dict[str, list[Served]]]:
    """Group to version to resources, in the order of discovery; the core group is ``""``."""
    found: dict[str, dict[str, list[Served]]] = {}
    for one in served:
        versions = found.setdefault(one.resource.group, {})
        versions.setdefault(one.resource.version, []).append(one)
    return {
        group: {
            version: sorted(found[group][version], key=lambda s: s.resource.plural)
            for version in sorted(found[group], key=version_rank)
        }
        for group in sorted(found, key=group_rank)
    }


def api_versions(address: str) -> Object:
    """``/api``."""
    servers = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": servers}


def group_document(group: str, versions: Iterable[str], *, typed: bool) -> Object:
    """``/apis/<group>`` (``typed``), or the same as an item of ``/apis``."""
    listed = [{"groupVersion": f"{group}/{v}", "version": v} for v in versions]
    head = {"kind": "APIGroup", "apiVersion": "v1"} if typed else {}
    return {**head, "name": group, "versions": listed, "preferredVersion": listed[0]}


def group_list(groups: Mapping[str, Iterable[str]]) -> Object:
    """``/apis``."""
    listed = [group_document(name, versions, typed=False) for name, versions in groups.items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}


def storage_hash(served: Served) -> str:
    """Upstream's hash of group, version and kind as stored."""
    resource = served.kind.resource
    text = f"{resource.group}/{served.kind.stored_version or resource.version}/{resource.kind}"
    return base64.b64encode(hashlib.sha256(text.encode()).digest()[:_HASH_BYTES]).decode()


def resource_list(group_version: str, resources: Iterable[Served]) -> Object:
    """``/api/v1``, ``/apis/<group>/<version>``."""
    entries: list[Object] = []
    for served in resources:
        entries.append(_resource(served))
        subresources = sorted(served.resource.subresources, key=lambda s: s.name)
        entries += [_subresource(served, s) for s in subresources]
    head = {"kind": "APIResourceList", "groupVersion": group_version}
    if "/" in group_version:
        head = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version}
    return {**head, "resources": entries}


def _resource(served: Served) -> Object:
    resource = served.resource
    entry: Object = {
        "name": resource.plural,
        "singularName": resource.singular_name,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(served.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if stored(served.kind):
        entry["storageVersionHash"] = storage_hash(served)
    return entry


def _subresource(served: Served, subresource: Subresource) -> Object:
    resource = served.resource
    entry: Object = {
        "name": f"{resource.plural}/{subresource.name}",
        "singularName": "",
        "namespaced": resource.namespaced,
    }
    if subresource.version:
        entry |= {"group": subresource.group, "version": subresource.version}
    return {**entry, "kind": subresource.kind or resource.kind, "verbs": list(subresource.verbs)}


def aggregated(
    groups: dict[str, dict[str, list[Served]]], others: Mapping[str, Mapping[str, Object]] | None = None
) -> Object:
    """All resources of all groups in one document; ``others``: groups, versions and entries of other servers."""
    items: list[Object] = [
        {
            "metadata": {"name": group} if group else {},
            "versions": [
                {"version": version, "resources": [_aggregated_resource(s) for s in resources], "freshness": "Current"}
                for version, resources in versions.items()
            ],
        }
        for group, versions in groups.items()
    ]
    known = {item["metadata"].get("name", ""): item for item in items}
    for group, versions in (others or {}).items():
        item = known.get(group)
        if item is None:
            items.append({"metadata": {"name": group}, "versions": list(versions.values())})
        else:  # theirs stand in for ours of the same version
            kept = [v for v in item["versions"] if v["version"] not in versions]
            item["versions"] = [*kept, *versions.values()]
    return {"kind": "APIGroupDiscoveryList", "apiVersion": AGGREGATED_VERSION, "metadata": {}, "items": items}


def _aggregated_resource(served: Served) -> Object:
    resource = served.resource
    entry: Object = {
        "resource": resource.plural,
        "responseKind": _kind("", "", resource.kind) if not served.typed_items else _own_kind(served),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular_name,
        "verbs": list(served.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    subresources = sorted(resource.subresources, key=lambda s: s.name)
    if subresources:
        entry["subresources"] = [_aggregated_subresource(served, s) for s in subresources]
    return entry


def _aggregated_subresource(served: Served, subresource: Subresource) -> Object:
    kind = subresource.kind or served.resource.kind
    response = _kind(subresource.group, subresource.version, kind)
    if served.typed_items and not subresource.kind:
        response = _own_kind(served)
    return {"subresource": subresource.name, "responseKind": response, "verbs": list(subresource.verbs)}


def _own_kind(served: Served) -> Object:
    return _kind(served.resource.group, served.resource.version, served.resource.kind)


def _kind(group: str, version: str, kind: str) -> Object:
    return {"group": group, "version": version, "kind": kind}
