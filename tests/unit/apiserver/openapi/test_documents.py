"""OpenAPI documents: what clients read from them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from apiserver.http.message import Request
from apiserver.kinds import KINDS
from apiserver.openapi import OpenAPI
from apiserver.registry.kind import Kind
from apiserver.registry.served import Catalog, served_versions
from kubeling.api.errors import StatusError
from kubeling.api.resource import Resource
from kubeling.api.schema import schemas_for


@pytest.fixture(scope="module")
def openapi() -> OpenAPI:
    catalog = Catalog()
    for kind in KINDS:
        catalog.add(served_versions(kind))
    return OpenAPI(catalog, schemas_for(), "v1.36.0")


async def ask(openapi: OpenAPI, path: str, query: str = "", **headers: str) -> tuple[int, Any, dict[bytes, bytes]]:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode(), "headers": given}
    response = await openapi.serve(Request(scope, receive))
    return response.status, orjson.loads(response.body) if response.body else None, dict(response.headers)


async def test_the_index_leads_to_documents_that_may_be_kept(openapi: OpenAPI) -> None:
    _, index, _ = await ask(openapi, "/openapi/v3")
    path, _, query = index["paths"]["apis/apps/v1"]["serverRelativeURL"].partition("?")
    status, document, headers = await ask(openapi, path, query)
    assert (status, path, document["openapi"]) == (200, "/openapi/v3/apis/apps/v1", "3.0.0")
    assert headers[b"cache-control"] == b"public, immutable"
    assert b"cache-control" not in (await ask(openapi, path))[2]
    again = await ask(openapi, path, if_none_match=headers[b"etag"].decode())
    assert again[:2] == (304, None)


async def test_the_index_names_what_is_no_resource_too(openapi: OpenAPI) -> None:
    _, index, _ = await ask(openapi, "/openapi/v3")
    names = {"api", "apis", "apis/apps", "version", ".well-known/openid-configuration", "openid/v1/jwks"}
    assert names <= index["paths"].keys()
    _, document, _ = await ask(openapi, "/openapi/v3/apis/rbac.authorization.k8s.io")
    operation = document["paths"]["/apis/rbac.authorization.k8s.io/"]["get"]
    assert (operation["operationId"], operation["tags"]) == ("getRbacAuthorizationAPIGroup", ["rbacAuthorization"])
    assert "io.k8s.apimachinery.pkg.apis.meta.v1.APIGroup" in document["components"]["schemas"]


async def test_schemas_take_upstreams_form(openapi: OpenAPI) -> None:
    _, document, _ = await ask(openapi, "/openapi/v3/apis/apps/v1")
    schemas = document["components"]["schemas"]
    deployment = schemas["io.k8s.api.apps.v1.Deployment"]
    assert deployment["x-kubernetes-group-version-kind"] == [{"group": "apps", "kind": "Deployment", "version": "v1"}]
    assert deployment["properties"]["spec"]["default"] == {}
    assert deployment["properties"]["spec"]["allOf"] == [
        {"$ref": "#/components/schemas/io.k8s.api.apps.v1.DeploymentSpec"}
    ]
    port = schemas["io.k8s.api.core.v1.ContainerPort"]["properties"]
    assert port["containerPort"] | {"description": ""} == {
        "description": "",
        "type": "integer",
        "format": "int32",
        "default": 0,
    }
    assert (port["protocol"]["default"], port["protocol"]["enum"]) == ("TCP", ["SCTP", "TCP", "UDP"])
    assert "Possible enum values:" in port["protocol"]["description"]
    assert "enum" not in deployment["properties"]["kind"]


async def test_operations_carry_action_and_kind(openapi: OpenAPI) -> None:
    _, document, _ = await ask(openapi, "/openapi/v3/apis/apps/v1")
    path = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]
    assert path["patch"]["operationId"] == "patchAppsV1NamespacedDeployment"
    assert path["patch"]["x-kubernetes-action"] == "patch"
    assert [p["name"] for p in path["patch"]["parameters"]] == ["dryRun", "fieldManager", "fieldValidation", "force"]
    assert [p["name"] for p in path["parameters"]] == ["name", "namespace", "pretty"]
    assert (
        document["paths"]["/apis/apps/v1/deployments"]["get"]["operationId"] == "listAppsV1DeploymentForAllNamespaces"
    )


async def test_v2_holds_every_group_and_refers_to_its_own_definitions(openapi: OpenAPI) -> None:
    _, document, _ = await ask(openapi, "/openapi/v2")
    assert document["swagger"] == "2.0"
    assert {"/api/v1/pods", "/apis/batch/v1/jobs"} <= document["paths"].keys()
    text = orjson.dumps(document).decode()
    assert "#/components" not in text
    assert "#/$defs" not in text
    container = document["definitions"]["io.k8s.api.core.v1.Container"]["properties"]
    assert container["image"]["type"] == "string"
    assert container["ports"]["x-kubernetes-patch-merge-key"] == "containerPort"


@pytest.mark.parametrize(
    ("path", "accept", "code"),
    [
        ("/openapi/v3/apis/nothing/v1", "", 404),
        ("/openapi/v4", "", 404),
        ("/openapi/v3", "application/com.github.proto-openapi.spec.v3.v1.0+protobuf", 406),
    ],
)
async def test_what_is_not_served(openapi: OpenAPI, path: str, accept: str, code: int) -> None:
    with pytest.raises(StatusError) as caught:
        await ask(openapi, path, accept=accept)
    assert caught.value.code == code


async def test_custom_resources_bring_their_own_schema() -> None:
    resource = Resource("example.com", "v1", "Widget", "widgets")
    catalog = Catalog()
    catalog.add(served_versions(Kind(resource)))
    schema = {"type": "object", "properties": {"spec": {"type": "object", "nullable": True}}}
    openapi = OpenAPI(
        catalog, schemas_for(), "v1.36.0", lambda *kind: schema if kind == ("example.com", "v1", "Widget") else None
    )
    _, document, _ = await ask(openapi, "/openapi/v3/apis/example.com/v1")
    widget = document["components"]["schemas"]["com.example.v1.Widget"]
    assert widget["properties"]["spec"] == {"type": "object", "nullable": True}
    assert widget["x-kubernetes-group-version-kind"] == [{"group": "example.com", "version": "v1", "kind": "Widget"}]
    path = document["paths"]["/apis/example.com/v1/namespaces/{namespace}/widgets"]
    answer = path["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/com.example.v1.WidgetList"}
    assert "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta" in document["components"]["schemas"]
    _, document, _ = await ask(openapi, "/openapi/v2")
    widget = document["definitions"]["com.example.v1.Widget"]["properties"]
    assert widget["metadata"]["$ref"] == "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    assert widget["spec"] == {"type": "object"}
