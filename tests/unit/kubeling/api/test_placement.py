from __future__ import annotations

from typing import Any

import pytest

from kubeling.api.placement import matches_node_selector, node_term, selects_node, tolerates, untolerated

NODE = {"metadata": {"name": "n1", "labels": {"zone": "a", "cores": "8"}}}


def requirement(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": operator, "values": list(values)}


@pytest.mark.parametrize(
    ("wanted", "holds"),
    [
        (requirement("zone", "In", "a", "b"), True),
        (requirement("zone", "NotIn", "a"), False),
        (requirement("rack", "NotIn", "a"), True),
        (requirement("zone", "Exists"), True),
        (requirement("rack", "DoesNotExist"), True),
        (requirement("cores", "Gt", "7"), True),
        (requirement("cores", "Lt", "8"), False),
        (requirement("zone", "Gt", "1"), False),
        (requirement("rack", "Lt", "1"), False),
    ],
)
def test_requirements(wanted: dict[str, Any], holds: bool) -> None:
    assert matches_node_selector({"nodeSelectorTerms": [{"matchExpressions": [wanted]}]}, NODE) is holds


def test_one_term_is_enough_and_an_empty_one_matches_nothing() -> None:
    here = {"matchFields": [requirement("metadata.name", "In", "n1")]}
    elsewhere = {"matchFields": [requirement("metadata.name", "In", "n2")]}
    both = {**here, "matchExpressions": [requirement("zone", "In", "b")]}
    assert matches_node_selector({"nodeSelectorTerms": [elsewhere, here]}, NODE)
    assert not matches_node_selector({"nodeSelectorTerms": [both]}, NODE)
    assert not matches_node_selector({"nodeSelectorTerms": [{}]}, NODE)
    assert not matches_node_selector({}, NODE)
    assert matches_node_selector(None, NODE)
    assert node_term(here).names() == {"n1"} and node_term(both).names() == {"n1"} and node_term({}).names() is None


def test_a_pod_needs_both_its_selector_and_its_required_affinity() -> None:
    terms = {"nodeSelectorTerms": [{"matchExpressions": [requirement("zone", "In", "a")]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    assert selects_node({}, NODE)
    assert selects_node({"nodeSelector": {"cores": "8"}, "affinity": affinity}, NODE)
    assert not selects_node({"nodeSelector": {"cores": "4"}, "affinity": affinity}, NODE)
    assert not selects_node({"nodeSelector": {"zone": "b"}}, NODE)


@pytest.mark.parametrize(
    ("toleration", "holds"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "k", "operator": "Exists", "effect": "NoSchedule"}, True),
        ({"key": "k", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "other", "operator": "Exists"}, False),
        ({"key": "k", "value": "5"}, True),
        ({"key": "k", "operator": "Equal", "value": "6"}, False),
        ({"key": "k"}, False),
        ({"key": "k", "operator": "Gt", "value": "4"}, True),
        ({"key": "k", "operator": "Lt", "value": "4"}, False),
        ({"key": "k", "operator": "Lt", "value": "x"}, False),
    ],
)
def test_tolerations(toleration: dict[str, Any], holds: bool) -> None:
    taint = {"key": "k", "value": "5", "effect": "NoSchedule"}
    assert tolerates(toleration, taint) is holds
    assert untolerated([taint], [toleration], ("NoSchedule",)) == ([] if holds else [taint])
    assert untolerated([taint], [toleration], ("NoExecute",)) == []
