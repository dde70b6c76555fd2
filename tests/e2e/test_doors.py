"""Wrong input at every door: a clear error that says what to do, a non-zero status, nothing half done."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kubeling.cluster.pki import Authority, Leaf
from tests.e2e.support import IMAGE, cluster_environment, eventually, free_port, kubeling_argv, leftovers


def kubeling_fails(folder: Path, *args: str, user: str = "", **environment: str) -> str:
    """The error output of a kubeling command that must fail with status 1."""
    argv = [*kubeling_argv(), *args]
    if user:
        argv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *argv]
    env = {**cluster_environment(folder), **environment}
    done = subprocess.run(argv, capture_output=True, text=True, env=env, timeout=120, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "→" in done.stderr, "the error does not say what to do"
    return done.stderr


def test_a_second_up_of_the_same_name(cluster, tmp_path):
    assert "already running" in kubeling_fails(tmp_path, "up", "--name", cluster.name, "--port", str(free_port()))
    assert all(c["running"] for c in cluster.components().values())


def test_a_port_in_use(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"port {port} on 127.0.0.1 is in use" in kubeling_fails(tmp_path, "up", "--name", "busy", "--port", port)
    assert leftovers("busy") == []


def test_no_docker_engine(tmp_path):
    err = kubeling_fails(
        tmp_path, "up", "--name", "nodocker", "--port", str(free_port()), DOCKER_HOST=f"unix://{tmp_path}/none.sock"
    )
    assert "Docker engine" in err
    assert leftovers("nodocker") == []


def test_not_root(tmp_path):
    assert "must be started by root" in kubeling_fails(
        tmp_path, "up", "--name", "user", "--port", "16443", user="nobody"
    )


def test_bad_settings(tmp_path):
    assert "name" in kubeling_fails(tmp_path, "up", "--name", "Not_A_Name")
    assert "only" in kubeling_fails(tmp_path, "up", "--only", "apiservr")


def test_down_of_what_is_not_there_is_no_failure(tmp_path):
    argv = [*kubeling_argv(), "down", "--name", "nothing-there"]
    done = subprocess.run(
        argv, capture_output=True, text=True, env=cluster_environment(tmp_path), timeout=60, check=False
    )
    assert done.returncode == 0
    assert "there is no cluster" in done.stderr


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {name: bad}\nspec: {containers: [{name: c}]}",
            "spec.containers[0].image: Required value",
        ),
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {name: bad}\nspec: {containers: [], bogus: 1}",
            'unknown field "spec.bogus"',
        ),
        (
            "apiVersion: apps/v9\nkind: Deployment\nmetadata: {name: bad}",
            'no matches for kind "Deployment" in version "apps/v9"',
        ),
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {name: Bad_Name}\nspec: {containers: [{name: c, image: i}]}",
            "metadata.name: Invalid value",
        ),
    ],
)
def test_a_bad_manifest(k, manifest, says):
    assert says in k.fails("create", "-f", "-", stdin=manifest)
    assert k.items("pods") == []


def test_an_unknown_image(k):
    k("run", "lost", "--image=kubeling/no-such-image:1", "--image-pull-policy=Never")
    eventually(lambda: "ErrImageNeverPull" in k("get", "pod", "lost"))
    assert "is not present with pull policy of Never" in k("describe", "pod", "lost")


def test_a_command_that_is_not_there(k):
    k("run", "nocmd", f"--image={IMAGE}", "--restart=Never", "--command", "--", "/no/such/program")
    eventually(lambda: "StartError" in k("get", "pod", "nocmd") or "ContainerCannotRun" in k("get", "pod", "nocmd"))


def test_an_expired_certificate(cluster, tmp_path):
    """Two years old and signed by the cluster's own authority: refused as upstream refuses it; `kubeling start` renews ours."""
    for name in ("ca.crt", "ca.key"):
        shutil.copy(f"/var/lib/kubeling/{cluster.name}/pki/{name}", tmp_path / name)
    authority = Authority(tmp_path, datetime.now(UTC) - timedelta(days=730))
    authority.ensure(Leaf("old", "kubernetes-admin", ("system:masters",)))
    err = cluster.kubectl_fails(
        *("--kubeconfig=/dev/null", f"--server=https://127.0.0.1:{cluster.port}"),
        *(f"--certificate-authority={tmp_path}/ca.crt", f"--client-certificate={tmp_path}/old.crt"),
        *(f"--client-key={tmp_path}/old.key", "get", "pods"),
    )
    assert "Unauthorized" in err or "certificate has expired" in err or "expired certificate" in err


def test_etcd_is_gone(cluster, k):
    """While the store does not answer, a write fails with upstream's words and nothing is half done."""
    pid = cluster.components()["etcd"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        assert "etcdserver: request timed out" in k.fails("create", "configmap", "late", "--from-literal=a=1")
        assert "etcd failed" in cluster.kubectl_fails("get", "--raw", "/readyz?verbose")
    finally:
        os.kill(pid, signal.SIGCONT)
    eventually(lambda: cluster.kubectl("get", "--raw", "/readyz", check=False) == "ok", 30)
    k("create", "configmap", "after", "--from-literal=a=1")
