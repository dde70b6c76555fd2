"""Driving a real cluster: `kubeling up`, real kubectl, real Docker; and what checks that nothing leaks."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
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
    prefix: tuple[str, ...] = ()  # what runs a command where the cluster lives, when that is a network of its own

    def run(self, *argv: str, check: bool = True, timeout: float = 120, stdin: str = "") -> str:
        """A command beside the cluster, on its network and its Docker engine."""
        return run(*self.prefix, *argv, env=self.env, check=check, timeout=timeout, stdin=stdin)

    def kubectl(self, *args: str, check: bool = True, timeout: float = 120, stdin: str = "") -> str:
        return self.run("kubectl", *args, check=check, timeout=timeout, stdin=stdin)

    def kubectl_fails(self, *args: str, stdin: str = "") -> str:
        """The error output of a kubectl command that must fail."""
        done = subprocess.run(
            [*self.prefix, "kubectl", *args],
            capture_output=True,
            text=True,
            env=self.env,
            input=stdin,
            timeout=120,
            check=False,
        )
        assert done.returncode != 0, done.stdout
        return done.stderr

    def get(self, *args: str) -> Any:
        return json.loads(self.kubectl("get", *args, "-o", "json"))

    def components(self) -> dict[str, dict[str, Any]]:
        out = self.run(*kubeling_argv(), "status", "--name", self.name, "-o", "json", check=False)
        return {c["name"]: c for c in json.loads(out)[self.name]["components"]}

    def kubeling(self, *args: str, check: bool = True) -> str:
        return self.run(*kubeling_argv(), *args, "--name", self.name, check=check)


def cluster_environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "KUBECONFIG": str(folder / "kubeconfig"), "HOME": str(folder)}


@contextmanager
def api_away(cluster: Cluster) -> Iterator[None]:
    """Every connection to the API server breaks, and new ones are refused."""
    rule = ("INPUT", "-p", "tcp", "--dport", str(cluster.port), "-j", "REJECT", "--reject-with", "tcp-reset")
    cluster.run("iptables", "-I", *rule)
    try:
        yield
    finally:
        cluster.run("iptables", "-D", *rule)


def leftovers(name: str, shell: Callable[..., str] = run) -> list[str]:
    """What a cluster that is gone left behind: containers, networks, nft tables, mounts, processes, state, logs,
    iptables rules.

    ``shell`` runs a command on the cluster's network and engine.
    """
    label = f"label=kubeling.cluster={name}"
    found = [f"container {c}" for c in shell("docker", "ps", "-aq", "--filter", label).split()]
    networks = shell("docker", "network", "ls", "--format", "{{.Name}}").split()
    found += [f"network {n}" for n in networks if n == f"kubeling-{name}"]
    found += [
        f"nft {line}" for line in shell("nft", "list", "tables").splitlines() if re.search(rf"kubeling-{name}\b", line)
    ]
    found += [f"iptables {line}" for line in shell("iptables-save").splitlines() if f"kubeling-{name}" in line]
    found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f"/kubeling/{name}/" in line]
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = command.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"/kubeling/{name}" in text:
            found.append(f"process {text}")
    found += [f"control group {path}" for path in Path("/sys/fs/cgroup").glob(f"*/kubeling/{name}")]
    if Path(f"/var/lib/kubeling/{name}").exists():
        found.append("state folder")
    return found + forgotten_logs(shell)


def forgotten_logs(shell: Callable[..., str] = run) -> list[str]:
    """Folders of logs of pods that no kubelet of this machine knows any more, and links into folders that have gone.

    Clusters share the machine's folders of logs: what another one still knows is no leak.
    """
    folders = list(Path("/var/log/pods").glob("*_*_*"))
    links = [p.readlink() for p in Path("/var/log/containers").glob("*.log") if p.is_symlink()]
    known = {p.name for p in Path("/var/lib/kubeling").glob("*/kubelet/*/pods/*")}
    known |= set(shell("docker", "ps", "-a", "--format", '{{.Label "io.kubernetes.pod.uid"}}').split())
    found = [f"logs {p}" for p in folders if p.name.split("_", 2)[2] not in known and p.exists()]
    return found + [f"link to {p}" for p in links if not p.parents[1].exists()]


def leaks(cluster: Cluster) -> list[str]:
    """What a running cluster holds of pods that the API does not know: containers, endpoints, mounts, folders, logs,
    control groups."""
    show = (
        '{{.ID}} {{or (.Label "io.kubernetes.pod.uid") "none"}} {{or (.Label "io.kubernetes.container.name") .Names}}'
    )
    mine = f"label=kubeling.cluster={cluster.name}"
    lines = cluster.run("docker", "ps", "-a", "--no-trunc", "--filter", mine, "--format", show).splitlines()
    network = json.loads(cluster.run("docker", "network", "inspect", f"kubeling-{cluster.name}"))[0]
    root = Path(f"/var/lib/kubeling/{cluster.name}/kubelet")
    folders = list(root.glob("*/pods/*"))
    mounts = re.findall(
        rf" ({re.escape(str(root))}/[^/ ]+/pods/([^/ ]+)\S*) ", Path("/proc/self/mountinfo").read_text()
    )
    groups = list(Path("/sys/fs/cgroup").glob(f"*/kubeling/{cluster.name}/**/pod*"))
    pods = cluster.get("pods", "-A")["items"]  # last: what is older than this answer is in it, or leaked
    uids = {p["metadata"]["uid"] for p in pods}
    uids |= {p["metadata"].get("annotations", {}).get("kubernetes.io/config.mirror", "") for p in pods}
    found = [f"container {line}" for line in lines if line.split()[1] not in uids]
    found += forgotten_logs(cluster.run)
    running = cluster.run("docker", "ps", "-q", "--no-trunc", "--filter", mine).split()
    alive = [line.split()[1] for line in lines if line.endswith(" POD") and line.split()[0] in running]
    found += [f"second sandbox of pod {uid}" for uid in set(alive) if alive.count(uid) > 1]
    known = {line.split()[0] for line in lines}
    found += [f"endpoint {e['Name']}" for c, e in network["Containers"].items() if c not in known or c not in running]
    found += [f"mount {path}" for path, uid in mounts if uid not in uids]
    found += [f"folder {path}" for path in folders if path.name not in uids]
    found += [f"control group {path}" for path in groups if path.name.removeprefix("pod") not in uids]
    return found


def assert_no_leaks(cluster: Cluster, seconds: float = 60) -> None:
    """Waits until nothing is left that no pod wants: what ends just now may take its time."""

    def clean() -> bool:
        found = leaks(cluster)
        assert not found, f"leaked in cluster {cluster.name}: {found}"
        return True

    eventually(clean, seconds, 0.5)


RUNNING: list[Cluster] = []  # clusters that the leak check looks at after every test


def start_cluster(
    name: str, folder: Path, *args: str, prefix: tuple[str, ...] = (), env: Mapping[str, str] | None = None
) -> Cluster:
    cluster = Cluster(
        name, folder / "kubeconfig", free_port(), {**cluster_environment(folder), **(env or {})}, tuple(prefix)
    )
    up = (*kubeling_argv(), "up", "--name", name, "--port", str(cluster.port), "--wait", "90s", *args)
    cluster.run(*up, timeout=150)
    RUNNING.append(cluster)
    return cluster


def stop_cluster(cluster: Cluster) -> None:
    RUNNING.remove(cluster)
    cluster.kubeling("down")
    assert leftovers(cluster.name, cluster.run) == []


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

    def messages(self, name: str) -> list[str]:
        """Of the events so far about the object of that name."""
        return [e["message"] for e in self.items("events", "--field-selector", f"involvedObject.name={name}")]

    def told(self, name: str, text: str) -> str:
        """The message of an event about the object that has ``text`` in it; events are written beside what they explain,
        so it is waited for."""
        return str(eventually(lambda: next((m for m in self.messages(name) if text in m), None)))

    @contextmanager
    def port_forward(self, target: str, remote: int) -> Iterator[str]:
        """``kubectl port-forward`` while the block runs; gives the local URL."""
        port = free_port()
        process = subprocess.Popen(
            [*self.cluster.prefix, "kubectl", "-n", self.namespace, "port-forward", target, f"{port}:{remote}"],
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
