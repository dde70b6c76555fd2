"""Component statuses: what is shown of an answer and of a failure."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from apiserver.kinds.core.componentstatus import COMPONENT_STATUS

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        ("True", "ok", ["x", "Healthy", "ok", ""]),
        ("False", "refused", ["x", "Unhealthy", "refused", ""]),
        ("Odd", "", ["x", "Unknown", "", ""]),
    ],
)
def test_row(status: str, message: str, expected: list[str]) -> None:
    condition = {"type": "Healthy", "status": status, "message": message}
    assert COMPONENT_STATUS.printer is not None
    assert COMPONENT_STATUS.printer.row({"metadata": {"name": "x"}, "conditions": [condition]}, NOW) == expected
