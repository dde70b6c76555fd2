"""The tutorial of custom resources with kubectl: define, create, list, scale, explain, refuse, collect, delete."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.support import Cluster, Kubectl, eventually

DEFINITION = Path(__file__).resolve().parents[2] / "examples/crontab-definition.yaml"
NAME = "crontabs.stable.example.com"


def crontab(name: str, **spec: object) -> str:
    head = {"apiVersion": "stable.example.com/v1", "kind": "CronTab", "metadata": {"name": name}}
    return json.dumps({**head, "spec": {"cronSpec": "* * * * */5", **spec}})


def test_a_kind_of_your_own(cluster: Cluster, k: Kubectl) -> None:
    cluster.kubectl("apply", "-f", str(DEFINITION))
    cluster.kubectl("wait", "--for=condition=established", f"crd/{NAME}", "--timeout=60s")
    assert k("apply", "-f", "-", stdin=crontab("a")) == "crontab.stable.example.com/a created\n"
    header, row = k("get", "ct").splitlines()
    assert header.split() == ["NAME", "SPEC", "REPLICAS", "AGE"]
    assert row.split()[:7] == ["a", "*", "*", "*", "*", "*/5", "1"]
    assert k("scale", "ct/a", "--replicas=3") == "crontab.stable.example.com/a scaled\n"
    assert k("get", "ct", "a", "-o", "jsonpath={.spec.replicas}") == "3"
    assert "The times at which it runs." in k("explain", "ct.spec.cronSpec")
    refused = k.fails("apply", "-f", "-", stdin=crontab("b", replicas=15))
    assert "spec.replicas: Invalid value: 15: spec.replicas in body should be less than or equal to 10" in refused
    assert 'strict decoding error: unknown field "spec.foo"' in k.fails("create", "-f", "-", stdin=crontab("b", foo=1))

    uid = k("get", "ct", "a", "-o", "jsonpath={.metadata.uid}")
    owner = {"apiVersion": "stable.example.com/v1", "kind": "CronTab", "name": "a", "uid": uid}
    child = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "child", "ownerReferences": [owner]}}
    k("apply", "-f", "-", stdin=json.dumps(child))
    k("delete", "ct", "a")
    eventually(lambda: "NotFound" in k.fails("get", "configmap", "child"), 90)

    k("apply", "-f", "-", stdin=crontab("last"))
    cluster.kubectl("delete", "crd", NAME, "--timeout=60s")
    assert "stable.example.com" not in cluster.kubectl("api-resources")
