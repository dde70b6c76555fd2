"""The short way to a creator's fields finds what the general comparison with the zero object finds."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubeling.api.apply import FieldManager
from kubeling.api.apply.compare import compare
from kubeling.api.apply.fieldset import ordered
from kubeling.api.apply.owned import fresh
from kubeling.api.schema import GVK, DecodeError, schemas_for
from kubeling.api.schema.walk import zero
from tests.unit.kubeling.api.schema.test_properties import KINDS, values


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k[2])
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_fresh_is_what_the_comparison_takes(kind: tuple[str, str, str], data: st.DataObject) -> None:
    schema = schemas_for().of(*kind)
    value = {n: data.draw(values(f.type), label=n) for n, f in schema.root.fields.items()}
    with contextlib.suppress(DecodeError):  # values of wrong types must do no harm either
        value = schema.decode(value).obj
    nothing = zero(schema.root)
    found = fresh(value, nothing, schema.root)
    assert json.dumps(found) == json.dumps(ordered(compare(nothing, value, schema.root).taken))


POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "labels": {"b": "1", "a": "2"}, "finalizers": ["x/y", "a/b"]},
    "spec": {
        "containers": [
            {"name": "b", "image": "i", "ports": [{"containerPort": 80}, {"containerPort": 81, "protocol": "UDP"}]},
            {"name": "a", "image": "i", "env": [{"name": "E", "value": "v"}], "command": ["x"]},
            {"name": "b", "image": "again"},
        ],
        "nodeSelector": {"k": "v"},
        "tolerations": [{"operator": "Exists"}],
    },
    "status": {"phase": "Pending"},
}


def test_a_creator_owns_what_an_update_of_nothing_would_give_it() -> None:
    gvk = GVK("", "v1", "Pod")
    manager = FieldManager(gvk, schemas_for().of(*gvk), ("status",))
    now = datetime(2026, 1, 2, tzinfo=UTC)
    created = manager.update(None, POD, "m", "", now)
    general = manager.update(None, {**POD, "metadata": {**POD["metadata"], "managedFields": []}}, "m", "", now)
    assert json.dumps(created["metadata"]["managedFields"]) == json.dumps(general["metadata"]["managedFields"])
    fields = created["metadata"]["managedFields"][0]["fieldsV1"]
    assert 'k:{"name":"b"}' in fields["f:spec"]["f:containers"] and "f:status" not in fields


def test_parts_that_come_again_are_the_same_and_others_are_not() -> None:
    gvk = GVK("", "v1", "Pod")
    manager = FieldManager(gvk, schemas_for().of(*gvk), ("status",))

    def fields(pod: dict[str, Any]) -> Any:
        created = manager.update(None, pod, "m", "", datetime(2026, 1, 2, tzinfo=UTC))
        return created["metadata"]["managedFields"][0]["fieldsV1"]

    first = fields(POD)
    assert fields({**POD, "metadata": {"name": "q"}})["f:spec"] == first["f:spec"]
    more = fields({**POD, "spec": {**POD["spec"], "hostNetwork": True}})
    assert "f:hostNetwork" in more["f:spec"] and "f:hostNetwork" not in first["f:spec"]
