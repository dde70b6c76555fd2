"""Jobs through their strategies."""

from typing import Any

import pytest

from apiserver.kinds.batch.indexes import overlap, parse_indexes
from kubeling.api.meta import Object

UID = "6a4f0d1e-0000-4000-8000-000000000001"
GENERATED = {
    "batch.kubernetes.io/controller-uid": UID,
    "controller-uid": UID,
    "batch.kubernetes.io/job-name": "j",
    "job-name": "j",
}


def job(*, pod: Object | None = None, status: Object | None = None, **spec: Any) -> Object:
    containers = [{"name": "c", "image": "i"}]
    template = {"spec": {"restartPolicy": "Never", "containers": containers, **(pod or {})}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j", "namespace": "n", "uid": UID},
        "spec": {"template": template, **spec},
        **({"status": status} if status else {}),
    }


def test_defaults(strategies: Any) -> None:
    _, made = strategies.decoded(job())
    spec = {field: value for field, value in made["spec"].items() if field != "template"}
    assert spec == {
        "completions": 1,
        "parallelism": 1,
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "suspend": False,
        "manualSelector": False,
        "podReplacementPolicy": "TerminatingOrFailed",
    }


def test_parallelism_alone_leaves_completions_open(strategies: Any) -> None:
    _, made = strategies.decoded(job(parallelism=3, backoffLimitPerIndex=1))
    assert "completions" not in made["spec"]
    assert made["spec"]["backoffLimit"] == 2147483647


def test_selectors_and_labels_are_generated(strategies: Any) -> None:
    made = strategies.created(job())
    assert made["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": UID}}
    assert made["spec"]["template"]["metadata"]["labels"] == GENERATED
    assert strategies.errors(job()) == []


def test_manual_selectors_stay(strategies: Any) -> None:
    manual = job(manualSelector=True, selector={"matchLabels": {"a": "b"}})
    manual["spec"]["template"]["metadata"] = {"labels": {"a": "b"}}
    made = strategies.created(manual)
    assert made["spec"]["selector"] == {"matchLabels": {"a": "b"}}
    assert made["spec"]["template"]["metadata"]["labels"] == {"a": "b"}
    assert strategies.errors(manual) == []


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (
            job(pod={"restartPolicy": "Always"}),
            ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
        ),
        (
            job(completions=2, parallelism=-1),
            ["spec.parallelism: Invalid value: -1: must be greater than or equal to 0"],
        ),
        (
            job(completionMode="Indexed", parallelism=1),
            ["spec.completions: Required value: when completion mode is Indexed"],
        ),
        (
            job(backoffLimitPerIndex=1),
            ["spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"],
        ),
    ],
)
def test_rules(strategies: Any, given: Object, wanted: list[str]) -> None:
    assert strategies.errors(given) == wanted


def test_updates(strategies: Any) -> None:
    old = strategies.created(job())
    assert strategies.update_errors(old, {**old, "spec": {**old["spec"], "parallelism": 4, "suspend": True}}) == []
    changed = {**old, "spec": {**old["spec"], "completions": 4}}
    assert strategies.update_errors(old, changed) == ["spec.completions: Invalid value: 4: field is immutable"]


def test_suspended_jobs_may_move(strategies: Any) -> None:
    old = strategies.created(job(suspend=True))
    template = old["spec"]["template"]
    moved = {**template, "spec": {**template["spec"], "nodeSelector": {"a": "b"}}}
    new = {**old, "spec": {**old["spec"], "template": moved}}
    assert strategies.update_errors(old, new) == []
    running = {**old, "spec": {**old["spec"], "suspend": False}}
    (error,) = strategies.update_errors(running, {**running, "spec": {**running["spec"], "template": moved}})
    assert error.startswith("spec.template: Invalid value: ") and error.endswith("field is immutable")


def with_pod(old: Object, **changes: Any) -> Object:
    template = old["spec"]["template"]
    return {
        **old,
        "spec": {**old["spec"], "template": {**template, "spec": {**template["spec"], **changes}}},
    }


def resized(old: Object, **changes: Any) -> Object:
    (container,) = old["spec"]["template"]["spec"]["containers"]
    asked = {"requests": {"cpu": "2"}, "limits": {"cpu": "4"}}
    return with_pod(old, containers=[{**container, "resources": asked, **changes}], nodeSelector={"a": "b"})


@pytest.mark.parametrize(
    ("status", "idle"),
    [
        ({}, True),
        ({"startTime": "2026-05-06T07:00:00Z", "conditions": [{"type": "Suspended", "status": "True"}]}, True),
        ({"startTime": "2026-05-06T07:00:00Z"}, False),
        (
            {
                "startTime": "2026-05-06T07:00:00Z",
                "active": 1,
                "conditions": [{"type": "Suspended", "status": "True"}],
            },
            False,
        ),
    ],
)
def test_suspended_jobs_without_pods_may_ask_for_other_resources(strategies: Any, status: Object, idle: bool) -> None:
    old = {**strategies.created(job(suspend=True)), "status": status}
    found = strategies.update_errors(old, resized(old))
    if idle:
        assert found == []
    else:
        assert [e.split(":")[0] for e in found] == ["spec.template"]


