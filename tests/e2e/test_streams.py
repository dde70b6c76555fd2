"""Logs, exec, cp and debug containers as users reach them: with kubectl, over both of its protocols."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.support import IMAGE, Kubectl, eventually

LINE = "0123456789" * 10


@pytest.fixture
def pod(k: Kubectl) -> str:
    soon = '--overrides={"spec":{"terminationGracePeriodSeconds":0}}'
    k("run", "p", f"--image={IMAGE}", soon, "--command", "--", "sleep", "100000")
    k("wait", "--for=condition=Ready", "pod/p", "--timeout=60s")
    return "p"


def test_a_followed_log_loses_nothing_to_rotation(k: Kubectl) -> None:
    """More than rotation keeps, written as fast as the engine takes it."""
    size = 60_000_000
    script = f"sleep 2; yes {LINE} | head -c {size}; echo; echo last; sleep 1"
    k("run", "burst", f"--image={IMAGE}", "--restart=Never", "--command", "--", "sh", "-c", script)
    k("wait", "--for=condition=Ready", "pod/burst", "--timeout=60s")
    argv = ["kubectl", "-n", k.namespace, "logs", "-f", "burst"]
    process = subprocess.Popen(argv, env=k.cluster.env, stdout=subprocess.PIPE)
    assert process.stdout is not None
    arrived, end = 0, b""
    while piece := process.stdout.read(1 << 20):
        arrived, end = arrived + len(piece), (end + piece)[-10:]
    assert process.wait() == 0
    assert (arrived, end[-6:]) == (size + len("\nlast\n"), b"\nlast\n")
    assert k("logs", "burst", "--tail=1") == "last\n"


def exec_and_cp(k: Kubectl, pod: str, tmp_path: Path, websockets: str) -> None:
    env = {**k.cluster.env, "KUBECTL_REMOTE_COMMAND_WEBSOCKETS": websockets}
    base = ["kubectl", "-n", k.namespace]

    def run(*args: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([*base, *args], env=env, input=data, capture_output=True, timeout=120, check=False)

    data = os.urandom(3_000_000)
    echoed = run("exec", "-i", pod, "--", "sh", "-c", "cat; echo said >&2; exit 42", data=data)
    assert (echoed.returncode, echoed.stdout) == (42, data)
    assert echoed.stderr == b"said\ncommand terminated with exit code 42\n"
    (tmp_path / "file").write_bytes(data)
    assert run("cp", str(tmp_path / "file"), f"{pod}:/tmp/file").returncode == 0
    assert run("cp", f"{pod}:/tmp/file", str(tmp_path / "back")).returncode == 0
    assert (tmp_path / "back").read_bytes() == data


def test_exec_cp_and_debug(k: Kubectl, pod: str, tmp_path: Path) -> None:
    for websockets in ("true", "false"):
        exec_and_cp(k, pod, tmp_path, websockets)
    # a debug container sees the processes of its target
    k("debug", pod, f"--image={IMAGE}", "--target=p", "--profile=general", "-c", "look", "--", "ps")
    assert "sleep 100000" in eventually(lambda: k("logs", pod, "-c", "look", check=False))
