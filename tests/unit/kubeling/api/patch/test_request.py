"""PATCH bodies: decoding, strict errors and the texts of everything that can be wrong."""

from __future__ import annotations

from typing import Any

import pytest

from kubeling.api.errors import StatusError
from kubeling.api.patch import PatchKind, patch_object
from kubeling.api.schema import GVK, schemas_for

SCHEMAS = schemas_for()
CONFIG_MAP = GVK("", "v1", "ConfigMap")
DEPLOYMENT = GVK("apps", "v1", "Deployment")
UNMARSHAL = "error decoding patch: json: cannot unmarshal"
CURRENT = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "c", "namespace": "n"}, "data": {"a": "1"}}
DEPLOYED = {
    "kind": "Deployment",
    "apiVersion": "apps/v1",
    "metadata": {"name": "d"},
    "spec": {"replicas": 1, "template": {}},
}


def patch(kind: PatchKind, body: str, gvk: GVK = CONFIG_MAP, validation: str = "Warn") -> Any:
    current = CURRENT if gvk is CONFIG_MAP else DEPLOYED
    return patch_object(kind, body.encode(), current, gvk, SCHEMAS.of(*gvk), SCHEMAS, field_validation=validation)


@pytest.mark.parametrize(
    ("kind", "body", "code", "message"),
    [
        (PatchKind.JSON, '{"op": "add"}', 400, f"{UNMARSHAL} object into Go value of type []handlers.jsonPatchOp"),
        (PatchKind.JSON, "[not json", 400, "error decoding patch: invalid character 'o' in literal null (expecting 'u')"),
        (PatchKind.JSON, "[1]", 400, f"{UNMARSHAL} number into Go value of type handlers.jsonPatchOp"),
        (PatchKind.MERGE, "[]", 400, f"{UNMARSHAL} array into Go value of type map[string]interface {{}}"),
        (PatchKind.MERGE, "{bad", 400, "error decoding patch: invalid character 'b' looking for beginning of object key string"),
        (PatchKind.MERGE, "null", 400, "Invalid JSON Patch"),
        (
            PatchKind.MERGE,
            '{"data": []}',
            422,
            ' "" is invalid: patch: Invalid value: "{\\"apiVersion\\":\\"v1\\",\\"data\\":[],\\"kind\\":\\"ConfigMap\\",'
            '\\"metadata\\":{\\"name\\":\\"c\\",\\"namespace\\":\\"n\\"}}": '
            "json: cannot unmarshal array into Go struct field ConfigMap.data "
            "of type map[string]string",
        ),
        (
            PatchKind.JSON,
            '[{"op":"replace","path":"/kind","value":"Secret"},{"op":"remove","path":"/data"}]',
            422,
            ' "" is invalid: patch: Invalid value: "{\\"apiVersion\\":\\"v1\\",\\"kind\\":\\"Secret\\",\\"metadata\\"'
            ':{\\"name\\":\\"c\\",\\"namespace\\":\\"n\\"}}": converting (v1.Secret) to (core.ConfigMap): unknown conversion',
        ),
        (
            PatchKind.STRATEGIC,
            '{"metadata": {"labels": {"a": 1}}}',
            422,
            ' "" is invalid: patch: Invalid value: "map[metadata:map[labels:map[a:1]]]": cannot convert int64 to string',
        ),
        (
            PatchKind.STRATEGIC,
            '{"data": "x"}',
            422,
            ' "" is invalid: patch: Invalid value: "map[data:x]": cannot restore map from string',
        ),
        (PatchKind.STRATEGIC, "[]", 400, "json: cannot unmarshal array into Go value of type map[string]interface {}"),
    ],
)  # fmt: skip
def test_what_is_refused(kind: PatchKind, body: str, code: int, message: str) -> None:
    with pytest.raises(StatusError) as caught:
        patch(kind, body)
    assert (caught.value.code, caught.value.message) == (code, message)


@pytest.mark.parametrize(
    ("kind", "body", "warnings"),
    [
        (PatchKind.MERGE, '{"spec": {"bogus": 1, "replicas": 3}}', ['unknown field "spec.bogus"']),
        (PatchKind.STRATEGIC, '{"spec": {"bogus": 1}}', ['unknown field "spec.bogus"']),
        (PatchKind.JSON, '[{"op": "add", "path": "/spec/bogus", "value": 1}]', ['unknown field "spec.bogus"']),
        (
            PatchKind.JSON,
            '[{"op": "replace", "path": "/spec/replicas", "value": 5, "extra": 1}]',
            ['json patch unknown field "[0].extra"'],
        ),
        (PatchKind.MERGE, '{"spec":{"replicas":3,"replicas":4}}', ['duplicate field "spec.replicas"']),
    ],
)
def test_strict_errors(kind: PatchKind, body: str, warnings: list[str]) -> None:
    assert patch(kind, body, DEPLOYMENT).warnings == warnings
    assert patch(kind, body, DEPLOYMENT, "Ignore").warnings == []
    with pytest.raises(StatusError) as caught:
        patch(kind, body, DEPLOYMENT, "Strict")
    assert caught.value.code == 422
    assert caught.value.message.endswith("strict decoding error: " + ", ".join(warnings))


def test_the_result_is_decoded() -> None:
    done = patch(
        PatchKind.STRATEGIC, '{"spec": {"paused": false, "template": {"spec": {"containers": []}}}}', DEPLOYMENT
    )
    assert done.obj["spec"] == {
        "replicas": 1,
        "strategy": {},
        "template": {"metadata": {}, "spec": {"containers": []}},
    }
