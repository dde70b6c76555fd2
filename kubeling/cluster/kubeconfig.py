"""The user's kubeconfig: a cluster's context goes in when it comes up and out when it goes down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from kubeling.client.errors import KubeconfigError
from kubeling.client.kubeconfig import merge, read, without, write
from kubeling.cluster.errors import ClusterError


def check_kubeconfig(user_file: Path) -> None:
    """Raises ClusterError when a context could not be added to the user's kubeconfig."""
    _read(user_file)


def add_context(user_file: Path, cluster_file: Path) -> None:
    """Merges a cluster's kubeconfig into the user's and makes its context the current one. Raises ClusterError."""
    write(user_file, merge(_read(user_file), read(cluster_file)))


def remove_context(user_file: Path, context: str) -> bool:
    """Takes a cluster's context, user and cluster out; False when they were not there. Raises ClusterError."""
    found = _read(user_file)
    if all(c.get("name") != context for c in found.get("contexts") or ()):
        return False
    write(user_file, without(found, context))
    return True


def with_server(document: dict[str, Any], server: str) -> str:
    """The kubeconfig as YAML with another server address."""
    clusters = [{**c, "cluster": {**c["cluster"], "server": server}} for c in document["clusters"]]
    return yaml.safe_dump({**document, "clusters": clusters}, sort_keys=False)


def _read(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    try:
        return read(file)
    except KubeconfigError as err:
        raise ClusterError(str(err), "mend or move that file, or set KUBECONFIG to another") from err
