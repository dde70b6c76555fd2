"""The same cluster from docker-compose.yml, with every compose command that scripts/compose.sh could get."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.support import IMAGE, Cluster, cluster_environment, eventually, forgotten_logs, free_port, run

ROOT = Path(__file__).resolve().parents[2]

COMPOSES = (  # the plugin of this machine or the one that scripts/compose.sh fetched; docker-compose 1.29
    ("v2", ("docker", "compose")),
    ("v2", ("docker", "--config", str(ROOT / "build/compose"), "compose")),
    ("1.29", ("docker-compose",)),
)


def works(command: tuple[str, ...]) -> bool:
    found = shutil.which(command[0])
    return found is not None and subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0


COMMANDS = dict((name, command) for name, command in reversed(COMPOSES) if works(command))


@pytest.fixture(scope="session", autouse=True)
def some_compose() -> None:
    assert COMMANDS, "no compose: scripts/compose.sh"


@pytest.fixture(scope="module", params=COMMANDS.values(), ids=COMMANDS.keys())
def composed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    run("scripts/images.sh", "cluster", timeout=600)
    folder = tmp_path_factory.mktemp("compose")
    shutil.copy(ROOT / "docker-compose.yml", folder)
    port = free_port()
    state = folder / "state"
    env = {**cluster_environment(folder), "KUBELING_PORT": str(port), "KUBELING_STATE": str(state)}
    env["COMPOSE_PROJECT_NAME"] = "kubelingtest"
    # the plugin lives below the home folder, which the environment of a test cluster replaces
    env["DOCKER_CONFIG"] = os.environ.get("DOCKER_CONFIG", str(Path.home() / ".docker"))
    compose = [*request.param, "-f", str(folder / "docker-compose.yml")]
    cluster = Cluster("compose", folder / "kubeconfig", port, {**env, "KUBECONFIG": str(folder / "kubeconfig")})
    try:
        run(*compose, "up", "-d", "--no-build", env=env, timeout=300)
        yield cluster
    finally:
        logs = subprocess.run([*compose, "logs", "--tail=15"], env=env, capture_output=True, text=True, check=False)
        print(logs.stdout[-6000:])
        subprocess.run([*compose, "down", "-v", "-t", "60"], env=env, timeout=300, check=True, capture_output=True)
        subprocess.run(["umount", "-l", str(state)], check=False, capture_output=True)  # shared by the init service
        shutil.rmtree(state, ignore_errors=True)
    assert run("docker", "ps", "-aq", "--filter", "label=kubeling.cluster=compose") == ""
    assert "kubeling-compose" not in run("docker", "network", "ls", "--format", "{{.Name}}").split()
    assert forgotten_logs() == []
    assert "kubeling-compose" not in run("nft", "list", "tables")
    assert not [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f"{state}/" in line]


def test_the_composed_cluster_serves_a_page_to_a_pod(composed: Cluster) -> None:
    eventually(lambda: " Ready" in composed.kubectl("get", "nodes", check=False), 120)
    assert composed.kubeconfig.stat().st_mode & 0o777 == 0o600
    eventually(lambda: composed.kubectl("get", "serviceaccount", "default", check=False), 60)
    composed.kubectl("create", "deployment", "web", f"--image={IMAGE}", "--replicas=2")
    composed.kubectl("rollout", "status", "deployment/web", "--timeout=90s")
    composed.kubectl("expose", "deployment", "web", "--port=80", "--target-port=8080", "--type=NodePort")
    out = composed.kubectl(
        *("run", "tmp", "--rm", "-i", f"--image={IMAGE}", "--restart=Never", "--"),
        *("wget", "-qO-", "http://web.default.svc.cluster.local/"),
    )
    assert "Hello from web-" in out
    assert "listens on port" in composed.kubectl("logs", "deploy/web")
    assert all(
        "listens on port" in log.read_text() for log in Path("/var/log/containers").glob("web-*_default_web-*.log")
    )
    assert len(list(Path("/var/log/containers").glob("web-*_default_web-*.log"))) == 2
    node_port = composed.kubectl("get", "service", "web", "-o", "jsonpath={.spec.ports[0].nodePort}")
    assert "Hello" in run("curl", "-s", "--max-time", "5", f"http://127.0.0.1:{node_port}/")
