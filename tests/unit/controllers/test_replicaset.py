from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from controllers import replicaset
from controllers.lib.ranking import deletion_order
from kubeling.api.errors import StatusError, forbidden
from kubeling.api.meta import Object, condition_of, controller_of, is_deleting, name_of, rfc3339
from kubeling.api.resources import PODS, REPLICA_SETS, REPLICATION_CONTROLLERS
from tests.unit.controllers.world import World

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def pod(name: str, **spec: Any) -> Object:
    """A ready running pod on node n1, ten hours old, changed by the arguments."""
    age = rfc3339(NOW - timedelta(hours=spec.pop("age", 10)))
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": rfc3339(NOW - timedelta(hours=spec.pop("up", 9)))}
    ready["status"] = spec.pop("ready", "True")
    return {
        "metadata": {
            "name": name,
            "uid": name,
            "creationTimestamp": age,
            "annotations": {"controller.kubernetes.io/pod-deletion-cost": str(spec.pop("cost", 0))},
        },
        "spec": {"nodeName": spec.pop("node", "n1")},
        "status": {
            "phase": spec.pop("phase", "Running"),
            "conditions": [ready],
            "containerStatuses": [{"name": "c", "restartCount": spec.pop("restarts", 0)}],
        },
    }


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"node": ""}, {}),
        ({"phase": "Pending"}, {"phase": "Unknown"}),
        ({"phase": "Unknown"}, {}),
        ({"ready": "False"}, {}),
        ({"cost": -1}, {}),
        ({"up": 1}, {"up": 9}),
        ({"restarts": 3}, {"restarts": 1}),
        ({"age": 10}, {"age": 100}),
        ({"node": "", "cost": 100}, {"cost": -100}),
        ({"up": 8.1}, {"up": 8.2}),  # the same magnitude: the uid decides
    ],
)
def test_what_goes_first(first: dict[str, Any], second: dict[str, Any]) -> None:
    a, b = pod("a", **first), pod("b", **second)
    assert [name_of(p) for p in deletion_order([b, a], [], NOW)] == ["a", "b"]


@pytest.mark.parametrize(("younger", "older", "told_apart"), [(9.7, 9.8, True), (8.1, 8.2, False), (4.7, 5, True)])
def test_ages_count_in_powers_of_two_nanoseconds(younger: float, older: float, told_apart: bool) -> None:
    a, b = pod("b", up=younger), pod("a", up=older)  # 2^44 and 2^45 ns are 4.89 and 9.77 hours
    assert (deletion_order([b, a], [], NOW)[0] is a) is told_apart


def test_crowded_nodes_go_first() -> None:
    a, b, other = pod("z", node="n1"), pod("b", node="n2"), pod("c", node="n1")
    assert deletion_order([b, a], [a, b, other], NOW)[0] is a


def rs_spec(replicas: int = 3) -> Object:
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": []}}
    return {"replicas": replicas, "selector": {"matchLabels": {"app": "x"}}, "template": template}


async def test_creates_replaces_and_removes_pods() -> None:
    async with World(replicaset.CONTROLLER) as w:
        w.create(REPLICA_SETS, "rs", rs_spec())
        await w.settle()
        assert len(w.pods()) == 3
        w.make_ready()
        w.api.delete(PODS, "ns", name_of(w.pods()[0]))
        await w.settle()
        assert len([p for p in w.pods() if not is_deleting(p)]) == 3
        assert w.get(REPLICA_SETS, "rs")["status"]["terminatingReplicas"] == 1
        w.finish_deleted()
        w.api.update(REPLICA_SETS, "ns", "rs", lambda o: o["spec"].update(replicas=1))
        await w.settle()
        w.finish_deleted()
        await w.settle()
        assert len(w.pods()) == 1
        status = w.get(REPLICA_SETS, "rs")["status"]
        assert status == {
            "replicas": 1,
            "fullyLabeledReplicas": 1,
            "readyReplicas": 1,
            "availableReplicas": 1,
            "terminatingReplicas": 0,
            "observedGeneration": 2,
        }
        reasons = [reason for reason, _ in w.events()]
        assert reasons.count("SuccessfulCreate") == 4
        assert reasons.count("SuccessfulDelete") == 2


async def test_failed_pods_are_replaced() -> None:
    async with World(replicaset.CONTROLLER) as w:
        w.create(REPLICA_SETS, "rs", rs_spec(1))
        await w.settle()
        w.set_status(w.pods()[0], phase="Failed")
        await w.settle()
        assert len(w.pods()) == 2


