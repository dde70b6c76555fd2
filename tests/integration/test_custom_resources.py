"""Custom resources end to end: a definition is served, changed, deleted with its objects; a second server follows."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest

from tests.integration.conftest import Etcd, StartServer, until

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {"type": "object", "properties": {"size": {"type": "integer", "default": 1}}},
        "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
    },
}


def definition(group: str, schema: dict[str, Any] = SCHEMA) -> dict[str, Any]:
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget"}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def widget(group: str, name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}


def define(api: httpx.Client, group: str) -> str:
    """Creates the definition, waits until it is served; the collection's path in namespace default."""
    assert api.post(DEFINITIONS, json=definition(group)).status_code == 201
    path = f"/apis/{group}/v1/namespaces/default/widgets"
    assert until(lambda: api.get(path).status_code == 200)
    return path


def test_life(api: httpx.Client) -> None:
    group = "life.example"
    path = define(api, group)
    made = api.post(path, json=widget(group, "a")).json()
    assert made["spec"] == {"size": 1} and made["metadata"]["generation"] == 1
    refused = api.post(path, json=widget(group, "b", size="big")).json()
    assert refused["message"].startswith('Widget.life.example "b" is invalid: spec.size: Invalid value: "string"')
    status = {**made, "spec": {"size": 9}, "status": {"phase": "Up"}}
    assert api.put(f"{path}/a/status", json=status).json()["spec"] == {"size": 1}
    assert api.get(f"/apis/{group}").json()["preferredVersion"]["version"] == "v1"
    assert until(lambda: api.get(f"/apis/apiregistration.k8s.io/v1/apiservices/v1.{group}").status_code == 200)
    gone = api.delete(f"{DEFINITIONS}/widgets.{group}").json()
    assert gone["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    assert until(lambda: api.get(f"{DEFINITIONS}/widgets.{group}").status_code == 404)
    assert until(lambda: api.get(path).status_code == 404)
    path = define(api, group)
    assert api.get(path).json()["items"] == []
    api.delete(f"{DEFINITIONS}/widgets.{group}")


def test_writes_of_the_status_own_no_metadata(api: httpx.Client) -> None:
    group = "owned.example"
    path = define(api, group)
    made = api.post(path, json=widget(group, "a")).json()
    changed = {**made, "metadata": {**made["metadata"], "labels": {"x": "y"}}, "status": {"phase": "Up"}}
    api.put(f"{path}/a/status", params={"fieldManager": "put"}, json=changed)
    applied = {**widget(group, "a"), "metadata": {"name": "a", "labels": {"x": "z"}}, "status": {"phase": "Down"}}
    params, apply = {"fieldManager": "apply", "force": "true"}, {"content-type": "application/apply-patch+yaml"}
    done = api.patch(f"{path}/a/status", params=params, content=json.dumps(applied), headers=apply).json()
    assert "labels" not in done["metadata"]
    owned = {m["manager"]: m["fieldsV1"] for m in done["metadata"]["managedFields"] if m.get("subresource")}
    assert owned["apply"] == {"f:status": {"f:phase": {}}}
    assert "f:metadata" not in owned.get("put", {})
    api.delete(f"{DEFINITIONS}/widgets.{group}")


def test_a_definition_waits_for_objects_with_finalizers(api: httpx.Client) -> None:
    group = "held.example"
    path = define(api, group)
    held = widget(group, "a")
    held["metadata"]["finalizers"] = ["x.example/hold"]
    assert api.post(path, json=held).status_code == 201
    api.delete(f"{DEFINITIONS}/widgets.{group}")
    assert until(lambda: api.get(f"{path}/a").json()["metadata"].get("deletionTimestamp"))
    assert until(lambda: api.post(path, json=widget(group, "late")).status_code == 405)
    assert api.get(f"{DEFINITIONS}/widgets.{group}").status_code == 200
    patch, merge = {"metadata": {"finalizers": None}}, {"content-type": "application/merge-patch+json"}
    assert api.patch(f"{path}/a", json=patch, headers=merge).status_code == 200
    assert until(lambda: api.get(f"{DEFINITIONS}/widgets.{group}").status_code == 404)


def test_a_changed_schema_holds_for_what_is_stored(api: httpx.Client) -> None:
    group = "changed.example"
    path = define(api, group)
    api.post(path, json=widget(group, "a", size=5))
    schema: dict[str, Any] = {"type": "object", "properties": {"spec": {"type": "object", "properties": {}}}}
    schema["properties"]["spec"]["properties"]["color"] = {"type": "string", "default": "red"}
    stored = api.get(f"{DEFINITIONS}/widgets.{group}").json()
    stored["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema
    assert api.put(f"{DEFINITIONS}/widgets.{group}", json=stored).status_code == 200
    answers = []  # the kind is there all the time, first in its old form, then in its new one

    def changed() -> bool:
        answers.append(api.get(f"{path}/a"))
        return answers[-1].status_code != 200 or answers[-1].json()["spec"] != {"size": 5}

    assert until(changed)
    assert answers[-1].json()["spec"] == {"color": "red"}
    api.delete(f"{DEFINITIONS}/widgets.{group}")


def test_an_update_that_changes_nothing_moves_an_object_to_the_new_storage_version(
    api: httpx.Client, etcd: Etcd
) -> None:
    group = "migrated.example"
    path = define(api, group)
    api.post(path, json=widget(group, "a", size=5))
    api.post(path, json=widget(group, "b", size=5))
    changed = api.get(f"{DEFINITIONS}/widgets.{group}").json()
    first = changed["spec"]["versions"][0]
    changed["spec"]["versions"] = [{**first, "storage": False}, {**first, "name": "v2"}]
    assert api.put(f"{DEFINITIONS}/widgets.{group}", json=changed).status_code == 200
    new = path.replace("/v1/", "/v2/")
    assert until(lambda: api.get(f"{new}/a").status_code == 200)

    def stored(name: str = "a") -> tuple[str, str]:
        """The version in etcd, and the revision of the last write."""
        key = base64.b64encode(f"/registry/{group}/widgets/default/{name}".encode()).decode()
        found = httpx.post(f"{etcd.url}/v3/kv/range", json={"key": key}, trust_env=False).json()["kvs"][0]
        return json.loads(base64.b64decode(found["value"]))["apiVersion"], found["mod_revision"]

    assert stored()[0] == f"{group}/v1"
    before = api.get(f"{new}/a").json()
    after = api.put(f"{new}/a", json=before).json()
    assert stored() == (f"{group}/v2", after["metadata"]["resourceVersion"])
    assert after["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"] and after["spec"] == before["spec"]
    again = api.put(f"{new}/a", json=after).json()
    assert again["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]
    seen = api.get(f"{new}/b").json()["metadata"]
    empty = {  # what a storage version migration sends
        "apiVersion": f"{group}/v2",
        "kind": "Widget",
        "metadata": {"uid": seen["uid"], "resourceVersion": seen["resourceVersion"]},
    }
    apply = {"content-type": "application/apply-patch+yaml"}
    applied = api.patch(
        f"{new}/b", params={"fieldManager": "migrator"}, content=json.dumps(empty), headers=apply
    ).json()
    assert stored("b") == (f"{group}/v2", applied["metadata"]["resourceVersion"])
    api.delete(f"{DEFINITIONS}/widgets.{group}")


def test_a_second_server_serves_what_the_first_was_told(api: httpx.Client, start_apiserver: StartServer) -> None:
    group = "shared.example"
    path = define(api, group)
    api.post(path, json=widget(group, "a", size=3))
    second = start_apiserver().client()
    assert second.get(f"{path}/a").json()["spec"] == {"size": 3}
    api.delete(f"{DEFINITIONS}/widgets.{group}")
    assert until(lambda: second.get(path).status_code == 404)


@pytest.mark.parametrize("accept", ["application/json", "application/json;as=Table;v=v1;g=meta.k8s.io"])
def test_lists_come_in_every_form(api: httpx.Client, accept: str) -> None:
    group = f"form{len(accept)}.example"
    path = define(api, group)
    api.post(path, json=widget(group, "a"))
    body = api.get(path, headers={"accept": accept}).json()
    if "Table" in accept:
        assert [row["cells"][0] for row in body["rows"]] == ["a"]
    else:
        assert (body["kind"], [item["kind"] for item in body["items"]]) == ("WidgetList", ["Widget"])
    api.delete(f"{DEFINITIONS}/widgets.{group}")
