"""The first client certificate: with a bootstrap kubeconfig's token, into a kubeconfig of our own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from kubelet.node.certificates import CertificateDenied, CertificateFile, CertificateManager
from kubeling.api.certificates import PrivateKey, key_pem, new_key
from kubeling.api.errors import StatusError
from kubeling.client import kubeconfig
from kubeling.client.clock import Clock
from kubeling.client.errors import ClientError, KubeconfigError, StartError
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


def still_valid(target: Path, now: datetime) -> bool:
    """Whether the kubeconfig is there and its client certificate (if it has one) has not expired."""
    if not target.exists():
        return False
    try:
        pem = kubeconfig.load(target).client_cert_pem
        return not pem or x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc > now
    except (KubeconfigError, ValueError) as err:
        log.warning("%s cannot be used, bootstrapping anew: %s", target, err)
        return False


async def bootstrap_kubeconfig(bootstrap: Path, target: Path, certificates: Path, node_name: str, clock: Clock) -> None:
    """Writes ``target`` unless it is good already. Raises StartError; waits as long as nobody signs."""
    if await asyncio.to_thread(still_valid, target, clock.now()):
        return
    try:
        content = yaml.safe_load(await asyncio.to_thread(bootstrap.read_text))
    except (OSError, yaml.YAMLError) as err:
        raise StartError(f"cannot read --bootstrap-kubeconfig={bootstrap}: {err}") from err
    file = CertificateFile(certificates, "kubelet-client")
    client = Client.from_kubeconfig(bootstrap, user_agent="kubelet")
    manager = CertificateManager(client, clock, file, node_name=node_name, changed=_nothing)
    kept = (
        certificates / "kubelet-client.key.tmp"
    )  # until it is signed, so that a kubelet that starts again asks the same
    try:
        key = await asyncio.to_thread(_kept_key, kept)
        while True:
            try:
                await manager.renew(key)
                break
            except CertificateDenied as err:
                await asyncio.to_thread(kept.unlink)
                raise StartError(f"no client certificate: {err}") from err
            except (StatusError, ClientError) as err:
                log.warning("Bootstrapping node %s: %s; trying again", node_name, err)
            await clock.sleep(_RETRY_SECONDS)
    finally:
        await client.aclose()
    text = yaml.safe_dump(kubeconfig_of(content, file.current), sort_keys=False)
    await asyncio.to_thread(_write_private, target, text.encode())
    await asyncio.to_thread(kept.unlink)


def _kept_key(path: Path) -> PrivateKey:
    """The key of a request that was made before, or a new one, kept in the file."""
    with contextlib.suppress(OSError, ValueError):
        found = load_pem_private_key(path.read_bytes(), None)
        if isinstance(found, ec.EllipticCurvePrivateKey):
            return found
    key = new_key()
    _write_private(path, key_pem(key))
    return key


def _write_private(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(content)


async def _nothing() -> None:
    """The first certificate changes nothing that runs already."""
