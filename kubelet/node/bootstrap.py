"""The first client certificate: with a bootstrap kubeconfig's token, into a kubeconfig of our own."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import yaml

from kubelet.node.certificates import CertificateDenied, CertificateFile, CertificateManager
from kubeling.api.errors import StatusError
from kubeling.client.clock import Clock
from kubeling.client.errors import ClientError, StartError
from kubeling.client.rest import Client

log = logging.getLogger(__name__)
_RETRY_SECONDS = 2.0


def kubeconfig_of(bootstrap: dict[str, Any], certificate: Path) -> dict[str, Any]:
    """The bootstrap kubeconfig's cluster with the certificate file as the user."""
    chosen = bootstrap.get("current-context", "")
    context: dict[str, Any] = next((c["context"] for c in bootstrap.get("contexts") or () if c["name"] == chosen), {})
    cluster: dict[str, Any] = next(
        (c["cluster"] for c in bootstrap.get("clusters") or () if c["name"] == context.get("cluster")), {}
    )
    user = {"client-certificate": str(certificate), "client-key": str(certificate)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "default-cluster", "cluster": cluster}],
        "users": [{"name": "default-auth", "user": user}],
        "contexts": [{"name": "default-context", "context": {"cluster": "default-cluster", "user": "default-auth"}}],
        "current-context": "default-context",
    }


async def bootstrap_kubeconfig(bootstrap: Path, target: Path, certificates: Path, node_name: str, clock: Clock) -> None:
    """Writes ``target`` unless it is there already. Raises StartError; waits as long as nobody signs."""
    if await asyncio.to_thread(target.exists):
        return
    try:
        content = yaml.safe_load(await asyncio.to_thread(bootstrap.read_text))
    except (OSError, yaml.YAMLError) as err:
        raise StartError(f"cannot read --bootstrap-kubeconfig={bootstrap}: {err}") from err
    file = CertificateFile(certificates, "kubelet-client")
    client = Client.from_kubeconfig(bootstrap, user_agent="kubelet")
    manager = CertificateManager(client, clock, file, node_name=node_name, changed=_nothing)
    try:
        while True:
            try:
                await manager.renew()
                break
            except CertificateDenied as err:
                raise StartError(f"no client certificate: {err}") from err
            except (StatusError, ClientError) as err:
                log.warning("Bootstrapping node %s: %s; trying again", node_name, err)
            await clock.sleep(_RETRY_SECONDS)
    finally:
        await client.aclose()
    text = yaml.safe_dump(kubeconfig_of(content, file.current), sort_keys=False)
    await asyncio.to_thread(_write_private, target, text)


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)


async def _nothing() -> None:
    """The first certificate changes nothing that runs already."""
