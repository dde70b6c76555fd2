"""What the controller manager tells about itself: health, metrics, names of controllers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx

from kubeling.client.rest import Client
from tests.integration.controllers.conftest import Manager, eventually


async def test_health_of_each_controller_and_metrics_of_each_queue(manager: Manager, client: Client) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{manager.health_port}", trust_env=False) as http:

        async def started() -> str:
            """the leader's controllers are listed"""
            try:
                text = (await http.get("/healthz?verbose")).text
            except httpx.HTTPError:
                return ""
            return text if "garbage-collector-controller" in text else ""

        text = str(await eventually(started, 60))
        assert "[+]deployment-controller ok" in text and "service-lb-controller" not in text
        assert (await http.get("/healthz/deployment-controller")).text == "ok"
        assert (await http.get("/healthz/nonsense")).status_code == 404
        metrics = (await http.get("/metrics")).text
    for queue in (
        "deployment",
        "replicaset",
        "replicationmanager",
        "resourcequota_primary",
        "ipaddresses",
        "vacprotection",
    ):
        assert f'workqueue_depth{{name="{queue}"}}' in metrics
        assert f'workqueue_adds_total{{name="{queue}"}}' in metrics


def test_an_unknown_controller_ends_the_process(kubeconfig: Path) -> None:
    command = [sys.executable, "-m", "controllers", f"--kubeconfig={kubeconfig}", "--controllers=*,-nonsense"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert '"nonsense" is not in the list of known controllers' in ended.stderr


def test_help_lists_the_controllers() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "controllers", "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    told = "".join(ended.stdout.split())  # lines break anywhere
    assert "Allcontrollers:bootstrap-signer-controller,certificatesigningrequest-approving-controller" in told
    assert "Disabled-by-defaultcontrollers:bootstrap-signer-controller,selinux-warning-controller" in told
