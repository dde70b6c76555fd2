"""Which containers may leave the terminated state: restart rules and containers' own policies count."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.kinds.validation.pod.updates import validate_status_update

REFUSED = "may not be transitioned to non-terminated state"


def rule(action: str) -> dict[str, Any]:
    return {"restartPolicyRules": [{"action": action, "exitCodes": {"operator": "In", "values": [42]}}]}


@pytest.mark.parametrize(
    ("container", "other", "code", "allowed"),
    [
        ({}, {}, 42, False),
        (rule("Restart") | {"restartPolicy": "Never"}, {}, 42, True),
        (rule("Restart") | {"restartPolicy": "Never"}, {}, 1, False),
        ({"restartPolicy": "Always"}, {}, 0, True),
        ({"restartPolicy": "OnFailure"}, {}, 0, False),
        ({"restartPolicy": "OnFailure"}, {}, 1, True),
        ({}, rule("RestartAllContainers"), 0, True),
    ],
)
def test_leaving_the_terminated_state(
    container: dict[str, Any], other: dict[str, Any], code: int, allowed: bool
) -> None:
    def pod(state: dict[str, Any]) -> dict[str, Any]:
        containers = [{"name": "c", **container}, {"name": "d", **other}]
        status = {"containerStatuses": [{"name": "c", "state": state}]}
        return {
            "metadata": {"name": "p"},
            "spec": {"restartPolicy": "Never", "containers": containers},
            "status": status,
        }

    errors = validate_status_update(pod({"waiting": {}}), pod({"terminated": {"exitCode": code}}))
    assert [REFUSED in str(e) for e in errors] == ([] if allowed else [True])
