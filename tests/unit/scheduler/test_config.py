from __future__ import annotations

from pathlib import Path

import pytest

from kubeling.client.errors import StartError
from scheduler.config import Configuration, build_profiles, load

HEAD = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"


def profiles(tmp_path: Path, text: str):  # type: ignore[no-untyped-def]
    file = tmp_path / "config.yaml"
    file.write_text(HEAD + text)
    return build_profiles(load(file))


def names(point: tuple[object, ...]) -> list[str]:
    return [p.name for p in point]  # type: ignore[attr-defined]


def test_without_a_file_there_is_upstreams_profile() -> None:
    (profile,) = build_profiles(Configuration()).values()
    assert profile.name == "default-scheduler"
    assert names(profile.scorers) == [
        "TaintToleration",
        "NodeAffinity",
        "NodeResourcesFit",
        "PodTopologySpread",
        "InterPodAffinity",
        "DynamicResources",
        "NodeResourcesBalancedAllocation",
        "ImageLocality",
    ]
    assert (profile.weights["TaintToleration"], profile.weights["PodTopologySpread"]) == (3, 2)


def test_plugins_are_turned_on_and_off(tmp_path: Path) -> None:
    found = profiles(
        tmp_path,
        """
percentageOfNodesToScore: 40
profiles:
- schedulerName: plain
  plugins:
    score:
      disabled: [{name: "*"}]
      enabled: [{name: ImageLocality, weight: 7}]
    preFilter: {disabled: [{name: NodePorts}]}
- schedulerName: bare
  percentageOfNodesToScore: 10
  plugins:
    multiPoint:
      disabled: [{name: "*"}]
      enabled: [{name: PrioritySort}, {name: NodeResourcesFit, weight: 5}, {name: DefaultBinder}]
""",
    )
    plain, bare = found["plain"], found["bare"]
    assert names(plain.scorers) == ["ImageLocality"] and plain.weights["ImageLocality"] == 7
    assert "NodePorts" not in names(plain.filters) and "NodeResourcesFit" in names(plain.filters)
    assert (plain.percentage, bare.percentage) == (40, 10)
    assert names(bare.filters) == names(bare.scorers) == ["NodeResourcesFit"] and bare.weights["NodeResourcesFit"] == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("profiles: [{plugins: {score: {enabled: [{name: Nope}]}}}]", "unknown plugin 'Nope'"),
        ("profiles: [{plugins: {nowhere: {}}}]", "unknown extension point 'nowhere'"),
        ("profiles: [{}, {}]", "duplicate schedulerName 'default-scheduler'"),
        ("percentageOfNodesToScore: 101", "percentageOfNodesToScore: Input should be less than or equal to 100"),
        ("nonsense: 1", "nonsense: Extra inputs are not permitted"),
    ],
)
def test_bad_files_say_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(StartError, match=message.replace("(", r"\(")):
        profiles(tmp_path, text)


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("kind: Pod")
    with pytest.raises(StartError, match="must be of kind KubeSchedulerConfiguration"):
        load(file)
