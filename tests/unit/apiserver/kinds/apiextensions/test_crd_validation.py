"""Definitions of custom resources: what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.kinds.apiextensions.validation import validate_definition, validate_definition_update

_NAMES = {"plural": "gadgets", "singular": "gadget", "kind": "Gadget", "listKind": "GadgetList"}
_ESTABLISHED = {"conditions": [{"type": "Established", "status": "True"}]}


def _definition(**changes: Any) -> dict[str, Any]:
    spec = {
        "group": "val.example",
        "scope": "Namespaced",
        "names": _NAMES,
        "versions": [{"name": "v1", "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}],
        "conversion": {"strategy": "None"},
    }
    return {
        "metadata": {"name": "gadgets.val.example"},
        "status": {"storedVersions": ["v1"]},
        "spec": {**spec, **changes},
    }


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({}, []),
        ({"scope": "Odd"}, ["spec.scope"]),
        ({"names": {**_NAMES, "plural": ""}}, ["metadata.name", "spec.names.plural"]),
        ({"names": {**_NAMES, "kind": "a b"}}, ["spec.names.kind"]),
        ({"versions": [{"name": "v1", "storage": True}]}, ["spec.versions[0].schema.openAPIV3Schema"]),
        ({"conversion": {"strategy": "Odd"}}, ["spec.conversion.strategy"]),
        ({"versions": []}, ["spec.versions", "status.storedVersions[0]"]),
        ({"group": "nodots"}, ["metadata.name", "spec.group"]),
    ],
)
def test_definitions(changes: dict[str, Any], fields: list[str]) -> None:
    assert [str(e).partition(":")[0] for e in validate_definition(_definition(**changes))] == fields


def test_the_scope_of_an_established_definition_stays() -> None:
    old = {**_definition(), "status": _ESTABLISHED}
    found = [str(e) for e in validate_definition_update(_definition(scope="Cluster"), old)]
    assert found == ['spec.scope: Invalid value: "Cluster": field is immutable']
