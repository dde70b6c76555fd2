"""The certificates and kubeconfigs of a cluster on disk."""

from __future__ import annotations

from kubeling.client.kubeconfig import build, write
from kubeling.cluster.components import (
    CONTROL_PLANE,
    FRONT_PROXY,
    FRONT_PROXY_CA,
    Layout,
    client_identities,
    server_certificates,
)
from kubeling.cluster.pki import Authority, ensure_service_account_key


def write_credentials(layout: Layout) -> None:
    """Issues what certificates are missing or soon expire, and writes a kubeconfig for each client."""
    pki = layout.paths.pki
    authority = Authority(pki)
    ensure_service_account_key(pki)
    Authority(pki, file=FRONT_PROXY_CA, common_name=FRONT_PROXY_CA).ensure(FRONT_PROXY)
    for leaf in server_certificates(layout):
        authority.ensure(leaf)
    for user, leaf in client_identities(layout.config).items():
        authority.ensure(leaf)
        document = build(
            layout.config.context,
            layout.control_plane_server if user in CONTROL_PLANE else layout.server,
            ca_pem=(pki / "ca.crt").read_text(),
            client_cert_pem=authority.crt(leaf.file).read_text(),
            client_key_pem=authority.key(leaf.file).read_text(),
        )
        write(layout.paths.kubeconfig(user), document)
