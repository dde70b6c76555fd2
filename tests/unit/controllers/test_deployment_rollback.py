from __future__ import annotations

from typing import Any

import pytest

from controllers.deployment.rollback import ROLLBACK_TO, roll_back


def template(image: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"labels": {"app": "web", **labels}}, "spec": {"containers": [{"name": "c", "image": image}]}}


def deployment(to: str, image: str = "web:3") -> dict[str, Any]:
    annotations = {ROLLBACK_TO: to, "deployment.kubernetes.io/revision": "3", "kubernetes.io/change-cause": "now"}
    return {"metadata": {"name": "web", "annotations": annotations}, "spec": {"template": template(image)}}


def replica_set(revision: int) -> dict[str, Any]:
    annotations = {"deployment.kubernetes.io/revision": str(revision), "kubernetes.io/change-cause": f"then {revision}"}
    return {
        "metadata": {"name": f"web-{revision}", "annotations": annotations},
        "spec": {"template": template(f"web:{revision}", **{"pod-template-hash": "x"})},
    }


SETS = [replica_set(n) for n in (1, 3, 2)]


@pytest.mark.parametrize(("to", "revision"), [("1", 1), ("0", 2)])
def test_template_and_annotations_are_those_of_the_revision(to: str, revision: int) -> None:
    found = roll_back(deployment(to), SETS)
    assert found is not None
    assert (found.event_type, found.reason) == ("Normal", "DeploymentRollback")
    assert found.message == f'Rolled back deployment "web" to revision {revision}'
    assert found.deployment["spec"]["template"] == template(f"web:{revision}")
    assert found.deployment["metadata"]["annotations"] == {
        "deployment.kubernetes.io/revision": "3", "kubernetes.io/change-cause": f"then {revision}",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("to", "sets", "reason", "message"),
    [
        ("9", SETS, "DeploymentRollbackRevisionNotFound", "Unable to find the revision to rollback to."),
        ("0", SETS[:1], "DeploymentRollbackRevisionNotFound", "Unable to find last revision."),
        (
            "3",
            SETS,
            "DeploymentRollbackTemplateUnchanged",
            'The rollback revision contains the same template as current deployment "web"',
        ),
    ],
)
def test_what_cannot_be_is_told_and_forgotten(to: str, sets: list[Any], reason: str, message: str) -> None:
    found = roll_back(deployment(to), sets)
    assert found is not None
    assert (found.event_type, found.reason, found.message) == ("Warning", reason, message)
    assert ROLLBACK_TO not in found.deployment["metadata"]["annotations"]
    assert found.deployment["spec"] == deployment(to)["spec"]


def test_without_a_wish_nothing_happens() -> None:
    assert roll_back({"metadata": {"name": "web"}, "spec": {"template": template("web:3")}}, SETS) is None