async def test_adopts_and_releases() -> None:
    async with World(replicaset.CONTROLLER) as w:
        w.create(PODS, "orphan", {}, labels={"app": "x"})
        w.create(REPLICA_SETS, "rs", rs_spec(1))
        await w.settle()
        assert [name_of(p) for p in w.pods()] == ["orphan"]
        owner = controller_of(w.pods()[0])
        assert owner and owner["name"] == "rs"
        w.api.update(PODS, "ns", "orphan", lambda p: p["metadata"].update(labels={"app": "y"}))
        await w.settle()
        assert controller_of(w.get(PODS, "orphan")) is None
        assert len(w.pods()) == 2


async def test_finished_pods_are_neither_adopted_nor_released() -> None:
    async with World(replicaset.CONTROLLER) as w:
        w.create(PODS, "done", {}, labels={"app": "x"})
        w.set_status(w.get(PODS, "done"), phase="Succeeded")
        w.create(REPLICA_SETS, "rs", rs_spec(1))
        await w.settle()
        assert controller_of(w.get(PODS, "done")) is None
        ours = next(p for p in w.pods() if controller_of(p))
        w.set_status(ours, phase="Failed")
        w.api.update(PODS, "ns", name_of(ours), lambda p: p["metadata"].update(labels={"app": "y"}))
        await w.settle()
        assert controller_of(w.get(PODS, name_of(ours))) is not None
        assert len(w.pods()) == 3


async def test_a_failure_to_delete_is_told() -> None:
    async with World(replicaset.CONTROLLER) as w:
        w.create(REPLICA_SETS, "rs", rs_spec(2))
        await w.settle()

        def refuse(request: httpx.Request) -> StatusError | None:
            return forbidden("", "pods", "x", "not now") if request.method == "DELETE" else None

        w.api.fail = refuse
        w.api.update(REPLICA_SETS, "ns", "rs", lambda o: o["spec"].update(replicas=1))
        await w.clock.advance(0.001)
        condition = condition_of(w.get(REPLICA_SETS, "rs"), "ReplicaFailure")
        assert condition and condition["reason"] == "FailedDelete"
        assert condition["message"] == 'unable to delete pods: pods "x" is forbidden: not now'
        assert ("FailedDelete", 'Error deleting: pods "x" is forbidden: not now') in w.events()


async def test_min_ready_seconds() -> None:
    async with World(replicaset.CONTROLLER) as w:
        w.create(REPLICA_SETS, "rs", {**rs_spec(1), "minReadySeconds": 30})
        await w.settle()
        w.make_ready()
        await w.clock.advance(10)
        assert "availableReplicas" not in w.get(REPLICA_SETS, "rs")["status"]
        await w.clock.advance(25)
        assert w.get(REPLICA_SETS, "rs")["status"]["availableReplicas"] == 1


async def test_a_failure_to_create_is_told_and_pods_are_tried_one_by_one() -> None:
    async with World(replicaset.CONTROLLER) as w:
        refused: list[str] = []

        def refuse(request: httpx.Request) -> StatusError | None:
            if request.method == "POST" and request.url.path.endswith("/pods"):
                refused.append(request.url.path)
                return forbidden("", "pods", "x", "exceeded quota")
            return None

        w.api.fail = refuse
        w.create(REPLICA_SETS, "rs", rs_spec(50))
        await w.clock.advance(0.001)
        assert len(refused) <= 2  # one a round; the status written in the first brings the second
        w.api.fail = None
        condition = condition_of(w.get(REPLICA_SETS, "rs"), "ReplicaFailure")
        assert condition and condition["reason"] == "FailedCreate"
        assert ("FailedCreate", 'Error creating: pods "x" is forbidden: exceeded quota') in w.events()
        await w.settle()
        assert len(w.pods()) == 50
        assert condition_of(w.get(REPLICA_SETS, "rs"), "ReplicaFailure") is None


async def test_replication_controller() -> None:
    async with World(replicaset.REPLICATION) as w:
        w.create(REPLICATION_CONTROLLERS, "rc", {**rs_spec(2), "selector": {"app": "x"}})
        await w.settle()
        assert len(w.pods()) == 2
        assert w.get(REPLICATION_CONTROLLERS, "rc")["status"]["replicas"] == 2
        assert "terminatingReplicas" not in w.get(REPLICATION_CONTROLLERS, "rc")["status"]
