"""Names of definitions, decided purely."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from apiserver.bootstrap.declared_status import naming_status

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_NAMES = {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}


def _states(status: Any) -> list[tuple[str, str, str]]:
    return [(c["type"], c["status"], c["reason"]) for c in status["conditions"]]


def test_free_names_are_accepted() -> None:
    definition = {"metadata": {}, "spec": {"names": _NAMES}}
    status = naming_status(definition, [], _NOW)
    assert status is not None
    assert status["acceptedNames"] == _NAMES
    assert _states(status) == [
        ("NamesAccepted", "True", "NoConflicts"),
        ("Established", "True", "InitialNamesAccepted"),
    ]
    assert naming_status({**definition, "status": status}, [], _NOW) is None


def test_a_name_in_use_is_refused() -> None:
    other = {"status": {"acceptedNames": {**_NAMES, "plural": "gadgets", "singular": "gadget", "kind": "Gadget"}}}
    status = naming_status({"metadata": {}, "spec": {"names": _NAMES}}, [other], _NOW)
    assert status is not None
    assert _states(status) == [("NamesAccepted", "False", "ListKindConflict"), ("Established", "False", "NotAccepted")]
    assert status["conditions"][0]["message"] == '"WidgetList" is already in use'
    assert "listKind" not in status["acceptedNames"]
