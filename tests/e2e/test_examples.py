"""Every file in examples/ does what its README says."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.support import Kubectl, eventually

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def apply(k: Kubectl, name: str) -> None:
    k("apply", "-f", str(EXAMPLES / name))


def test_web(k):
    apply(k, "web.yaml")
    k("rollout", "status", "deployment/web", "--timeout=60s")
    assert "NodePort" in k("get", "service", "web")
    k("delete", "-f", str(EXAMPLES / "web.yaml"))


def test_configuration(k):
    apply(k, "configuration.yaml")
    k("wait", "--for=condition=Ready", "pod/configured", "--timeout=60s")
    assert k("logs", "configured").splitlines() == ["hello", "colour = blue"]
    assert k(
        "exec", "configured", "--", "sh", "-c", "echo $PASSWORD; stat -L -c %a /etc/credentials/password"
    ).split() == [
        "correct",
        "horse",
        "400",
    ]


def test_job(k):
    apply(k, "job.yaml")
    k("wait", "--for=condition=Complete", "job/count", "--timeout=90s")
    assert "3/3" in k("get", "job", "count")
    assert k("logs", "job/count").split() == ["1", "2", "3"]
    assert "tick" in k("get", "cronjobs")


def test_statefulset(k, namespace):
    apply(k, "statefulset.yaml")
    k("rollout", "status", "statefulset/peer", "--timeout=90s")
    assert [p["metadata"]["name"] for p in k.items("pods")] == ["peer-0", "peer-1"]
    name = f"peer-1.peers.{namespace}.svc.cluster.local"
    eventually(
        lambda: "Hello from peer-1" in k("exec", "peer-0", "--", "wget", "-qO-", f"http://{name}:8080/", check=False),
        60,
    )


def test_daemonset(cluster, k):
    apply(k, "daemonset.yaml")
    k("rollout", "status", "daemonset/agent", "--timeout=60s")
    assert len(k.items("pods")) == len(cluster.get("nodes")["items"])


def test_volumes(k):
    apply(k, "volumes.yaml")
    k("wait", "--for=condition=Ready", "pod/shared", "--timeout=60s")
    assert k("logs", "shared", "-c", "reader").strip() == "prepared"
    eventually(lambda: k("exec", "shared", "-c", "reader", "--", "cat", "/work/log", check=False))
    assert "Read-only" in k.fails("exec", "shared", "-c", "reader", "--", "touch", "/work/x")


def test_rbac(k, namespace):
    apply(k, "rbac.yaml")
    who = f"--as=system:serviceaccount:{namespace}:reader"
    assert k("auth", "can-i", "list", "pods", who).strip() == "yes"
    assert k("auth", "can-i", "delete", "pods", who, check=False).strip() == "no"
    assert "pods" in k.fails("delete", "pod", "none", who)
    token = k("create", "token", "reader").strip()
    assert token.count(".") == 2
