from __future__ import annotations

from apiserver.discovery import documents
from apiserver.discovery.groups import version_rank
from apiserver.registry.kind import Kind
from apiserver.registry.served import served_versions
from kubeling.api.resources import CONFIG_MAPS, DEPLOYMENTS, MUTATING_ADMISSION_POLICIES, PODS, SERVICE_ACCOUNTS

SERVED = [s for r in (DEPLOYMENTS, PODS, CONFIG_MAPS, SERVICE_ACCOUNTS) for s in served_versions(Kind(r))]


def test_groups_and_versions_are_in_order() -> None:
    groups = documents.groups_of(SERVED)
    assert list(groups) == ["apps", ""] or set(groups) == {"apps", ""}
    assert [s.resource.plural for s in groups[""]["v1"]] == ["configmaps", "pods", "serviceaccounts"]
    versions = ["v1beta1", "v1", "v2alpha1", "v2", "odd", "v1beta2"]
    assert sorted(versions, key=version_rank) == ["v2", "v1", "v1beta2", "v1beta1", "v2alpha1", "odd"]


def test_a_resource_list_has_subresources_behind_their_resource() -> None:
    found = documents.resource_list("apps/v1", [s for s in SERVED if s.resource is DEPLOYMENTS])
    assert [r["name"] for r in found["resources"]] == ["deployments", "deployments/scale", "deployments/status"]
    scale = found["resources"][1]
    assert (scale["group"], scale["version"], scale["kind"]) == ("autoscaling", "v1", "Scale")
    assert found["apiVersion"] == "v1" and "apiVersion" not in documents.resource_list("v1", [])


def test_the_storage_hash_is_upstreams() -> None:
    assert documents.storage_hash(served_versions(Kind(CONFIG_MAPS))[0]) == "qFsyl6wFWjQ="
    assert documents.storage_hash(served_versions(Kind(PODS))[0]) == "xPOwRZ+Yhw8="
    older = Kind(MUTATING_ADMISSION_POLICIES, stored_version="v1beta1")
    assert documents.storage_hash(served_versions(older)[0]) == "LYmCf+UMVdg="


def test_the_aggregated_document() -> None:
    document = documents.aggregated(documents.groups_of(SERVED))
    apps = next(i for i in document["items"] if i["metadata"].get("name") == "apps")
    resource = apps["versions"][0]["resources"][0]
    assert resource["responseKind"] == {"group": "", "version": "", "kind": "Deployment"}
    assert resource["subresources"][0]["responseKind"]["kind"] == "Scale"
