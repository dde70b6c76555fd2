"""The ``resize`` subresource of pods."""

from copy import deepcopy
from typing import Any

import pytest

from apiserver.kinds.core.pod import POD
from apiserver.registry.kind import Strategy
from kubeling.api.meta import Object

RESIZE: Strategy = POD.updates["resize"]
ONLY = "spec: Forbidden: only cpu and memory resources are mutable"
QOS = 'spec: Invalid value: "{}": Pod QOS Class may not change as a result of resizing'


def container(name: str = "c", **fields: Any) -> Object:
    resources = {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}
    return {"name": name, "image": "i", "resources": resources, **fields}


def pod(*containers: Object, status: Object | None = None, **spec: Any) -> Object:
    made: Object = {
        "metadata": {"name": "p", "namespace": "n"},
        "spec": {"serviceAccountName": "default", "containers": list(containers), **spec},
        "status": {"qosClass": "Burstable", **(status or {})},
    }
    POD.strategy.default(made)
    return made


def errors(strategies: Any, old: Object, new: Object) -> list[str]:
    new = deepcopy(new)
    RESIZE.prepare_for_update(strategies.context, new, old)
    return [str(e) for e in RESIZE.validate_update(strategies.context, new, old)]


def resources(**fields: Any) -> Object:
    return container(resources=fields)


@pytest.mark.parametrize(
    ("new", "wanted"),
    [
        (resources(requests={"cpu": "1500m"}, limits={"cpu": "3"}), []),
        (resources(requests={"cpu": "1", "memory": "1Gi"}, limits={"cpu": "2"}), []),
        (
            resources(requests={"cpu": "3"}, limits={"cpu": "2"}),
            ['spec.containers[0].resources.requests: Invalid value: "3": must be less than or equal to cpu limit of 2'],
        ),
        (
            resources(requests={"cpu": "1"}),
            ["spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed"],
        ),
        (
            resources(requests={"cpu": "1"}, limits={"cpu": "2", "ephemeral-storage": "1Gi"}),
            [ONLY],
        ),
        (container(resizePolicy=[{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]), []),
        (container(image="other"), []),
        (container("d"), ["spec.containers[0].name: Forbidden: containers may not be renamed or reordered on resize"]),
    ],
)
def test_containers(strategies: Any, new: Object, wanted: list[str]) -> None:
    assert errors(strategies, pod(container()), pod(new)) == wanted


def test_only_resources_are_taken(strategies: Any) -> None:
    old = pod(container(), nodeName="a")
    new = pod(container(image="other", resources={"requests": {"cpu": "1"}, "limits": {"cpu": "4"}}), nodeName="b")
    RESIZE.prepare_for_update(strategies.context, new, old)
    assert new["spec"]["nodeName"] == "a"
    (made,) = new["spec"]["containers"]
    assert made["image"] == "i"
    assert made["resources"]["limits"] == {"cpu": "4"}


def test_containers_neither_come_nor_go(strategies: Any) -> None:
    assert errors(strategies, pod(container()), pod(container(), container("d"))) == [
        "spec.containers: Forbidden: containers may not be added or removed on resize"
    ]


def test_the_class_stays(strategies: Any) -> None:
    old = pod({"name": "c", "image": "i"}, status={"qosClass": "BestEffort"})
    assert errors(strategies, old, pod(container())) == [QOS.format("BestEffort")]


def test_init_containers(strategies: Any) -> None:
    small, large = {"requests": {"cpu": "1"}}, {"requests": {"cpu": "2"}}
    old = pod(container(), initContainers=[container("i", resources=small)])
    new = pod(container(), initContainers=[container("i", resources=large)])
    assert errors(strategies, old, new) == ["spec: Forbidden: resources for non-sidecar init containers are immutable"]
    old = pod(container(), initContainers=[container("i", resources=small, restartPolicy="Always")])
    assert errors(strategies, old, new) == []


def test_resources_of_the_pod(strategies: Any) -> None:
    def sized(cpu: str) -> Object:
        return pod(container(), resources={"requests": {"cpu": cpu}, "limits": {"cpu": "9"}})

    assert errors(strategies, sized("2"), sized("3")) == []
    gone = pod(container(), resources={"limits": {"cpu": "9"}})
    gone["spec"]["resources"].pop("requests")
    assert "spec.resources.requests: Forbidden: resource requests cannot be removed" in errors(
        strategies, sized("2"), gone
    )


def test_what_cannot_be_resized(strategies: Any) -> None:
    static = pod(container())
    static["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    assert "[]: Forbidden: static pods cannot be resized" in errors(strategies, static, pod(container()))
    running = {"containerStatuses": [{"name": "c", "state": {"running": {}}}]}
    assert errors(strategies, pod(container(), status=running), pod(container())) == [
        "spec: Forbidden: Pod running on node without support for resize"
    ]
