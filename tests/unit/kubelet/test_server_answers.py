"""What the kubelet's server tells of health, of usage and of itself."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kubelet.containers.build import VolumePath
from kubelet.pods.spec import ref_of
from kubelet.runtime.docker_usage import usage_from
from kubelet.runtime.records import (
    ContainerRecord,
    ContainerUsage,
    DeviceUsage,
    InterfaceUsage,
    PodRecord,
    SandboxRecord,
    State,
)
from kubelet.runtime.specs import PodRef, Resources
from kubelet.server.app import health_answer, running_pod
from kubelet.server.cadvisor import MachineFigures, cadvisor_metrics
from kubelet.server.disks import Disks, disk_metrics
from kubelet.server.metrics import failed_scrape, line, resource_metrics
from kubelet.server.own_metrics import OwnMetrics
from kubelet.server.stats import Sample, Usage
from kubelet.server.summary import Summary, network
from kubeling.client.clock import FakeClock

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
REF = PodRef("ns", "p", "u1")
POD: dict[str, Any] = {
    "metadata": {"name": "p", "namespace": "ns", "uid": "u1"},
    "spec": {"containers": [{"name": "c", "image": "i:1"}]},
    "status": {"startTime": "2026-01-02T03:04:00Z"},
}
RECORD = ContainerRecord(
    "id1",
    REF,
    "c",
    0,
    State.RUNNING,
    AT,
    AT,
    image="i:1",
    sandbox_id="s1",
    resources=Resources(cpu_shares=512, memory=2_500_000_000),
)
ETH = InterfaceUsage("eth0", 10, 1, 0, 0, 20, 2, 0, 0)
DISK = DeviceUsage((9999, 0), 1, 2, 512, 4096)
USED = ContainerUsage(
    1_500_000_000, 3_000_000_001, 2_000_000_000, 4, AT, 1_000, 7, 1, (ETH,),
    periods=10, throttled_periods=5, throttled_nanos=500_000_000, swap=77, devices=(DISK,),
)  # fmt: skip
SAMPLE = Sample(POD, "c", USED, AT, RECORD)


@pytest.mark.parametrize(
    ("checks", "wrong", "verbose", "status", "text"),
    [
        (["ping", "log"], {}, False, 200, "ok"),
        (["ping", "log"], {}, True, 200, "[+]ping ok\n[+]log ok\nhealthz check passed\n"),
        (
            ["ping", "log"],
            {"log": "why"},
            False,
            500,
            "[+]ping ok\n[-]log failed: reason withheld\nhealthz check failed\n",
        ),
        (["ping"], {"log": "why"}, False, 200, "ok"),
    ],
)
def test_health(checks: list[str], wrong: dict[str, str], verbose: bool, status: int, text: str) -> None:
    answer = health_answer(checks, wrong, verbose=verbose)
    assert (answer.status, answer.body) == (status, text.encode())


def test_running_pods_are_names_and_images() -> None:
    ended = ContainerRecord("id2", REF, "d", 0, State.EXITED, AT)
    assert running_pod(PodRecord(REF, (), (RECORD, ended))) == {
        "metadata": {"name": "p", "namespace": "ns", "uid": "u1"},
        "spec": {"containers": [{"name": "c", "image": "i:1", "resources": {}}]},
        "status": {},
    }


def test_usage_of_either_cgroup_version() -> None:
    networks = {"networks": {"eth0": {"rx_bytes": 10, "tx_bytes": 20, "rx_packets": 1, "tx_packets": 2}}}
    old: dict[str, Any] = {
        "memory_stats": {"usage": 100, "stats": {"total_inactive_file": 30, "total_rss": 50, "total_pgfault": 7}}
    }
    new: dict[str, Any] = {"memory_stats": {"usage": 100, "stats": {"inactive_file": 30, "anon": 50, "pgfault": 7}}}
    for stats in (old, new):
        found = usage_from(stats | networks)
        assert (found.working_set, found.rss, found.page_faults, found.interfaces) == (70, 50, 7, (ETH,))
    more: dict[str, Any] = {
        "cpu_stats": {
            "cpu_usage": {"total_usage": 9, "usage_in_usermode": 5, "usage_in_kernelmode": 4},
            "throttling_data": {"periods": 3, "throttled_periods": 2, "throttled_time": 1},
        },
        "blkio_stats": {
            "io_service_bytes_recursive": [
                {"major": 8, "minor": 0, "op": "Read", "value": 512},
                {"major": 8, "minor": 0, "op": "Total", "value": 512},
            ],
            "io_serviced_recursive": [{"major": 8, "minor": 0, "op": "write", "value": 1}],
        },
    }
    found = usage_from(more)
    assert (found.user_nanos, found.system_nanos) == (5, 4)
    assert (found.periods, found.throttled_periods, found.throttled_nanos) == (3, 2, 1)
    assert found.devices == (DeviceUsage((8, 0), reads=0, writes=1, read_bytes=512, written_bytes=0),)
    assert (found.swap, usage_from({"memory_stats": {"stats": {"total_swap": 5}}}).swap) == (None, 5)


def test_numbers_keep_all_their_digits() -> None:
    assert line("m", {"b": "x", "a": 'y"\n'}, 22_013_114_369) == 'm{a="y\\"\\n",b="x"} 22013114369'
    assert line("m", {}, 0.1234567891, AT) == "m 0.1234567891 1767323045000"


def test_cadvisor_names_and_labels() -> None:
    machine = MachineFigures(2, 1024, 512, AT, {"container_cpu_usage_seconds_total": 7.5})
    text = cadvisor_metrics([SAMPLE], machine, lambda pod, container_id: "")
    own = 'container="c",id="/docker/id1",image="i:1",name="id1",namespace="ns",pod="p"'
    assert f'container_cpu_usage_seconds_total{{container="c",cpu="total",{own[14:]}}} 1.5 1767323045000\n' in text
    assert f"container_memory_usage_bytes{{{own}}} 3000000001 1767323045000\n" in text
    assert f"container_spec_cpu_shares{{{own}}} 512 1767323045000\n" in text
    sandbox = 'container="",id="/docker/s1",image="kubeling/pause:1",interface="eth0",name="s1",namespace="ns",pod="p"'
    assert f"container_network_receive_bytes_total{{{sandbox}}} 10 1767323045000\n" in text
    assert f"container_network_transmit_packets_total{{{sandbox}}} 2 1767323045000\n" in text
    assert f"container_cpu_cfs_throttled_seconds_total{{{own}}} 0.5 1767323045000\n" in text
    assert f'container_fs_writes_bytes_total{{container="c",device="",{own[14:]}}} 4096 1767323045000\n' in text
    assert f"container_last_seen{{{own}}} 1767323045 1767323045000\n" in text
    assert "container_memory_max_usage_bytes" not in text  # the kernel has not told
    root = 'container="",cpu="total",id="/",image="",name="",namespace="",pod=""'
    assert f"container_cpu_usage_seconds_total{{{root}}} 7.5 1767323045000\n" in text
    grouped = cadvisor_metrics([SAMPLE], machine, lambda pod, container_id: f"/kubepods/podu1/{container_id}")
    assert 'id="/kubepods/podu1/id1"' in grouped and "/docker/" not in grouped
    assert "container_scrape_error 0\n" in text
    assert "container_scrape_error 1\n" in cadvisor_metrics(None, machine, lambda pod, container_id: "")
    assert "machine_cpu_cores 2\n" in text and "# TYPE machine_memory_bytes gauge\n" in text


def test_resource_metrics_carry_the_time_of_their_sample() -> None:
    labels, text = 'container="c",namespace="ns",pod="p"', resource_metrics([SAMPLE], AT)
    for wanted in (
        f"container_memory_working_set_bytes{{{labels}}} 2000000000 1767323045000",
        f"container_swap_usage_bytes{{{labels}}} 77 1767323045000",
        'pod_cpu_usage_seconds_total{namespace="ns",pod="p"} 1.5 1767323045000',
        "# HELP pod_cpu_usage_seconds_total [STABLE] Cumulative cpu time consumed by the pod in core-seconds",
        "resource_scrape_error 0",
    ):
        assert f"{wanted}\n" in text
    (of_node,) = [row for row in text.splitlines() if row.startswith("node_memory_working_set_bytes ")]
    assert of_node.endswith(" 1767323045000")
    assert failed_scrape().endswith("resource_scrape_error 1\n")


STATIC = {
    "metadata": {"name": "s", "namespace": "ns", "uid": "u2", "annotations": {"kubernetes.io/config.source": "file"}},
    "spec": {"containers": [], "ephemeralContainers": [{"name": "e"}]},
}


WAITS = {"PodResizePending": ("True", "Deferred", "why"), "PodResizeInProgress": ("True", "", "")}


def worker(pod: dict[str, Any], *, ending: bool = False, resizing: dict[str, Any] | None = None) -> Any:
    ended = asyncio.Event()
    return SimpleNamespace(pod=pod, ref=ref_of(pod), ending=ending, gone=False, ended=ended, resizing=resizing or {})


def test_own_metrics() -> None:
    made = OwnMetrics("n1", "1.36")
    labels = made.begin("GET", "/containerLogs/ns/p/c", {"containerLogs"})
    made.end(labels, 0.02)
    records = [PodRecord(REF, (SandboxRecord("s", REF, 0, True, AT),), (RECORD,))]
    made.count_pods(
        [worker(POD), worker(STATIC, ending=True, resizing=WAITS)],
        [*records, PodRecord(PodRef("ns", "q", "u3"), (), ())],
    )
    made.count_volumes({("kubernetes.io/empty-dir", "actual_state_of_world"): 2})
    text = made.text().decode()
    for wanted in (
        'kubelet_active_pods{static="true"} 0.0',
        'kubelet_desired_pods{static="true"} 1.0',
        'kubelet_pod_pending_resizes{reason="deferred"} 1.0',
        "kubelet_pod_in_progress_resizes 1.0",
        "kubelet_mirror_pods 0.0",
        "kubelet_managed_ephemeral_containers 1.0",
        'kubelet_working_pods{config="desired",lifecycle="sync",static=""} 1.0',
        'kubelet_working_pods{config="desired",lifecycle="terminating",static="true"} 1.0',
        'kubelet_working_pods{config="runtime_only",lifecycle="terminating",static="unknown"} 1.0',
        'volume_manager_total_volumes{plugin_name="kubernetes.io/empty-dir",state="actual_state_of_world"} 2.0',
        "# TYPE kubelet_preemptions counter",
        "# HELP kubelet_started_containers_total [ALPHA] Cumulative number of containers started",
        "kubelet_server_expiration_renew_errors 0.0",
        'kubelet_node_name{node="n1"} 1.0',
        "kubelet_running_pods 1.0",
        'kubelet_running_containers{container_state="running"} 1.0',
        'kubelet_running_containers{container_state="exited"} 0.0',
        'kubelet_desired_pods{static=""} 1.0',
        'kubelet_http_requests_total{long_running="false",method="GET",path="containerLogs",server_type="readwrite"} 1.0',
    ):
        assert f"{wanted}\n" in text
    assert "_created{" not in text


def test_the_default_interface_comes_first() -> None:
    shown = network([InterfaceUsage("docker0"), ETH], "t", "eth0")
    assert shown == {
        "time": "t",
        "name": "eth0",
        "rxBytes": 10,
        "rxErrors": 0,
        "txBytes": 20,
        "txErrors": 0,
        "interfaces": [
            {"name": "docker0", "rxBytes": 0, "rxErrors": 0, "txBytes": 0, "txErrors": 0},
            {"name": "eth0", "rxBytes": 10, "rxErrors": 0, "txBytes": 20, "txErrors": 0},
        ],
    }


async def test_disks_of_a_pod_are_measured_once_in_a_while(tmp_path: Path) -> None:
    clock, runtime = FakeClock(), Running()
    for name in ("scratch", "memory", "settings", "data", "host"):
        (tmp_path / name).mkdir()
    (tmp_path / "scratch" / "file").write_bytes(bytes(10_000))
    (tmp_path / "c.log").write_bytes(b"abc")
    (tmp_path / "c.log.1").write_bytes(b"abc")
    given = {**POD, "spec": {**POD["spec"], "volumes": [
        {"name": "scratch", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory"}},
        {"name": "settings", "configMap": {"name": "s"}},
        {"name": "data", "ephemeral": {}},
        {"name": "host", "hostPath": {"path": "/x"}},
        {"name": "late", "persistentVolumeClaim": {"claimName": "late"}},
    ]}}  # fmt: skip
    mounted = {n: VolumePath(str(tmp_path / n)) for n in ("scratch", "memory", "settings", "data", "host")}
    used: Any = runtime
    disks = Disks(used, clock, lambda uid: mounted, 60.0)
    running = [replace(RECORD, log_path=str(tmp_path / "c.log"))]
    found = await disks.of(given, running)
    volumes = {v["name"]: v for v in found.volumes}
    assert set(volumes) == {"scratch", "memory", "settings", "data"}
    assert volumes["data"]["pvcRef"] == {"name": "p-data", "namespace": "ns"} and "pvcRef" not in volumes["scratch"]
    assert 10_000 <= volumes["scratch"]["usedBytes"] < 100_000 and volumes["scratch"]["inodesUsed"] == 2
    assert volumes["data"]["usedBytes"] > volumes["scratch"]["usedBytes"]  # all that is on its file system
    assert (found.logs, found.layers) == ({"c": (6, 2)}, {"c": (4096, 3)})
    # a config map and what is on disk count, memory and claims do not
    assert found.local == (4096 + 6 + volumes["scratch"]["usedBytes"], 3 + 2 + 2 + 1)
    (tmp_path / "scratch" / "more").write_bytes(bytes(100_000))
    await clock.advance(59)
    assert await disks.of(given, running) is found
    await clock.advance(1)
    assert (await disks.of(given, running)).volumes[0]["usedBytes"] > 100_000
    text = disk_metrics([(given, found)])
    claim = 'kubelet_volume_stats_used_bytes{namespace="ns",persistentvolumeclaim="p-data"}'
    assert f"{claim} {volumes['data']['usedBytes']}\n" in text and text.count("volume_stats_inodes_free{") == 1
    logs = 'kubelet_container_log_filesystem_used_bytes{container="c",namespace="ns",pod="p",uid="u1"} 6'
    assert f"{logs}\n" in text
    off = Disks(used, clock, lambda uid: mounted, -1.0)
    assert (await off.of(given, running)).volumes == []


class Running:
    """A runtime with one running container."""

    async def pod(self, ref: PodRef) -> PodRecord:
        return PodRecord(ref, (), (RECORD,))

    async def usage(self, container_id: str) -> ContainerUsage:
        return USED

    async def layer(self, container_id: str) -> tuple[int, int]:
        return 4096, 3

    async def version(self) -> dict[str, Any]:
        return {"root_dir": "/nowhere"}


async def test_the_summary_has_upstreams_fields(tmp_path: Path) -> None:
    runtime: Any = Running()
    summary = Summary(Usage(runtime), runtime, "n1", tmp_path, Disks(runtime, FakeClock(), lambda uid: {}, 60.0))
    whole = await summary.answer([POD], AT, 100.0)
    node, (pod,) = whole["node"], whole["pods"]
    fields = "nodeName systemContainers startTime cpu memory network fs runtime rlimit swap"
    assert set(node) == set(fields.split())
    assert {"pageFaults", "majorPageFaults"} <= set(node["memory"])
    kubelet, pods = node["systemContainers"]
    assert (kubelet["name"], pods["name"], pods["memory"]["usageBytes"]) == ("kubelet", "pods", 3_000_000_001)
    assert {"availableBytes", "capacityBytes", "usedBytes", "inodesFree", "inodes", "inodesUsed", "time"} == set(
        node["fs"]
    )
    assert pod["podRef"] == {"name": "p", "namespace": "ns", "uid": "u1"}
    assert pod["containers"][0]["memory"]["rssBytes"] == 1_000
    container = pod["containers"][0]
    assert (container["rootfs"]["usedBytes"], container["rootfs"]["inodesUsed"]) == (4096, 3)
    assert (container["logs"]["usedBytes"], container["swap"]["swapUsageBytes"]) == (0, 77)
    assert container["memory"]["availableBytes"] == pod["memory"]["availableBytes"] == 500_000_000
    assert pod["network"]["rxBytes"] == 10 and pod["process_stats"] == {"process_count": 4}
    assert pod["ephemeral-storage"]["usedBytes"] == 4096
    brief = await summary.answer([POD], AT, 101.0, brief=True)
    assert "fs" not in brief["node"] and "network" not in brief["pods"][0]
