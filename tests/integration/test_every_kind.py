"""Objects of every served built-in kind, built from the kind's schema around a small valid seed, live a whole life.

``HYPOTHESIS_PROFILE=thorough`` takes many more of them.
"""

from __future__ import annotations

import copy
import itertools
import os
import time
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apiserver.registry.kind import Kind
from kubeling.api.meta import Object
from kubeling.api.resource import Resource
from kubeling.api.schema import Shape, Type, schemas_for
from tests.fuzz.seeds import named, seed, served

EXAMPLES = {"default": 2, "thorough": 100}[os.environ.get("HYPOTHESIS_PROFILE", "default")]
SERVER_SET = {"uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink"}
NUMBERS = itertools.count(1)
SCALARS: dict[Shape, st.SearchStrategy[Any]] = {
    Shape.STRING: st.sampled_from(["a", "a.example", "IfNotPresent", "Retain", "TCP", "10.0.0.1"]),
    Shape.BOOLEAN: st.booleans(),
    Shape.INTEGER: st.integers(0, 10),
    Shape.NUMBER: st.sampled_from([0.5, 1]),
    Shape.BYTES: st.just("YWJj"),
    Shape.QUANTITY: st.sampled_from(["1", "100m", "1Gi"]),
    Shape.TIME: st.just("2024-01-01T00:00:00Z"),
    Shape.MICRO_TIME: st.just("2024-01-01T00:00:00.000001Z"),
    Shape.INT_OR_STRING: st.sampled_from([1, "25%"]),
    Shape.ANY: st.just({"a": 1}),
}


@st.composite
def values(draw: st.DrawFn, made: Type, depth: int = 3) -> Any:
    """A value of the type with few fields; whether validation takes it is the server's to say."""
    if made.shape in SCALARS:
        return draw(SCALARS[made.shape])
    if made.shape is Shape.LIST and made.item is not None:
        return [draw(values(made.item, depth - 1))] if depth else []
    if made.shape is Shape.MAP and made.item is not None:
        return {"a": draw(values(made.item, depth - 1))} if depth else {}
    names = draw(st.sets(st.sampled_from(sorted(made.fields)), max_size=3)) if made.fields and depth else ()
    return {name: draw(values(made.fields[name].type, depth - 1)) for name in sorted(names)}


@st.composite
def additions(draw: st.DrawFn, resource: Resource) -> Object:
    """Labels, annotations and now and then one more field somewhere in the kind's own part."""
    root = schemas_for().of(resource.group, resource.version, resource.kind).root
    made: Object = {"metadata": {"labels": draw(st.dictionaries(st.sampled_from("abc"), st.just("x"), max_size=2))}}
    own = sorted(set(root.fields) - {"apiVersion", "kind", "metadata", "status"})
    if own:
        name = draw(st.sampled_from(own))
        inner = root.fields[name].type
        if inner.shape is Shape.STRUCT and inner.fields:
            field = draw(st.sampled_from(sorted(inner.fields)))
            made[name] = {field: draw(values(inner.fields[field].type))}
        else:
            made[name] = draw(values(inner))
    return made


def merged(base: Object, more: Object) -> Object:
    """``base`` with what ``more`` has in addition; what the seed says stays."""
    result = copy.deepcopy(base)
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result.setdefault(key, value)
    return result


