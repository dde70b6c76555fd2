"""What the kubelet's server tells of health, of usage and of itself."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kubelet.runtime.docker_usage import usage_from
from kubelet.runtime.records import ContainerRecord, ContainerUsage, InterfaceUsage, PodRecord, SandboxRecord, State
from kubelet.runtime.specs import PodRef, Resources
from kubelet.server.app import health_answer, running_pod
from kubelet.server.cadvisor import cadvisor_metrics
from kubelet.server.machine_stats import log_bytes, volumes
from kubelet.server.metrics import line, resource_metrics
from kubelet.server.own_metrics import OwnMetrics
from kubelet.server.stats import Sample, Usage
from kubelet.server.summary import Summary, network

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
REF = PodRef("ns", "p", "u1")
POD = {
    "metadata": {"name": "p", "namespace": "ns", "uid": "u1"},
    "spec": {"containers": [{"name": "c", "image": "i:1"}]},
    "status": {"startTime": "2026-01-02T03:04:00Z"},
}
RECORD = ContainerRecord("id1", REF, "c", 0, State.RUNNING, AT, AT, image="i:1", resources=Resources(cpu_shares=512))
ETH = InterfaceUsage("eth0", 10, 1, 0, 0, 20, 2, 0, 0)
USED = ContainerUsage(1_500_000_000, 3_000_000_001, 2_000_000_000, 4, AT, 1_000, 7, 1, (ETH,))
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


def test_numbers_keep_all_their_digits() -> None:
    assert line("m", {"b": "x", "a": 'y"\n'}, 22_013_114_369) == 'm{a="y\\"\\n",b="x"} 22013114369'
    assert line("m", {}, 0.1234567891, AT) == "m 0.1234567891 1767323045000"


def test_cadvisor_names_and_labels() -> None:
    text = cadvisor_metrics([SAMPLE], 2, 1024)
    own = 'container="c",id="/docker/id1",image="i:1",name="id1",namespace="ns",pod="p"'
    assert f'container_cpu_usage_seconds_total{{container="c",cpu="total",{own[14:]}}} 1.5 1767323045000\n' in text
    assert f"container_memory_usage_bytes{{{own}}} 3000000001 1767323045000\n" in text
    assert f"container_spec_cpu_shares{{{own}}} 512 1767323045000\n" in text
    sandbox = 'container="",id="/docker/",image="kubeling/pause:1",interface="eth0",name="",namespace="ns",pod="p"'
    assert f"container_network_receive_bytes_total{{{sandbox}}} 10 1767323045000\n" in text
    assert f"container_network_transmit_packets_total{{{sandbox}}} 2 1767323045000\n" in text
    assert "machine_cpu_cores 2\n" in text and "# TYPE machine_memory_bytes gauge\n" in text


def test_resource_metrics_carry_the_time_of_their_sample() -> None:
    labels = 'container="c",namespace="ns",pod="p"'
    assert f"container_memory_working_set_bytes{{{labels}}} 2000000000 1767323045000\n" in resource_metrics([SAMPLE])


def test_own_metrics() -> None:
    made = OwnMetrics("n1", "1.36")
    labels = made.begin("GET", "/containerLogs/ns/p/c", {"containerLogs"})
    made.end(labels, 0.02)
    records = [PodRecord(REF, (SandboxRecord("s", REF, 0, True, AT),), (RECORD,))]
    text = made.text([POD], [POD], records).decode()
    for wanted in (
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


def test_disks_of_a_pod(tmp_path: Path) -> None:
    folder = tmp_path / "volumes" / "kubernetes.io~empty-dir" / "scratch"
    folder.mkdir(parents=True)
    (folder / "data").write_bytes(bytes(10_000))
    found = volumes(tmp_path, "t")
    assert [v["name"] for v in found] == ["scratch"] and 10_000 <= found[0]["usedBytes"] < 100_000
    for name in ("x.log", "x.log.1"):
        (tmp_path / name).write_bytes(b"abc")
    assert (log_bytes(str(tmp_path / "x.log")), log_bytes("")) == (6, 0)


class Running:
    """A runtime with one running container."""

    async def pod(self, ref: PodRef) -> PodRecord:
        return PodRecord(ref, (), (RECORD,))

    async def usage(self, container_id: str) -> ContainerUsage:
        return USED

    async def version(self) -> dict[str, Any]:
        return {"root_dir": "/nowhere"}


async def test_the_summary_has_upstreams_fields(tmp_path: Path) -> None:
    runtime: Any = Running()
    summary = Summary(Usage(runtime), runtime, "n1", tmp_path)
    whole = await summary.answer([POD], AT, 100.0)
    node, (pod,) = whole["node"], whole["pods"]
    assert {"nodeName", "systemContainers", "startTime", "cpu", "memory", "network", "fs", "runtime", "rlimit"} == set(
        node
    )
    assert {"availableBytes", "capacityBytes", "usedBytes", "inodesFree", "inodes", "inodesUsed", "time"} == set(
        node["fs"]
    )
    assert pod["podRef"] == {"name": "p", "namespace": "ns", "uid": "u1"}
    assert pod["containers"][0]["memory"]["rssBytes"] == 1_000
    assert {"rootfs", "logs"} <= set(pod["containers"][0])
    assert pod["network"]["rxBytes"] == 10 and pod["process_stats"] == {"process_count": 4}
    assert pod["ephemeral-storage"]["usedBytes"] == 0
    brief = await summary.answer([POD], AT, 101.0, brief=True)
    assert "fs" not in brief["node"] and "network" not in brief["pods"][0]
