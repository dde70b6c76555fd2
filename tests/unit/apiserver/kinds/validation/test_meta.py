from typing import Any

import pytest

from apiserver.kinds.validation.meta import validate_object_meta, validate_object_meta_update
from kubeling.api.names import is_dns1123_subdomain

SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
META = {"name": "a", "namespace": "n"}


def errors_of(meta: dict[str, Any]) -> list[str]:
    return [str(e) for e in validate_object_meta(meta, namespaced=True, validate_name=is_dns1123_subdomain)]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"name": ""}, ["metadata.name: Required value: name or generateName is required"]),
        ({"name": "A"}, [f'metadata.name: Invalid value: "A": {SUBDOMAIN}']),
        ({"generateName": "a-"}, []),
        ({"generateName": "B-"}, [f'metadata.generateName: Invalid value: "B-": {SUBDOMAIN}']),
        ({"namespace": ""}, ["metadata.namespace: Required value"]),
        ({"generation": -1}, ["metadata.generation: Invalid value: -1: must be greater than or equal to 0"]),
        ({"labels": {"a": "x" * 64}}, [f'metadata.labels: Invalid value: "{"x" * 64}": must be no more than 63 bytes']),
        ({"annotations": {"A/B": ""}}, []),
        ({"annotations": {"a": "x" * 262144}}, ["metadata.annotations: Too long: may not be more than 262144 bytes"]),
        (
            {"finalizers": ["x"]},
            [
                'metadata.finalizers[0]: Invalid value: "x": name is neither a standard finalizer name nor is it fully qualified'
            ],
        ),
        (
            {"finalizers": ["orphan", "foregroundDeletion"]},
            [
                'metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: '
                "finalizer orphan and foregroundDeletion cannot be both set"
            ],
        ),
        (
            {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "x"}]},
            ['metadata.ownerReferences.uid: Invalid value: "": must not be empty'],
        ),
        (
            {"managedFields": [{"manager": "m", "operation": "Look"}]},
            ['metadata.managedFields[0].operation: Invalid value: "Look": must be `Apply` or `Update`'],
        ),
    ],
)
def test_new_metadata(change: dict[str, Any], expected: list[str]) -> None:
    assert errors_of(META | change) == expected


def test_a_cluster_scoped_object_has_no_namespace() -> None:
    found = validate_object_meta(META, namespaced=False, validate_name=is_dns1123_subdomain)
    assert [str(e) for e in found] == ["metadata.namespace: Forbidden: not allowed on this type"]


OLD = {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "1", "generation": 2}


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        ({}, {}, []),
        ({"uid": "v"}, {}, ['metadata.uid: Invalid value: "v": field is immutable']),
        ({"generation": 1}, {}, ["metadata.generation: Invalid value: 1: must not be decremented"]),
        ({"resourceVersion": ""}, {}, ['metadata.resourceVersion: Invalid value: "": must be specified for an update']),
        (
            {"deletionGracePeriodSeconds": 4},
            {},
            ["metadata.deletionGracePeriodSeconds: Invalid value: 4: field is immutable"],
        ),
        (
            {"finalizers": ["a.b/c"], "deletionTimestamp": "2026-01-01T00:00:00Z"},
            {"deletionTimestamp": "2026-01-01T00:00:00Z"},
            [
                "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, "
                'found new finalizers []string{"a.b/c"}'
            ],
        ),
    ],
)
def test_changed_metadata(new: dict[str, Any], old: dict[str, Any], expected: list[str]) -> None:
    assert [str(e) for e in validate_object_meta_update(OLD | new, OLD | old)] == expected
