"""A definition to the kind that serves it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from apiserver.custom.kinds import kind_of
from apiserver.registry.kind import Context, Kind
from kubeling.api.schema import schemas_for

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {"size": {"type": "integer", "default": 1}, "on": {"type": "boolean"}},
        },
        "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
    },
}


def version(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "served": True, "storage": False, "schema": {"openAPIV3Schema": SCHEMA}, **more}


def kind(*versions: dict[str, Any]) -> Kind:
    names = {
        "plural": "widgets",
        "singular": "widget",
        "kind": "Widget",
        "listKind": "WidgetList",
        "shortNames": ["wd"],
    }
    spec = {"group": "x.example", "scope": "Namespaced", "names": names, "versions": list(versions)}
    return kind_of({"spec": spec, "status": {"acceptedNames": names}}, schemas_for().definitions)[0]


def test_names_and_subresources_are_those_of_the_definition() -> None:
    made = kind(version("v1", storage=True, subresources={"status": {}, "scale": {"specReplicasPath": ".spec.size"}}))
    resource = made.resource
    assert (resource.api_version, resource.qualified, resource.short_names) == (
        "x.example/v1",
        "widgets.x.example",
        ("wd",),
    )
    assert [s.name for s in resource.subresources] == ["status", "scale"]
    assert made.storage_prefix == "/registry/x.example/widgets/" and made.custom
    assert made.scale is not None and made.scale.spec_replicas == "spec.size"


def test_what_is_read_is_pruned_and_defaulted_by_the_present_schema() -> None:
    made = kind(version("v1", storage=True))
    assert made.read is not None
    stored = {"kind": "Widget", "apiVersion": "x.example/v0", "metadata": {"name": "a"}, "spec": {"old": 1}}
    assert made.read(stored) == {
        "kind": "Widget", "apiVersion": "x.example/v1", "metadata": {"name": "a"}, "spec": {"size": 1},
    }  # fmt: skip


def test_another_version_differs_in_its_name_and_warns_when_deprecated() -> None:
    made = kind(version("v1", storage=True), version("v1beta1", deprecated=True), version("v0", served=False))
    (other,) = made.versions
    assert other.resource.api_version == "x.example/v1beta1"
    obj = {"kind": "Widget", "apiVersion": "x.example/v1", "metadata": {}, "spec": {"size": 2}}
    assert other.to_storage(other.from_storage(obj)) == obj
    assert other.deprecation == "x.example/v1beta1 Widget is deprecated; use x.example/v1 Widget"


def test_generation_follows_desired_state_alone() -> None:
    strategy = kind(version("v1", storage=True, subresources={"status": {}})).strategy
    old = {"metadata": {}, "spec": {"size": 1}, "status": {"phase": "a"}}
    assert not strategy.generation_changed({**old, "metadata": {"labels": {"a": "b"}}, "status": {}}, old)
    assert strategy.generation_changed({**old, "spec": {"size": 2}}, old)
    without = kind(version("v1", storage=True)).strategy
    assert without.generation_changed({**old, "status": {}}, old)


def test_the_status_endpoint_changes_nothing_else() -> None:
    made = kind(version("v1", storage=True, subresources={"status": {}}))
    assert made.status is not None
    old = {
        "kind": "Widget",
        "apiVersion": "x.example/v1",
        "metadata": {"name": "a", "labels": {"l": "1"}},
        "spec": {"size": 1},
    }
    new = {**old, "metadata": {"name": "a", "labels": {}}, "spec": {"size": 5}, "status": {"phase": "Up"}}
    made.status.prepare_for_update(Context(NOW), new, old)
    assert (new["spec"], new["status"], new["metadata"]["labels"]) == ({"size": 1}, {"phase": "Up"}, {"l": "1"})  # type: ignore[index]


def test_columns_and_selectable_fields() -> None:
    columns = [
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
        {"name": "On", "type": "boolean", "jsonPath": ".spec.on"},
        {"name": "When", "type": "date", "jsonPath": ".spec.when"},
        {"name": "All", "type": "string", "jsonPath": ".spec"},
    ]
    made = kind(
        version("v1", storage=True, additionalPrinterColumns=columns, selectableFields=[{"jsonPath": ".spec.on"}])
    )
    assert made.printer is not None
    assert [c.name for c in made.printer.columns] == ["Name", "Size", "On", "When", "All"]
    obj = {"metadata": {"name": "a"}, "spec": {"size": "text", "on": True, "when": "never"}}
    assert made.printer.row(obj, NOW) == ["a", None, True, "<invalid>", '{"size":"text","on":true,"when":"never"}']
    assert {name: value(obj) for name, value in made.field_selectors.items()} == {"spec.on": "true"}