class Life:
    """One object of one kind; every answer is looked at for what must hold of all of them."""

    def __init__(self, api: httpx.Client, resource: Resource, namespace: str, body: Object) -> None:
        self.api, self.body = api, body
        self.collection = (
            resource.base_path + (f"/namespaces/{namespace}" if resource.namespaced else "") + "/" + resource.plural
        )
        self.path = f"{self.collection}/{body['metadata']['name']}"

    def call(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> httpx.Response:
        answer = self.api.request(method, path, json=body, headers={"content-type": kind})
        assert answer.status_code < 500, f"{method} {path} {body}: {answer.text[:500]}"
        return answer

    def read(self) -> Object:
        answer = self.call("GET", self.path)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def changes(self, method: str, body: Any, kind: str = "application/json", suffix: str = "") -> Object:
        """A write that may be refused: what was accepted reads back, what was refused or dry changed nothing."""
        before = self.read()
        path = self.path + suffix
        mark = "&" if "?" in path else "?"
        dry = self.call(method, f"{path}{mark}dryRun=All", body, kind)
        assert self.read() == before
        answer = self.call(method, path, body, kind)
        assert answer.status_code == dry.status_code, (dry.text, answer.text)
        after = self.read()
        if answer.is_error:
            assert after == before
            return before
        assert answer.json() == after
        _moved(before, after)
        return after


def _own(obj: Object) -> Object:
    """What the writers wrote, without what the server keeps about it."""
    rest = {k: v for k, v in obj.items() if k != "metadata"}
    return rest | {"metadata": {k: v for k, v in obj["metadata"].items() if k not in SERVER_SET}}


def _moved(before: Object, after: Object) -> None:
    """resourceVersion moves exactly when something has changed; generation only with it and by one, never for metadata."""
    old, new = before["metadata"], after["metadata"]
    assert (old["resourceVersion"] != new["resourceVersion"]) == (before != after)
    steps = new.get("generation", 0) - old.get("generation", 0)
    assert steps in (0, 1)
    desired = [{k: v for k, v in _own(o).items() if k not in ("metadata", "status")} for o in (before, after)]
    if after["kind"] != "EndpointSlice":  # whose labels count, too
        assert not steps or desired[0] != desired[1]
    if "generation" in new:
        assert steps or before.get("spec") == after.get("spec")


def created(life: Life, plain: Object) -> Object:
    """The first of the enriched and the plain object that validation takes; the plain one it must take."""
    answer = life.call("POST", life.collection, life.body)
    if answer.is_error:
        assert answer.status_code in (400, 403, 422), answer.text
        answer = life.call("POST", life.collection, plain)
    assert answer.status_code == 201, answer.text
    if plain["kind"] in ("FlowSchema", "CustomResourceDefinition"):  # the server writes their status soon after
        return settled(life)
    assert life.read() == answer.json()
    return dict(answer.json())


def settled(life: Life) -> Object:
    for _ in range(100):
        obj = life.read()
        if {"Dangling", "Established"} & {c["type"] for c in obj["status"].get("conditions") or ()}:
            break
        time.sleep(0.05)
    return obj


def live(life: Life, kind: Kind, plain: Object) -> None:
    dry = life.call("POST", f"{life.collection}?dryRun=All", plain)
    assert dry.status_code == 201, dry.text
    assert life.call("GET", life.path).status_code == 404
    obj = created(life, plain)
    listed = life.call("GET", life.collection).json()
    assert [
        o["metadata"]["resourceVersion"] for o in listed["items"] if o["metadata"]["name"] == obj["metadata"]["name"]
    ] == [obj["metadata"]["resourceVersion"]]
    assert life.changes("PUT", obj) == obj, "an update that changes nothing"
    obj = life.changes("PUT", merged({"metadata": {"labels": {"put": "1"}}}, life.read()))
    assert obj["metadata"]["labels"]["put"] == "1"
    label = {"metadata": {"labels": {"patched": "1"}}}
    operations = [{"op": "add", "path": "/metadata/labels/json", "value": "1"}]
    assert life.changes("PATCH", operations, "application/json-patch+json")["metadata"]["labels"]["json"] == "1"
    assert life.changes("PATCH", label, "application/merge-patch+json")["metadata"]["labels"]["patched"] == "1"
    strategic = {"metadata": {"labels": {"strategic": "1"}}}
    once = life.changes("PATCH", strategic, "application/strategic-merge-patch+json")
    assert once["metadata"]["labels"]["strategic"] == "1"
    assert life.changes("PATCH", strategic, "application/strategic-merge-patch+json") == once, "the same patch again"
    applied = {k: obj[k] for k in ("apiVersion", "kind")} | {
        "metadata": {"name": obj["metadata"]["name"], "labels": {"applied": "1"}}
    }
    after = life.changes("PATCH", applied, "application/apply-patch+yaml", "?fieldManager=test")
    if "applied" in after["metadata"]["labels"]:
        assert life.changes("PATCH", applied, "application/apply-patch+yaml", "?fieldManager=test") == after
    if kind.status is not None:
        desired = life.read().get("spec")
        life.changes("PUT", life.read(), suffix="/status")
        assert life.changes("PATCH", {"status": {}}, "application/merge-patch+json", "/status").get("spec") == desired
    gone(life)


def gone(life: Life) -> None:
    """Deletes; what a finalizer holds is let go."""
    assert life.call("DELETE", f"{life.path}?dryRun=All").status_code in (200, 202)
    life.read()
    assert life.call("DELETE", f"{life.path}?gracePeriodSeconds=0").status_code in (200, 202)
    left = life.call("GET", life.path)
    if left.status_code == 200:
        held = left.json()
        assert held["metadata"].get("deletionTimestamp")
        if "finalize" in {"namespaces": ["finalize"]}.get(life.collection.rpartition("/")[2], []):
            life.call("PUT", f"{life.path}/finalize", merged({"spec": {"finalizers": []}}, held))
        else:
            life.call("PATCH", life.path, {"metadata": {"finalizers": None}}, "application/merge-patch+json")
    assert life.call("GET", life.path).status_code == 404


@pytest.mark.parametrize(("kind", "resource"), served(), ids=lambda v: v.kind if isinstance(v, Resource) else "")
def test_an_object_of_every_kind_lives_its_whole_life(
    kind: Kind, resource: Resource, api: httpx.Client, namespace: str
) -> None:
    account = {"metadata": {"name": "default"}}  # no controller makes it here, and pods need it
    assert api.post(f"/api/v1/namespaces/{namespace}/serviceaccounts", json=account).status_code in (201, 409)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=EXAMPLES < 10,
        suppress_health_check=list(HealthCheck),
    )
    @given(more=additions(resource))
    def lives(more: Object) -> None:
        plain = seed(resource, named(resource, next(NUMBERS)), namespace)
        live(Life(api, resource, namespace, merged(plain, more)), kind, plain)

    lives()
