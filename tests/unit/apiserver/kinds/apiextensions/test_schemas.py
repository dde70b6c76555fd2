"""Schemas, columns, subresources and selectable fields of definitions: what is refused, in upstream's words."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.kinds.apiextensions.versions import validate_conversion, validate_versions
from kubeling.api.fields import Path

STRING, OBJECT = {"type": "string"}, {"type": "object"}
AT = "spec.validation.openAPIV3Schema"


def said(**version: Any) -> list[str]:
    return [str(error) for error in validate_versions([{"name": "v1", **version}], Path("spec"))]


def schema(a: Any) -> dict[str, Any]:
    return {"openAPIV3Schema": {"type": "object", "properties": {"a": a}}}


@pytest.mark.parametrize(
    ("field", "error"),
    [
        ({}, "type: Required value: must not be empty for specified object fields"),
        ({"type": "array", "items": {}}, "items.type: Required value: must not be empty for specified array items"),
        (
            {**OBJECT, "additionalProperties": False},
            "additionalProperties: Forbidden: additionalProperties cannot be set to false",
        ),
        (
            {**OBJECT, "properties": {"b": STRING}, "additionalProperties": STRING},
            "additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive",
        ),
        (
            {"type": "array", "items": STRING, "uniqueItems": True},
            "uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        ),
        ({"type": "null"}, "type: Forbidden: type cannot be set to null, use nullable as an alternative"),
        (
            {**STRING, "x-kubernetes-list-type": "set"},
            'type: Invalid value: "string": must be array if x-kubernetes-list-type is specified',
        ),
        (
            {"type": "array", "items": OBJECT, "x-kubernetes-list-type": "map"},
            "x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map",
        ),
        (
            {"type": "array", "items": OBJECT, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]},
            'x-kubernetes-list-map-keys[0]: Invalid value: "k": entries must all be names of item properties',
        ),
        (
            {**OBJECT, "x-kubernetes-map-type": "odd"},
            'x-kubernetes-map-type: Unsupported value: "odd": supported values: "atomic", "granular"',
        ),
        (
            {**OBJECT, "anyOf": [{"required": ["b"], "default": {}}]},
            "anyOf[0].default: Forbidden: must be undefined to be structural",
        ),
        ({**STRING, "x-kubernetes-embedded-resource": True}, None),
        ({**STRING, "default": 3}, 'default: Invalid value: "integer":  in body must be of type string: "integer"'),
    ],
)
def test_fields_of_schemas(field: dict[str, Any], error: str | None) -> None:
    found = said(schema=schema(field))
    if error is None:
        assert found[-1].endswith("must be object if x-kubernetes-embedded-resource is true")
    else:
        assert found == [f"{AT}.properties[a].{error}"]


@pytest.mark.parametrize(
    "field",
    [
        {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
        {"x-kubernetes-preserve-unknown-fields": True},
        {"type": "array", "items": STRING, "x-kubernetes-list-type": "set"},
        {**OBJECT, "additionalProperties": {"type": "integer"}},
        {**OBJECT, "properties": {"b": STRING, "c": STRING}, "oneOf": [{"required": ["b"]}, {"required": ["c"]}]},
        {**OBJECT, "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True},
        {"type": "integer", "default": 3, "minimum": 1},
    ],
)
def test_what_is_structural_passes(field: dict[str, Any]) -> None:
    assert said(schema=schema(field)) == []


def test_what_a_combination_speaks_of_must_be_specified_outside() -> None:
    field = {**OBJECT, "anyOf": [{"properties": {"b": {"minLength": 1}}}]}
    assert said(schema=schema(field)) == [
        f"{AT}.properties[a].properties[b]: Required value: because it is defined in {AT}.properties[a].anyOf[0].properties[b]"
    ]


def test_errors_name_the_version_where_versions_differ() -> None:
    versions = [{"name": "v1", "schema": schema(STRING)}, {"name": "v2", "schema": schema({})}]
    (error,) = validate_versions(versions, Path("spec"))
    assert error.field == "spec.versions[1].schema.openAPIV3Schema.properties[a].type"


@pytest.mark.parametrize(
    ("version", "errors"),
    [
        (
            {"subresources": {"scale": {"specReplicasPath": ".spec.n"}}},
            ["spec.subresources.scale.statusReplicasPath: Required value"],
        ),
        (
            {"subresources": {"scale": {"specReplicasPath": ".status.n", "statusReplicasPath": "n"}}},
            [
                'spec.subresources.scale.specReplicasPath: Invalid value: ".status.n": should be a json path under .spec',
                'spec.subresources.scale.statusReplicasPath: Invalid value: "n": must be a simple json path starting with .',
            ],
        ),
        (
            {"additionalPrinterColumns": [{"name": "A", "jsonPath": ".spec.a["}]},
            [
                "spec.additionalPrinterColumns[0].type: Required value: must be one of boolean,date,integer,number,string",
                'spec.additionalPrinterColumns[0].JSONPath: Invalid value: ".spec.a[": must be a simple json path starting with .',
            ],
        ),
        (
            {"selectableFields": [{"jsonPath": ".a"}, {"jsonPath": ".a"}]},
            ['spec.selectableFields[1].jsonPath: Duplicate value: ".a"'],
        ),
        (
            {"selectableFields": [{"jsonPath": ".metadata.name"}]},
            [
                'spec.selectableFields[0].jsonPath: Invalid value: ".metadata.name": must not point to fields in metadata'
            ],
        ),
    ],
)
def test_the_rest_of_a_version(version: dict[str, Any], errors: list[str]) -> None:
    assert said(schema=schema(STRING), **version) == errors


def test_a_webhook_says_where_it_is_and_what_it_speaks() -> None:
    path = Path("spec", "conversion")
    assert [str(e) for e in validate_conversion({"strategy": "Webhook"}, path)] == [
        "spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook",
        "spec.conversion.conversionReviewVersions: Required value",
    ]
    unwanted = {
        "strategy": "None",
        "webhook": {"clientConfig": {"url": "https://x"}, "conversionReviewVersions": ["v1"]},
    }
    assert [e.reason for e in validate_conversion(unwanted, path)] == ["FieldValueForbidden"] * 2
