from collections.abc import Callable
from typing import Any

import pytest

from apiserver.kinds.apps.daemonset import TEMPLATE_GENERATION
from kubeling.api.meta import Object


def test_template_generation_counts_changes_of_the_template(strategies: Any, workload: Callable[..., Object]) -> None:
    old = strategies.created(workload("DaemonSet"))
    assert old["metadata"]["annotations"] == {TEMPLATE_GENERATION: "1"}
    same = strategies.updated(old, workload("DaemonSet", minReadySeconds=4))
    assert same["metadata"]["annotations"] == {TEMPLATE_GENERATION: "1"}
    changed = strategies.updated(old, workload("DaemonSet", template={"hostNetwork": True}))
    assert changed["metadata"]["annotations"] == {TEMPLATE_GENERATION: "2"}


@pytest.mark.parametrize(
    ("rolling", "wanted"),
    [
        ({"maxUnavailable": 0}, ["maxUnavailable: Required value: cannot be 0 when maxSurge is 0"]),
        ({"maxSurge": 1}, ["maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero"]),
        ({"maxUnavailable": 0, "maxSurge": "10%"}, []),
        ({"maxUnavailable": "101%"}, ['maxUnavailable: Invalid value: "101%": must not be greater than 100%']),
    ],
)
def test_rolling_updates(
    strategies: Any, workload: Callable[..., Object], rolling: dict[str, Any], wanted: list[str]
) -> None:
    found = strategies.errors(workload("DaemonSet", updateStrategy={"rollingUpdate": rolling}))
    assert found == [f"spec.updateStrategy.rollingUpdate.{text}" for text in wanted]


def test_rows(strategies: Any, workload: Callable[..., Object]) -> None:
    obj = workload("DaemonSet", template={"nodeSelector": {"b": "2", "a": "1"}})
    obj["status"] = {
        "desiredNumberScheduled": 3,
        "currentNumberScheduled": 2,
        "numberReady": 1,
        "updatedNumberScheduled": 2,
        "numberAvailable": 1,
    }
    cells = strategies.cells(obj)
    assert list(cells.values())[:7] == ["w", 3, 2, 1, 2, 1, "a=1,b=2"]
