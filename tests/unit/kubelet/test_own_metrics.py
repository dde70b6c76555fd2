"""The kubelet's own metrics: operations of the runtime, starts of pods, certificates."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from kubelet.images.metrics import size_label
from kubelet.node.metrics import REGISTRY as NODE
from kubelet.node.metrics import in_use
from kubelet.pods.metrics import REGISTRY as PODS
from kubelet.pods.metrics import count_rejection
from kubelet.pods.starts import PodStarts, initialization, is_stateful
from kubelet.pods.terminations import Terminations
from kubelet.probes.metrics import PROBE_RESULTS, PROBE_SECONDS, forget_probes
from kubelet.probes.metrics import REGISTRY as PROBES
from kubelet.runtime.metrics import REGISTRY as RUNTIME
from kubelet.runtime.metrics import measured
from kubelet.runtime.protocol import RuntimeFailure
from kubelet.runtime.specs import PodRef, SandboxSpec
from kubelet.server.own_metrics import OwnMetrics
from kubelet.volumes.metrics import REGISTRY as VOLUMES
from kubelet.volumes.metrics import mounting
from kubeling.api.certificates import Issuer, issue, new_key, subject
from kubeling.api.meta import rfc3339
from kubeling.client.clock import FakeClock

MIB = 1024**2


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    return registry.get_sample_value(name, labels) or 0.0


SANDBOX = SandboxSpec(PodRef("ns", "p", "u"), 0, "p", handler="runsc")


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
    await engine.run_sandbox(SANDBOX)
    engine.fails = True
    with pytest.raises(RuntimeFailure):
        await engine.run_sandbox(SANDBOX)
    assert value(RUNTIME, "kubelet_runtime_operations_errors_total", operation_type="run_podsandbox") > 0
    assert value(RUNTIME, "kubelet_started_pods_total") == pods + 2
    assert value(RUNTIME, "kubelet_started_pods_errors_total") == failed + 1
    assert value(RUNTIME, "kubelet_run_podsandbox_duration_seconds_count", runtime_handler="runsc") == 2
    assert value(RUNTIME, "kubelet_run_podsandbox_errors_total", runtime_handler="runsc") == 1


async def test_a_pods_start_is_timed_once() -> None:
    clock, told = FakeClock(), []  # type: ignore[var-annotated]
    starts = PodStarts(lambda pod, status: told.append(status["phase"]), clock, {"u": 1.5}.__getitem__)
    sli = "kubelet_pod_start_sli_duration_seconds_sum"
    before_sli = value(PODS, sli)
    name = "kubelet_pod_start_duration_seconds"
    count, total = value(PODS, f"{name}_count"), value(PODS, f"{name}_sum")
    pod = {"metadata": {"uid": "u", "creationTimestamp": rfc3339(clock.now())}}
    running = {"containerStatuses": [{"state": {"running": {}}}]}
    in_all = "kubelet_pod_start_total_duration_seconds"
    before = value(PODS, f"{in_all}_count"), value(PODS, f"{in_all}_sum")
    for phase in ("Pending", "Pending", "Running", "Running", "Succeeded"):
        starts.publish(pod, {"phase": phase} | ({} if phase == "Pending" else running))
        await clock.advance(2)
    assert (value(PODS, f"{in_all}_count"), value(PODS, f"{in_all}_sum")) == (before[0] + 1, before[1] + 4)
    assert value(PODS, sli) == before_sli + 2.5  # pulling aside
    assert told == ["Pending", "Pending", "Running", "Running", "Succeeded"]
    assert (value(PODS, f"{name}_count"), value(PODS, f"{name}_sum")) == (count + 1, total + 4)


def test_how_long_a_certificate_lasts() -> None:
    itself, now = Issuer(subject("n"), new_key()), datetime.now(UTC)
    in_use(issue(itself.name, itself.key.public_key(), itself, (now, now + timedelta(hours=1)), []), serving=False)
    assert 3500 < value(NODE, "kubelet_certificate_manager_client_ttl_seconds") <= 3600


def test_all_are_served() -> None:
    text = OwnMetrics("n1", "1.36").text().decode()
    for name in (
        "kubelet_runtime_operations_total",
        "kubelet_pod_worker_duration_seconds",
        "kubelet_certificate_manager_server_ttl_seconds +Inf",
        'kubernetes_build_info{build_date=""',
        "process_resident_memory_bytes",
    ):
        assert name in text, name


def test_rejections_are_counted_by_the_reasons_that_upstream_names() -> None:
    names = {"OutOfcpu": "OutOfcpu", "OutOfexample.com/gpu": "OutOfExtendedResources", "NodeAffinity": "Other"}
    for reason, shown in names.items():
        before = value(PODS, "kubelet_admission_rejections_total", reason=shown)
        count_rejection(reason)
        assert value(PODS, "kubelet_admission_rejections_total", reason=shown) == before + 1


def test_sizes_of_images_are_classes() -> None:
    assert [size_label(size) for size in (0, 1, 10 * MIB, 10 * MIB + 1, 200 * 1024 * MIB)] == [
        "N/A", "0-10MB", "0-10MB", "10MB-100MB", "GT100GB",
    ]  # fmt: skip


def test_a_probe_that_is_over_is_told_of_no_longer() -> None:
    ref, labels = PodRef("ns", "p", "u"), {"container": "c", "pod": "p", "namespace": "ns"}
    PROBE_RESULTS.labels("Liveness", "failed", "c", "p", "ns", "u").inc()
    PROBE_SECONDS.labels("Liveness", "c", "p", "ns").observe(1)
    assert value(PROBES, "prober_probe_duration_seconds_count", probe_type="Liveness", **labels) == 1
    forget_probes("Liveness", "c", ref)
    assert PROBES.get_sample_value("prober_probe_duration_seconds_count", {"probe_type": "Liveness", **labels}) is None
    shown = {"probe_type": "Liveness", "result": "failed", "pod_uid": "u", **labels}
    assert PROBES.get_sample_value("prober_probe_total", shown) is None


def test_attempts_to_mount_are_timed() -> None:
    name, labels = "storage_operation_duration_seconds_count", {"operation_name": "volume_mount", "migrated": "false"}
    with pytest.raises(OSError), mounting("kubernetes.io/test"):
        raise OSError("no")
    with mounting("kubernetes.io/test"):
        pass
    for status in ("success", "fail-unknown"):
        assert value(VOLUMES, name, volume_plugin="kubernetes.io/test", status=status, **labels) == 1


def test_what_is_no_fault_of_the_nodes_does_not_count_as_its_start() -> None:
    ended = {"terminated": {"startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:05Z"}}
    pod = {"spec": {"initContainers": [{"name": "a"}, {"name": "s", "restartPolicy": "Always"}]}}
    statuses = [{"name": "a", "state": ended}, {"name": "s", "state": ended}]
    assert initialization(pod, {"initContainerStatuses": statuses}) == 5.0
    assert is_stateful(
        {"spec": {"volumes": [{"name": "v", "emptyDir": {}}, {"name": "p", "persistentVolumeClaim": {}}]}}
    )
    assert not is_stateful({"spec": {"volumes": [{"name": "v", "projected": {}}]}})


def test_each_end_of_a_container_counts_once() -> None:
    def count(type_: str, code: str, reason: str) -> float:
        labels = {"container_type": type_, "exit_code": code, "reason": reason}
        return PODS.get_sample_value("kubelet_terminated_containers_total", labels) or 0.0

    def end(id_: str, code: int = 139) -> dict[str, Any]:
        return {"terminated": {"containerID": id_, "exitCode": code, "reason": "Error"}}

    before = count("container", "139", "Error"), count("init_container", "139", "Error")
    terminations = Terminations({"containerStatuses": [{"state": end("docker://0")}]})
    terminations.count({"containerStatuses": [{"state": {"running": {}}, "lastState": end("docker://0")}]})
    terminations.count({"containerStatuses": [{"state": end("docker://1"), "lastState": end("docker://0")}]})
    waiting = {"state": {"waiting": {}}, "lastState": end("docker://1")}
    terminations.count({"containerStatuses": [waiting]})
    lost = {"terminated": {"exitCode": 139, "reason": "Error"}}  # of which nobody knows how it ended
    terminations.count({"containerStatuses": [waiting], "initContainerStatuses": [{"state": lost}]})
    terminations.count({"containerStatuses": [waiting], "initContainerStatuses": [{"state": end("docker://2")}]})
    assert count("container", "139", "Error") == before[0] + 1
    assert count("init_container", "139", "Error") == before[1] + 1
