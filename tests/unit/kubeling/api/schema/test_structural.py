"""Custom resources: pruning, unknown fields, metadata, and apply by the same engine."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kubeling.api.apply import FieldManager
from kubeling.api.errors import StatusError
from kubeling.api.schema import GVK, DecodeError, schemas_for, structural_schema

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "size": {"type": "integer", "nullable": True},
                "text": {"type": "string"},
                "open": {
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": True,
                    "properties": {"a": {"type": "object"}},
                },
                "map": {
                    "type": "object",
                    "additionalProperties": {"type": "object", "properties": {"x": {"type": "string"}}},
                },
                "raw": {
                    "type": "object",
                    "x-kubernetes-embedded-resource": True,
                    "properties": {"spec": {"type": "object"}},
                },
                "either": {"x-kubernetes-int-or-string": True},
                "ports": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["port", "protocol"],
                    "items": {
                        "type": "object",
                        "properties": {
                            "port": {"type": "integer"},
                            "protocol": {"type": "string", "default": "TCP"},
                            "name": {"type": "string"},
                        },
                    },
                },
            },
        },
    },
}
WIDGETS = structural_schema(SCHEMA, schemas_for().definitions)
MANAGER = FieldManager(GVK("example.com", "v1", "Widget"), WIDGETS)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def widget(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec}


def test_unknown_fields_are_pruned_and_all_else_stays() -> None:
    given = widget(
        size=None,
        text=5,
        map={"k": {"x": "1", "y": "2"}},
        open={"b": {"c": []}, "a": {"d": 1}},
        ports=[{"bad": 1}],
        q=1,
    )
    decoded = WIDGETS.decode({**given, "top": 1})
    assert decoded.obj == widget(size=None, text=5, map={"k": {"x": "1"}}, open={"b": {"c": []}, "a": {}}, ports=[{}])
    assert decoded.unknown == [
        'unknown field "spec.map.k.y"',
        'unknown field "spec.open.a.d"',
        'unknown field "spec.ports[0].bad"',
        'unknown field "spec.q"',
        'unknown field "top"',
    ]


def test_metadata_is_decoded_here_and_in_embedded_objects() -> None:
    metadata = {"name": "n", "labels": {}, "creationTimestamp": None, "odd": 1}
    decoded = WIDGETS.decode(
        {"metadata": metadata, "spec": {"raw": {"kind": "Pod", "apiVersion": "v1", "metadata": metadata}}}
    )
    assert decoded.obj == {
        "metadata": {"name": "n"},
        "spec": {"raw": {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "n"}}},
    }
    assert 'unknown field "metadata.odd"' in decoded.unknown
    with pytest.raises(DecodeError) as caught:
        WIDGETS.decode({"metadata": {"labels": {"a": 1}}})
    assert (
        str(caught.value)
        == "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string"
    )


def test_apply_uses_keys_with_their_defaults_and_deduces_what_is_open() -> None:
    live = MANAGER.apply(
        None, widget(ports=[{"port": 3, "name": "a"}], open={"free": {"x": 1, "l": [1]}}), "m", False, "", NOW
    )
    assert live["metadata"]["managedFields"][0]["fieldsV1"] == {
        "f:spec": {
            "f:open": {"f:free": {".": {}, "f:l": {}, "f:x": {}}},
            "f:ports": {'k:{"port":3,"protocol":"TCP"}': {".": {}, "f:name": {}, "f:port": {}}},
        }
    }
    live = MANAGER.apply(live, widget(open={"free": {"x": 1}}), "m", False, "", NOW)
    assert live["spec"]["open"] == {"free": {"x": 1}}
    assert "ports" not in live["spec"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"ports": [{"port": 3}, {"port": 3}]}, '.spec.ports: duplicate entries for key [port=3,protocol="TCP"]'),
        ({"unknown": 1}, ".spec.unknown: field not declared in schema"),
        ({"size": "x"}, ".spec.size: expected numeric (int or float), got string"),
    ],
)
def test_configurations_that_do_not_fit(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(StatusError) as caught:
        MANAGER.apply(None, widget(**spec), "m", False, "", NOW)
    assert caught.value.message == f"failed to create typed patch object (/w; example.com/v1, Kind=Widget): {message}"
