"""The kubelet's own metrics: operations of the runtime, starts of pods, certificates."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from kubelet.node.metrics import REGISTRY as NODE
from kubelet.node.metrics import in_use
from kubelet.pods.metrics import REGISTRY as PODS
from kubelet.pods.metrics import PodStarts
from kubelet.runtime.metrics import REGISTRY as RUNTIME
from kubelet.runtime.metrics import measured
from kubelet.runtime.protocol import RuntimeFailure
from kubelet.server.own_metrics import OwnMetrics
from kubeling.api.certificates import Issuer, issue, new_key, subject
from kubeling.client.clock import FakeClock


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    return registry.get_sample_value(name, labels) or 0.0


@measured
class Engine:
    fails = False

    async def _answer(self, *given: Any) -> Any:
        if self.fails:
            raise RuntimeFailure("no")
        return given

    version = pods = run_sandbox = remove_sandbox = create_container = start_container = signal = _answer
    remove_container = update_resources = exec = attach = usage = images = image = pull = remove_image = _answer


async def test_operations_are_counted_timed_and_passed_on() -> None:
    engine, before = Engine(), value(RUNTIME, "kubelet_runtime_operations_total", operation_type="create_container")
    pods, failed = value(RUNTIME, "kubelet_started_pods_total"), value(RUNTIME, "kubelet_started_pods_errors_total")
    assert await engine.create_container("a") == ("a",)
    assert value(RUNTIME, "kubelet_runtime_operations_total", operation_type="create_container") == before + 1
    await engine.pods()
    assert value(RUNTIME, "kubelet_pleg_relist_duration_seconds_count") > 0
    assert time.time() - value(RUNTIME, "kubelet_pleg_last_seen_seconds") < 60
    await engine.run_sandbox()
    engine.fails = True
    with pytest.raises(RuntimeFailure):
        await engine.run_sandbox()
    assert value(RUNTIME, "kubelet_runtime_operations_errors_total", operation_type="run_podsandbox") > 0
    assert value(RUNTIME, "kubelet_started_pods_total") == pods + 2
    assert value(RUNTIME, "kubelet_started_pods_errors_total") == failed + 1


async def test_a_pods_start_is_timed_once() -> None:
    clock, told = FakeClock(), []  # type: ignore[var-annotated]
    starts = PodStarts(lambda pod, status: told.append(status["phase"]), clock)
    name = "kubelet_pod_start_duration_seconds"
    count, total = value(PODS, f"{name}_count"), value(PODS, f"{name}_sum")
    pod = {"metadata": {"uid": "u"}}
    for phase in ("Pending", "Pending", "Running", "Running", "Succeeded"):
        starts.publish(pod, {"phase": phase})
        await clock.advance(2)
    assert told == ["Pending", "Pending", "Running", "Running", "Succeeded"]
    assert (value(PODS, f"{name}_count"), value(PODS, f"{name}_sum")) == (count + 1, total + 4)


def test_how_long_a_certificate_lasts() -> None:
    itself, now = Issuer(subject("n"), new_key()), datetime.now(UTC)
    in_use(issue(itself.name, itself.key.public_key(), itself, (now, now + timedelta(hours=1)), []), serving=False)
    assert 3500 < value(NODE, "kubelet_certificate_manager_client_ttl_seconds") <= 3600


def test_all_are_served() -> None:
    text = OwnMetrics("n1", "1.36").text([], [], []).decode()
    for name in (
        "kubelet_runtime_operations_total",
        "kubelet_pod_worker_duration_seconds",
        "kubelet_certificate_manager_server_ttl_seconds +Inf",
        'kubernetes_build_info{build_date=""',
        "process_resident_memory_bytes",
    ):
        assert name in text, name
