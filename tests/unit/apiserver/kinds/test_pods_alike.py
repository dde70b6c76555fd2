"""Validation of pods of one template is done once, and for nothing that is not alike."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.kinds.core.pod.alike import digest_of
from apiserver.kinds.core.pod.strategy import PodStrategy
from apiserver.registry.kind import Context

CTX = Context(datetime(2026, 1, 2, tzinfo=UTC))


def pod(suffix: str = "bcdfg", **spec: Any) -> dict[str, Any]:
    token = f"kube-api-access-{suffix}"
    container = {"name": "c", "image": "web:1", "volumeMounts": [{"name": token, "mountPath": "/t", "readOnly": True}]}
    sources = [{"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}}]
    made: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"p-{suffix}", "namespace": "n"},
        "spec": {
            "serviceAccountName": "default",
            "containers": [container],
            "volumes": [{"name": token, "projected": {"sources": sources, "defaultMode": 420}}],
            **spec,
        },
    }
    PodStrategy().default(made)
    return made


def test_pods_of_one_template_are_alike_whatever_their_names() -> None:
    assert digest_of(pod("bcdfg")) == digest_of(pod("xz456"))


@pytest.mark.parametrize(
    "other",
    [
        pod(priority=1),
        pod("bcdfg", nodeSelector={"kube-api-access-bcdfg": ""}),
        {**pod(), "metadata": {"name": "p", "annotations": {"a": "b"}}},
        pod("UPPER"),
    ],
)
def test_others_are_not(other: dict[str, Any]) -> None:
    assert digest_of(other) != digest_of(pod())


def test_a_pod_whose_checks_depend_on_its_name_is_like_no_other() -> None:
    claim = {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"]}}}
    assert digest_of(pod(volumes=[{"name": "data", "ephemeral": claim}])) is None


def test_a_second_volume_of_the_same_name_is_still_noticed() -> None:
    strategy = PodStrategy()
    assert strategy.validate(CTX, pod("bcdfg")) == []
    twice = pod("xz456")
    twice["spec"]["volumes"].append(copy.deepcopy(twice["spec"]["volumes"][0]))
    assert [e.field for e in strategy.validate(CTX, twice)] == ["spec.volumes[1].name"]


def test_what_is_wrong_is_found_every_time_and_what_is_right_only_once() -> None:
    strategy = PodStrategy()
    wrong = pod(restartPolicy="Sometimes")
    first = strategy.validate(CTX, wrong)
    assert first and strategy.validate(CTX, wrong) == first
    assert strategy.validate(CTX, pod()) == []
    assert digest_of(pod()) in strategy._valid and digest_of(wrong) not in strategy._valid
    assert strategy.validate(CTX, pod("xz456")) == []


def test_warnings_are_given_every_time() -> None:
    strategy = PodStrategy()
    env = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    remarkable = pod(containers=[{"name": "c", "image": "web:1", "env": env}])
    first = strategy.warnings_on_create(CTX, remarkable)
    assert first and strategy.warnings_on_create(CTX, remarkable) == first
    assert strategy.warnings_on_create(CTX, pod()) == strategy.warnings_on_create(CTX, pod("xz456")) == []
