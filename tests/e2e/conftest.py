"""A real cluster for the end-to-end tests, started once a session; a namespace for each test."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.support import (
    IMAGE,
    RUNNING,
    Cluster,
    Kubectl,
    assert_no_leaks,
    eventually,
    run,
    start_cluster,
    stop_cluster,
)


@pytest.fixture(scope="session", autouse=True)
def prerequisites() -> None:
    """Fails with what to do rather than skipping: in CI a skip would hide that nothing was tested."""
    assert os.geteuid() == 0, "the end-to-end tests need root"
    for program in ("docker", "kubectl", "nft", "etcd"):
        assert shutil.which(program), f"{program} is not installed: make setup"
    assert run("docker", "images", "-q", IMAGE).strip(), "build the images first: scripts/images.sh"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("e2e")
    started = start_cluster(f"e2e-{os.getpid()}", folder)  # beside clusters of other test runs
    yield started
    stop_cluster(started)


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    """After every test: no container, network endpoint, mount or folder has outlived its pod, in any cluster that runs."""
    yield
    for running in RUNNING:
        assert_no_leaks(running)


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for one test; when it is gone no container of its pods is left."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:40].strip("-")
    cluster.kubectl("create", "namespace", name)
    eventually(lambda: cluster.kubectl("-n", name, "get", "serviceaccount", "default", check=False))
    yield name
    cluster.kubectl("delete", "namespace", name, "--timeout=90s")
    label = f"label=io.kubernetes.pod.namespace={name}"
    mine = f"label=kubeling.cluster={cluster.name}"
    eventually(lambda: run("docker", "ps", "-aq", "--filter", label, "--filter", mine) == "", 30)
    pods = Path(f"/var/lib/kubeling/{cluster.name}/kubelet")
    assert not [p for p in pods.glob(f"*/pods/*{name}*")]


@pytest.fixture
def k(cluster: Cluster, namespace: str) -> Kubectl:
    return Kubectl(cluster, namespace)
