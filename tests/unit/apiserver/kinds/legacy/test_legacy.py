"""Old versions: conversions there and back, defaults, schemas."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.kinds import KINDS
from apiserver.kinds.legacy import OLD, with_legacy
from apiserver.registry.kind import Conversion
from kubeling.api.meta import Object
from kubeling.api.schema import schemas_for

SERVED = {(c.resource.api_version, c.resource.kind): c for kind in with_legacy(KINDS) for c in kind.versions}
TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def old(api_version: str, kind: str) -> Conversion:
    return SERVED[api_version, kind]


def defaulted(api_version: str, kind: str, spec: Object) -> Any:
    obj: Object = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}, "spec": spec}
    old(api_version, kind).strategy.default(obj)
    return obj["spec"]


def test_every_old_version_is_served_and_has_a_schema() -> None:
    schemas, plain = schemas_for(legacy=True), schemas_for()
    added = sum(len(versions) for versions in OLD.values())
    assert added == len(SERVED) - sum(len(kind.versions) for kind in KINDS)
    for (_, kind), versions in OLD.items():
        for version in versions:
            assert schemas.has(version.group, version.version, kind)
            assert not plain.has(version.group, version.version, kind)


@pytest.mark.parametrize(
    ("api_version", "kind", "spec", "stored"),
    [
        (
            "networking.k8s.io/v1beta1",
            "Ingress",
            {"backend": {"serviceName": "s", "servicePort": "http"}, "rules": [{"host": "a"}]},
            {"defaultBackend": {"service": {"name": "s", "port": {"name": "http"}}}, "rules": [{"host": "a"}]},
        ),
        (
            "extensions/v1beta1",
            "Ingress",
            {"rules": [{"http": {"paths": [{"path": "/", "backend": {"serviceName": "s", "servicePort": 80}}]}}]},
            {
                "rules": [
                    {"http": {"paths": [{"path": "/", "backend": {"service": {"name": "s", "port": {"number": 80}}}}]}}
                ]
            },
        ),
        (
            "policy/v1beta1",
            "PodDisruptionBudget",
            {"selector": {}},
            {
                "selector": {
                    "matchExpressions": [
                        {"key": "pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match", "operator": "Exists"}
                    ]
                }
            },
        ),
        ("apps/v1beta1", "StatefulSet", {"serviceName": "s"}, {"serviceName": "s"}),
        ("batch/v1beta1", "CronJob", {"schedule": "* * * * *"}, {"schedule": "* * * * *"}),
    ],
)
def test_there_and_back(api_version: str, kind: str, spec: Object, stored: Object) -> None:
    conversion, obj = old(api_version, kind), {"apiVersion": api_version, "kind": kind, "spec": spec}
    made = conversion.to_storage(obj)
    assert made["spec"] == stored
    assert made["apiVersion"] in conversion.deprecation
    assert conversion.from_storage(made) == obj


def test_a_budget_of_all_pods_stays_one() -> None:
    conversion = old("policy/v1beta1", "PodDisruptionBudget")
    obj = {"apiVersion": "policy/v1", "spec": {"selector": {}}}
    shown = conversion.from_storage(obj)
    assert shown["spec"]["selector"] != {}
    assert conversion.to_storage(shown) == obj


@pytest.mark.parametrize(
    ("api_version", "history", "deadline", "step"),
    [
        ("extensions/v1beta1", 2147483647, 2147483647, 1),
        ("apps/v1beta1", 2, 600, "25%"),
        ("apps/v1beta2", 10, 600, "25%"),
    ],
)
def test_defaults_of_deployments(api_version: str, history: int, deadline: int, step: int | str) -> None:
    spec = defaulted(api_version, "Deployment", {"template": TEMPLATE})
    assert (spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (history, deadline)
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": step, "maxSurge": step}
    assert spec["selector"] == (None if api_version == "apps/v1beta2" else {"matchLabels": {"app": "a"}})


@pytest.mark.parametrize(
    ("api_version", "kind", "strategy"),
    [
        ("extensions/v1beta1", "DaemonSet", "OnDelete"),
        ("apps/v1beta2", "DaemonSet", "RollingUpdate"),
        ("apps/v1beta1", "StatefulSet", "OnDelete"),
        ("apps/v1beta2", "StatefulSet", "RollingUpdate"),
    ],
)
def test_default_update_strategies(api_version: str, kind: str, strategy: str) -> None:
    assert defaulted(api_version, kind, {"template": TEMPLATE})["updateStrategy"]["type"] == strategy
