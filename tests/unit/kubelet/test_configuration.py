"""The configuration file: every field of the type is an option or says why it has no effect."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubelet.configuration import SETTINGS, WITHOUT_EFFECT, configuration_of, options_from, with_configuration
from kubelet.options import IGNORED, Options
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
