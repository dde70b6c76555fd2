"""What a component does not load before it is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

COMPONENTS = ("clusterdns", "controllers", "kubelet", "kubeproxy", "scheduler")


def loaded(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_starts_without_what_it_may_never_use(component: str) -> None:
    """Terminals' colours and httpx's command line are never for components, gRPC is for nodes whose pods want it."""
    assert loaded(f"{component}.__main__") & {"rich", "pygments", "grpc"} == set()


def test_the_api_server_needs_grpc_for_etcd_alone() -> None:
    assert loaded("apiserver.command") & {"rich", "pygments", "grpc"} == {"grpc"}
