"""PodTemplates and ReplicationControllers."""

from typing import Any

from kubeling.api.meta import Object

LABELS = {"app": "x"}
TEMPLATE: Object = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def controller(**spec: Any) -> Object:
    base = {"selector": LABELS, "template": TEMPLATE}
    return {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "r"}, "spec": base | spec}


def test_selectors_and_labels_default_to_those_of_the_template(strategies: Any) -> None:
    given = controller()
    given["spec"].pop("selector")
    _, made = strategies.decoded(given)
    assert made["spec"]["selector"] == LABELS
    assert made["metadata"]["labels"] == LABELS
    assert made["spec"]["replicas"] == 1
    assert strategies.errors(given) == []


def test_controller_rules(strategies: Any) -> None:
    assert strategies.errors(controller(replicas=-1, minReadySeconds=-2)) == [
        "spec.minReadySeconds: Invalid value: -2: must be greater than or equal to 0",
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
    ]
    assert strategies.errors(controller(selector={"app": "y"})) == [
        'spec.template.metadata.labels: Invalid value: {"app":"x"}: `selector` does not match template `labels`'
    ]
    assert strategies.errors(controller(selector={"a": "y"}, template=None)) == ["spec.template: Required value"]


def test_rows(strategies: Any) -> None:
    given = {**controller(replicas=2), "status": {"replicas": 1, "readyReplicas": 1}}
    cells = strategies.cells(given)
    assert [cells[c] for c in ("Desired", "Current", "Ready", "Containers", "Images", "Selector")] == [
        2,
        1,
        1,
        "c",
        "i",
        "app=x",
    ]
    template = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "t"}, "template": TEMPLATE}
    assert strategies.cells(template)["Pod Labels"] == "app=x"
    assert strategies.errors(template) == []
