from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.registry.delete import plan
from apiserver.registry.kind import Strategy
from kubeling.api.meta import Object

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Graceful(Strategy):
    def grace_period(self, obj: Object, requested: int | None) -> int | None:
        return 30 if requested is None else requested


def thing(**metadata: Any) -> Object:
    return {"metadata": {"name": "a", "generation": 1, **metadata}}


@pytest.mark.parametrize(
    ("obj", "options", "write", "remove", "finalizers"),
    [
        (thing(), {}, False, True, None),
        (thing(finalizers=["x/y"]), {}, True, False, ["x/y"]),
        (thing(), {"propagationPolicy": "Foreground"}, True, False, ["foregroundDeletion"]),
        (thing(), {"propagationPolicy": "Orphan"}, True, False, ["orphan"]),
        (thing(), {"orphanDependents": True}, True, False, ["orphan"]),
        (thing(finalizers=["orphan"]), {"propagationPolicy": "Background"}, False, True, None),
    ],
)
def test_at_once_or_held_by_finalizers(
    obj: Object, options: Object, write: bool, remove: bool, finalizers: list[str] | None
) -> None:
    done = plan(Strategy(), obj, options, NOW)
    assert (done.write, done.remove) == (write, remove)
    assert done.obj["metadata"].get("finalizers") == finalizers
    if write:
        assert done.obj["metadata"]["deletionTimestamp"] == "2026-01-02T03:04:05Z"
        assert done.obj["metadata"]["generation"] == 2


def test_grace_is_given_once_and_only_gets_shorter() -> None:
    first = plan(Graceful(), thing(), {}, NOW)
    assert first.write and not first.remove
    metadata = first.obj["metadata"]
    assert (metadata["deletionTimestamp"], metadata["deletionGracePeriodSeconds"]) == ("2026-01-02T03:04:35Z", 30)
    again = plan(Graceful(), first.obj, {"gracePeriodSeconds": 60}, NOW)
    assert not again.write and not again.remove
    shorter = plan(Graceful(), first.obj, {"gracePeriodSeconds": 10}, NOW)
    assert shorter.obj["metadata"]["deletionTimestamp"] == "2026-01-02T03:04:15Z"
    now = plan(Graceful(), first.obj, {"gracePeriodSeconds": 0}, NOW)
    assert now.remove
