"""The configuration file: every field of the type is an option or says why it has no effect."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kubelet.configuration import configuration_of, options_from, with_configuration
from kubelet.configuration_fields import EMPTY_IS_NONE, MERGE, SETTINGS, WITHOUT_EFFECT
from kubelet.node.machine import Machine
from kubelet.node.settings import node_settings
from kubelet.options import IGNORED, Options
from kubelet.parts import check_cgroup_version, disabled_paths
from kubeling.client.errors import StartError
from kubeling.client.flags import parse_flags

HEAD = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"
FILE = (
    HEAD
    + """
maxPods: 7
clusterDNS: [10.0.0.10]
evictionHard: {memory.available: 1Gi, nodefs.available: 5%}
evictionSoftGracePeriod: {memory.available: 1m30s}
evictionPressureTransitionPeriod: 30s
registerWithTaints: [{key: a, value: b, effect: NoSchedule}, {key: c, effect: NoExecute}]
authentication: {anonymous: {enabled: true}, webhook: {cacheTTL: 1m}}
shutdownGracePeriodByPodPriority: [{priority: 100, shutdownGracePeriodSeconds: 3}]
featureGates: {X: true}
"""
)


def write(folder: Path, text: str) -> str:
    path = folder / "config.yaml"
    path.write_text(text)
    return f"--config={path}"


def test_the_file_sets_what_no_flag_does(tmp_path: Path) -> None:
    options = parse_flags(Options, "kubelet", [write(tmp_path, FILE), "--max-pods=9"], ignored=IGNORED)
    merged, configuration = with_configuration(options)
    assert merged.max_pods == 9
    assert merged.cluster_dns == ["10.0.0.10"]
    assert merged.eviction_hard == "memory.available<1Gi,nodefs.available<5%"
    assert merged.register_with_taints == ["a=b:NoSchedule", "c:NoExecute"]
    assert merged.anonymous_auth and merged.eviction_pressure_transition_period == 30
    shown = configuration_of(merged, configuration)
    assert shown["maxPods"] == 9
    assert shown["evictionHard"] == {"memory.available": "1Gi", "nodefs.available": "5%"}
    assert shown["evictionPressureTransitionPeriod"] == "30s"
    assert shown["authentication"]["anonymous"] == {"enabled": True}
    assert shown["authentication"]["webhook"]["cacheTTL"] == "1m0s"
    assert shown["shutdownGracePeriodByPodPriority"] == [{"priority": 100, "shutdownGracePeriodSeconds": 3}]
    assert shown["featureGates"] == {"X": True}
    assert options_from({k: v for k, v in shown.items() if k not in ("kind", "apiVersion")})["max_pods"] == 9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "maxpods: 1", 'strict decoding error: unknown field "maxpods"'),
        (HEAD + "maxPods: many", "failed to validate kubelet configuration: maxPods: "),
        ("kind: Pod", "want kind KubeletConfiguration of kubelet.config.k8s.io/v1beta1"),
        (HEAD + "evictionHard: 5", "failed to decode kubelet config file"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, text: str, message: str) -> None:
    options = parse_flags(Options, "kubelet", [write(tmp_path, text)], ignored=IGNORED)
    with pytest.raises(StartError) as caught:
        with_configuration(options)
    assert message in str(caught.value)


def test_a_field_has_an_effect_or_none() -> None:
    assert not {s.path for s in SETTINGS} & set(WITHOUT_EFFECT)
    assert all(s.option in Options.model_fields for s in SETTINGS)
    assert {s.path for s in SETTINGS} >= EMPTY_IS_NONE


KUBEADM = """
authentication: {anonymous: {enabled: false}, webhook: {cacheTTL: 0s, enabled: true}, x509: {clientCAFile: /ca.crt}}
authorization: {mode: Webhook, webhook: {cacheAuthorizedTTL: 0s, cacheUnauthorizedTTL: 0s}}
cgroupDriver: systemd
clusterDNS: [10.96.0.10]
containerRuntimeEndpoint: ""
cpuManagerReconcilePeriod: 0s
crashLoopBackOff: {}
evictionPressureTransitionPeriod: 0s
fileCheckFrequency: 0s
healthzBindAddress: 127.0.0.1
healthzPort: 10248
httpCheckFrequency: 0s
imageMaximumGCAge: 0s
imageMinimumGCAge: 0s
logging: {flushFrequency: 0, options: {json: {infoBufferSize: "0"}, text: {infoBufferSize: "0"}}, verbosity: 0}
memorySwap: {}
nodeStatusReportFrequency: 0s
nodeStatusUpdateFrequency: 0s
rotateCertificates: true
runtimeRequestTimeout: 0s
shutdownGracePeriod: 0s
shutdownGracePeriodCriticalPods: 0s
staticPodPath: /manifests
streamingConnectionIdleTimeout: 0s
syncFrequency: 0s
volumeStatsAggPeriod: 0s
"""


def merged(folder: Path, text: str) -> Options:
    return with_configuration(parse_flags(Options, "kubelet", [write(folder, HEAD + text)], ignored=IGNORED))[0]


def test_no_time_at_all_means_the_default(tmp_path: Path) -> None:
    """As in the files that kubeadm writes."""
    options, default = merged(tmp_path, KUBEADM), Options.model_fields
    for name in (
        "authentication_token_webhook_cache_ttl",
        "eviction_pressure_transition_period",
        "minimum_image_ttl_duration",
        "node_status_update_frequency",
        "node_status_report_frequency",
        "volume_stats_agg_period",
        "max_container_restart_period",
    ):
        assert getattr(options, name) == default[name].default, name
    assert options.pod_manifest_path == "/manifests" and options.image_maximum_gc_age == 0


def test_statuses_are_reported_as_often_as_they_are_looked_at(tmp_path: Path) -> None:
    assert merged(tmp_path, "nodeStatusUpdateFrequency: 20s").node_status_report_frequency == 20
    both = merged(tmp_path, "nodeStatusUpdateFrequency: 20s\nnodeStatusReportFrequency: 1m")
    assert both.node_status_report_frequency == 60


def test_default_thresholds_may_be_merged(tmp_path: Path) -> None:
    text = "evictionHard: {memory.available: 1Gi}\n"
    assert merged(tmp_path, text).eviction_hard == "memory.available<1Gi"
    hard = merged(tmp_path, text + "mergeDefaultEvictionSettings: true").eviction_hard
    assert hard == (
        "memory.available<1Gi,nodefs.available<10%,nodefs.inodesFree<5%,imagefs.available<15%,imagefs.inodesFree<5%"
    )


@pytest.mark.parametrize(
    ("text", "version", "message"),
    [
        ("", "1", ""),
        ("singleProcessOOMKill: true", "1", ""),
        ("singleProcessOOMKill: false", "2", ""),
        (
            "singleProcessOOMKill: false",
            "1",
            "singleProcessOOMKill must not be explicitly set to false when using cgroup v1",
        ),
        ("failCgroupV1: true", "2", ""),
        ("failCgroupV1: true", "1", "kubelet is configured to not run on a host using cgroup v1."),
    ],
)
def test_options_suit_the_machines_control_groups(tmp_path: Path, text: str, version: str, message: str) -> None:
    options = merged(tmp_path, text)
    if not message:
        check_cgroup_version(options, {"cgroup_version": version})
        return
    with pytest.raises(StartError) as caught:
        check_cgroup_version(options, {"cgroup_version": version})
    assert message in str(caught.value)


def test_what_was_not_said_is_not_shown(tmp_path: Path) -> None:
    assert "singleProcessOOMKill" not in configuration_of(merged(tmp_path, ""), {})
    assert configuration_of(merged(tmp_path, "singleProcessOOMKill: true"), {})["singleProcessOOMKill"] is True


def test_an_empty_folder_of_logs_is_the_default(tmp_path: Path) -> None:
    assert merged(tmp_path, 'podLogsDir: ""').pod_logs_dir == "/var/log/pods"
    options = merged(tmp_path, "podLogsDir: /srv/logs")
    assert options.pod_logs_dir == configuration_of(options, {})["podLogsDir"] == "/srv/logs"


def test_fewer_pods_on_few_processors(tmp_path: Path) -> None:
    machine = Machine(2, 1 << 30, 1 << 40, 1 << 20, "amd64")
    for text, pods in (("podsPerCore: 10", 20), ("podsPerCore: 100", 110), ("", 110)):
        assert node_settings(merged(tmp_path, text), machine, "192.0.2.1").max_pods == pods


def test_endpoints_can_be_switched_off(tmp_path: Path) -> None:
    assert disabled_paths(merged(tmp_path, "")) == {}
    assert disabled_paths(merged(tmp_path, "enableSystemLogHandler: false")) == {"/logs": "logs endpoint is disabled."}
    off = disabled_paths(merged(tmp_path, "enableDebuggingHandlers: false"))
    assert off["/exec"] == off["/logs"] == "Debug endpoints are disabled." and "/pods" not in off


def test_the_page_names_every_field() -> None:
    page = Path(__file__).parents[3] / "docs" / "kubelet-configuration.md"
    effects, nothing = page.read_text().split("## Without effect")

    def fields(text: str) -> set[str]:
        rows = [row.split("|")[1] for row in text.splitlines() if row.startswith("| `")]
        return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}

    assert fields(effects) == {s.path for s in SETTINGS} | {MERGE}
    assert fields(nothing) == set(WITHOUT_EFFECT)
