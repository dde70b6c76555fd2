"""Availability of API services and names of definitions, decided purely."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.bootstrap.declared_status import available_status, naming_status

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_NAMES = {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}


def _available(service: dict[str, Any] | None, **reference: Any) -> Any:
    spec = {"service": {"name": "svc", "namespace": "nowhere", **reference}}
    return available_status({"spec": spec}, lambda name, namespace: service, _NOW)


@pytest.mark.parametrize(
    ("service", "reason", "message"),
    [
        (None, "ServiceNotFound", 'service/svc in "nowhere" is not present'),
        (
            {"spec": {"ports": [{"port": 80}]}},
            "ServicePortError",
            'service/svc in "nowhere" is not listening on port 443',
        ),
    ],
)
def test_unavailable(service: dict[str, Any] | None, reason: str, message: str) -> None:
    (condition,) = _available(service)["conditions"]
    assert (condition["status"], condition["reason"], condition["message"]) == ("False", reason, message)


def test_said_once() -> None:
    spec = {"service": {"name": "svc", "namespace": "nowhere"}}
    status = _available(None)
    assert available_status({"spec": spec, "status": status}, lambda name, namespace: None, _NOW) is None


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