def test_nothing_but_directives_and_resources_changes_in_a_suspended_job(strategies: Any) -> None:
    old = strategies.created(job(suspend=True))
    (error,) = strategies.update_errors(old, resized(old, image="another"))
    assert error.startswith('spec.template.spec: Invalid value: {"Volumes":') and error.endswith("field is immutable")
    (error,) = strategies.update_errors(old, resized(old, name="renamed"))
    assert error.startswith("spec.template.spec: ")
    running = {**old, "spec": {**old["spec"], "suspend": False}}
    (error,) = strategies.update_errors(running, resized(running))
    assert error.startswith("spec.template: ")


def test_deleting_without_a_policy_warns(strategies: Any) -> None:
    strategy = strategies.kind("Job", "batch").strategy
    assert strategy.default_orphan(job())
    assert len(strategy.warnings_on_delete(job(), {})) == 1
    assert strategy.warnings_on_delete(job(), {"propagationPolicy": "Orphan"}) == []


def condition(kind: str) -> Object:
    return {"type": kind, "status": "True"}


COMPLETE = [condition("SuccessCriteriaMet"), condition("Complete")]
FAILED = [condition("FailureTarget"), condition("Failed")]
START = "2026-05-06T07:00:00Z"
END = "2026-05-06T07:02:05Z"


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        ({"startTime": START, "completionTime": END, "conditions": COMPLETE}, []),
        ({"startTime": START, "conditions": FAILED}, []),
        (
            {"startTime": START, "conditions": COMPLETE},
            ["status.completionTime: Required value: completionTime is required for Complete jobs"],
        ),
        (
            {"startTime": END, "completionTime": START, "conditions": COMPLETE},
            [f'status.completionTime: Invalid value: "{START}": completionTime cannot be set before startTime'],
        ),
        (
            {"startTime": START, "conditions": FAILED, "active": 1},
            ["status.active: Invalid value: 1: active>0 is invalid for finished job"],
        ),
        (
            {"startTime": START, "ready": 2, "active": 1},
            ["status.ready: Invalid value: 2: cannot set more ready pods than active"],
        ),
        (
            {"uncountedTerminatedPods": {"succeeded": ["a"], "failed": ["a", ""]}},
            [
                'status.uncountedTerminatedPods.failed[0]: Duplicate value: "a"',
                'status.uncountedTerminatedPods.failed[1]: Invalid value: "": must not be empty',
            ],
        ),
        (
            {"completedIndexes": "0"},
            [
                'status.completedIndexes: Invalid value: "0": '
                "cannot set non-empty completedIndexes when non-indexed completion mode"
            ],
        ),
    ],
)
def test_status_rules(strategies: Any, status: Object, wanted: list[str]) -> None:
    kind, old = strategies.decoded(job())
    found = kind.status.validate_update(strategies.context, {**old, "status": status}, old)
    assert [str(e) for e in found] == wanted


def test_finished_jobs_stay_finished(strategies: Any) -> None:
    kind, old = strategies.decoded(job(status={"startTime": START, "conditions": FAILED, "failed": 2}))
    found = kind.status.validate_update(strategies.context, {**old, "status": {"startTime": START, "failed": 1}}, old)
    texts = [str(e) for e in found]
    assert "status.failed: Invalid value: 1: cannot decrease the failed counter" in texts
    assert sum("cannot disable the terminal" in text for text in texts) == 2


def test_indexes() -> None:
    assert parse_indexes("", 9) == []
    assert parse_indexes("1,3-5,7", 9) == [(1, 1), (3, 5), (7, 7)]
    assert overlap([(1, 1), (3, 5)], [(5, 6)]) == 5
    assert overlap([(1, 1)], [(2, 3)]) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("9", 'too large index: "9"'),
        ("1-2-3", "can have at most two parts separated by '-'"),
        ("4,3", "non-increasing order, previous: 4, current: 3"),
        ("a", 'cannot convert string to integer for index: "a"'),
    ],
)
def test_bad_indexes(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_indexes(text, 9)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (job(), ["Running", "0/1", ""]),
        (job(completions=3, status={"succeeded": 2, "startTime": START}), ["Running", "2/3", "8m9s"]),
        (job(parallelism=2), ["Running", "0/1 of 2", ""]),
        (
            job(status={"startTime": START, "completionTime": END, "conditions": COMPLETE, "succeeded": 1}),
            ["Complete", "1/1", "2m5s"],
        ),
        (job(status={"startTime": START, "conditions": FAILED[:1]}), ["FailureTarget", "0/1", "8m9s"]),
        (job(status={"conditions": [condition("Suspended")]}), ["Suspended", "0/1", ""]),
    ],
)
def test_rows(strategies: Any, given: Object, wanted: list[str]) -> None:
    cells = strategies.cells(given)
    assert [cells["Status"], cells["Completions"], cells["Duration"]] == wanted
