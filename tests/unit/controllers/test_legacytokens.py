"""The cleaner of legacy service account tokens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controllers.legacytokens import CONTROLLER, INVALID_SINCE, LAST_USED, plan, tracked_long_enough
from kubeling.api.meta import Object, labels_of, name_of
from kubeling.api.resources import CONFIG_MAPS, SECRETS, SERVICE_ACCOUNTS
from tests.unit.controllers.world import World

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PERIOD = timedelta(days=30)
ACCOUNT = {"metadata": {"name": "a", "namespace": "ns", "uid": "u"}, "secrets": [{"name": "t"}]}
MOUNTING = {"metadata": {"namespace": "ns"}, "spec": {"volumes": [{"secret": {"secretName": "t"}}]}}

VARIABLE = {"name": "T", "valueFrom": {"secretKeyRef": {"name": "t", "key": "token"}}}
READING = {"metadata": {"namespace": "ns"}, "spec": {"containers": [{"name": "c", "env": [VARIABLE]}]}}
PULLING = {"metadata": {"namespace": "ns"}, "spec": {"imagePullSecrets": [{"name": "t"}]}}


def token(labels: dict[str, str] | None = None, created: str = "2026-01-01T00:00:00Z", **metadata: Any) -> Object:
    notes = {"kubernetes.io/service-account.name": "a", "kubernetes.io/service-account.uid": "u"}
    own = {"name": "t", "namespace": "ns", "labels": labels or {}, "annotations": notes, "creationTimestamp": created}
    return {"type": "kubernetes.io/service-account-token", "metadata": {**own, **metadata}}


@pytest.mark.parametrize(
    ("secret", "accounts", "pods", "outcome"),
    [
        (token(), [ACCOUNT], [], "invalidate"),
        (token(created="2026-05-20T00:00:00Z"), [ACCOUNT], [], ""),
        (token({LAST_USED: "2026-05-10"}), [ACCOUNT], [], ""),
        (token({LAST_USED: "2026-04-10"}), [ACCOUNT], [], "invalidate"),
        (token({LAST_USED: "nonsense"}), [ACCOUNT], [], ""),
        (token(), [{**ACCOUNT, "secrets": []}], [], ""),
        (token(), [], [], ""),
        (token(), [ACCOUNT], [MOUNTING], ""),
        (token(), [ACCOUNT], [READING], ""),
        (token(), [ACCOUNT], [PULLING], ""),
        (token({INVALID_SINCE: "2026-05-10"}), [ACCOUNT], [], ""),
        (token({INVALID_SINCE: "2026-04-10"}), [ACCOUNT], [], "delete"),
        (token({INVALID_SINCE: "2026-04-10", LAST_USED: "2026-05-20"}), [ACCOUNT], [], ""),
        (token(deletionTimestamp="2026-05-01T00:00:00Z"), [ACCOUNT], [], ""),
        ({**token(), "type": "Opaque"}, [ACCOUNT], [], ""),
    ],
)
def test_plan(secret: Object, accounts: list[Object], pods: list[Object], outcome: str) -> None:
    decided = plan([secret], accounts, pods, NOW, PERIOD)
    assert (decided.invalidate, decided.delete) == (
        (secret,) if outcome == "invalidate" else (),
        (secret,) if outcome == "delete" else (),
    )


def test_nothing_is_judged_before_its_use_was_tracked_for_a_period() -> None:
    assert not tracked_long_enough(None, NOW, PERIOD)
    assert not tracked_long_enough({"data": {"since": "2026-05-15"}}, NOW, PERIOD)
    assert not tracked_long_enough({"data": {"since": "soon"}}, NOW, PERIOD)
    assert tracked_long_enough({"data": {"since": "2026-04-15"}}, NOW, PERIOD)
    assert not tracked_long_enough({"data": {"since": "2026-05-30"}}, NOW, timedelta(hours=36))
    assert tracked_long_enough({"data": {"since": "2026-05-30"}}, NOW, timedelta(hours=24))


async def test_an_unused_token_is_marked_and_a_period_later_gone() -> None:
    day = 24 * 3600.0
    async with World(CONTROLLER, legacy_service_account_token_clean_up_period=2 * day) as w:
        start = w.clock.now()
        name = "kube-apiserver-legacy-service-account-token-tracking"
        since = {"since": (start - timedelta(days=9)).date().isoformat()}
        w.api.create(CONFIG_MAPS, {"metadata": {"name": name, "namespace": "kube-system"}, "data": since})
        account = w.api.create(
            SERVICE_ACCOUNTS, {"metadata": {"name": "a", "namespace": "ns"}, "secrets": [{"name": "t"}]}
        )
        made = token()
        made["metadata"]["annotations"]["kubernetes.io/service-account.uid"] = account["metadata"]["uid"]
        w.api.create(SECRETS, made)
        for _ in range(4):
            await w.clock.advance(day)
            await w.settle()
        assert INVALID_SINCE in labels_of(w.get(SECRETS, "t"))
        for _ in range(4):
            await w.clock.advance(day)
            await w.settle()
        assert [name_of(s) for s in w.api.all(SECRETS)] == []
