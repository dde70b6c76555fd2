"""Driving a real cluster: `kubeling up`, real kubectl, real Docker; and what checks that nothing leaks."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

IMAGE = "kubeling/web:1"
IMAGE2 = "kubeling/web:2"


def run(
    *argv: str, env: dict[str, str] | None = None, check: bool = True, timeout: float = 120, stdin: str = ""
) -> str:
    """A command's standard output; raises AssertionError with both outputs when it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, env=env, timeout=timeout, input=stdin, check=False)
    assert not check or done.returncode == 0, (
        f"{' '.join(argv)}\nstatus {done.returncode}\n{done.stdout}\n{done.stderr}"
    )
    return done.stdout


def eventually(check: Callable[[], Any], seconds: float = 60, every: float = 0.2) -> Any:
    """The first true result of ``check``; AssertionErrors in it count as not yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            result = check()
        except AssertionError as err:
            result, failure = None, err
        else:
            failure = None
        if result:
            return result
        if time.monotonic() > deadline:
            raise failure or AssertionError(f"not within {seconds} s: {check}")
        time.sleep(every)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def kubeling_argv() -> list[str]:
    return [sys.executable, "-m", "kubeling.cli.main"]


@dataclass
class Cluster:
    """A running cluster and the ways to drive it."""

    name: str
    kubeconfig: Path
    port: int
    env: dict[str, str] = field(default_factory=dict)

    def kubectl(self, *args: str, check: bool = True, timeout: float = 120, stdin: str = "") -> str:
        return run("kubectl", *args, env=self.env, check=check, timeout=timeout, stdin=stdin)

    def kubectl_fails(self, *args: str, stdin: str = "") -> str:
        """The error output of a kubectl command that must fail."""
        done = subprocess.run(
            ["kubectl", *args], capture_output=True, text=True, env=self.env, input=stdin, timeout=120, check=False
        )
        assert done.returncode != 0, done.stdout
        return done.stderr

    def get(self, *args: str) -> Any:
        return json.loads(self.kubectl("get", *args, "-o", "json"))

    def components(self) -> dict[str, dict[str, Any]]:
        out = run(*kubeling_argv(), "status", "--name", self.name, "-o", "json", env=self.env, check=False)
        return {c["name"]: c for c in json.loads(out)[self.name]["components"]}

    def kubeling(self, *args: str, check: bool = True) -> str:
        return run(*kubeling_argv(), *args, "--name", self.name, env=self.env, check=check)


def cluster_environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "KUBECONFIG": str(folder / "kubeconfig"), "HOME": str(folder)}


def leftovers(name: str) -> list[str]:
    """What a cluster that is gone left behind: containers, networks, nft tables, mounts, processes, state, iptables rules."""
    found = [f"container {c}" for c in run("docker", "ps", "-aq", "--filter", f"label=kubeling.cluster={name}").split()]
    networks = run("docker", "network", "ls", "--format", "{{.Name}}").split()
    found += [f"network {n}" for n in networks if n == f"kubeling-{name}"]
    found += [
        f"nft {line}" for line in run("nft", "list", "tables").splitlines() if re.search(rf"kubeling-{name}\b", line)
    ]
    found += [f"iptables {line}" for line in run("iptables-save").splitlines() if f"kubeling-{name}" in line]
    found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f"/kubeling/{name}/" in line]
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = command.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"/kubeling/{name}" in text:
            found.append(f"process {text}")
    if Path(f"/var/lib/kubeling/{name}").exists():
        found.append("state folder")
    return found


def start_cluster(name: str, folder: Path, *args: str) -> Cluster:
    port = free_port()
    env = cluster_environment(folder)
    run(*kubeling_argv(), "up", "--name", name, "--port", str(port), "--wait", "90s", *args, env=env, timeout=150)
    return Cluster(name, folder / "kubeconfig", port, env)


def stop_cluster(cluster: Cluster) -> None:
    run(*kubeling_argv(), "down", "--name", cluster.name, env=cluster.env)
    assert leftovers(cluster.name) == []


@dataclass(frozen=True)
class Kubectl:
    """kubectl in one namespace: call it with the arguments that follow ``-n NAMESPACE``."""

    cluster: Cluster
    namespace: str

    def __call__(self, *args: str, check: bool = True, timeout: float = 120, stdin: str = "") -> str:
        return self.cluster.kubectl("-n", self.namespace, *args, check=check, timeout=timeout, stdin=stdin)

    def fails(self, *args: str, stdin: str = "") -> str:
        """The error output of a command that must fail."""
        return self.cluster.kubectl_fails("-n", self.namespace, *args, stdin=stdin)

    def items(self, kind: str, *args: str) -> list[Any]:
        return self.cluster.get(kind, "-n", self.namespace, *args)["items"]

    @contextmanager
    def port_forward(self, target: str, remote: int) -> Iterator[str]:
        """``kubectl port-forward`` while the block runs; gives the local URL."""
        port = free_port()
        process = subprocess.Popen(
            ["kubectl", "-n", self.namespace, "port-forward", target, f"{port}:{remote}"],
            env=self.cluster.env,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            assert "Forwarding from" in process.stdout.readline()
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()
            process.wait()
