"""kubeconfig files: reading a context's server and credentials, building and merging files.

Source: the kubeconfig reference (client-go's clientcmd api v1). Relative paths count from the file's folder.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kubeling.client.errors import KubeconfigError

SERVICE_ACCOUNT_DIR = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where the server is and who we are. PEM texts, never paths, but ``token_file`` (read again as it rotates)."""

    server: str
    ca_pem: str = ""
    client_cert_pem: str = ""
    client_key_pem: str = ""
    token: str = ""
    token_file: str = ""
    insecure: bool = False
    tls_server_name: str = ""
    username: str = ""
    password: str = ""
    namespace: str = "default"
    impersonate: str = ""

    def __repr__(self) -> str:  # secrets stay out of logs
        return f"Credentials(server={self.server!r})"


def default_path(environ: Mapping[str, str] = os.environ) -> Path:
    """``$KUBECONFIG`` (its first file), else ``~/.kube/config``."""
    first = next((p for p in environ.get("KUBECONFIG", "").split(os.pathsep) if p), "")
    return Path(first) if first else Path.home() / ".kube" / "config"


def load(path: str | Path, context: str = "") -> Credentials:
    """The credentials of a context (the current one when empty). Raises KubeconfigError."""
    file = Path(path)
    config = read(file)
    try:
        return resolve(config, context, file.parent)
    except KubeconfigError as err:
        raise KubeconfigError(f"{file}: {err}") from err


def read(path: str | Path) -> dict[str, Any]:
    """The file as a dict. Raises KubeconfigError when it cannot be read or is no YAML mapping."""
    try:
        content = yaml.load(Path(path).read_text(), yaml.CSafeLoader) or {}
    except OSError as err:
        raise KubeconfigError(f"cannot read kubeconfig {path}: {err.strerror}") from err
    except yaml.YAMLError as err:
        raise KubeconfigError(f"kubeconfig {path} is no valid YAML: {err}") from err
    if not isinstance(content, dict):
        raise KubeconfigError(f"kubeconfig {path} holds no mapping")
    return content


def resolve(config: Mapping[str, Any], context: str = "", folder: Path = Path()) -> Credentials:
    """The credentials of a context of a parsed kubeconfig; reads the files that it names."""
    name = context or config.get("current-context") or ""
    if not name:
        raise KubeconfigError("no context given and no current-context set")
    chosen = _entry(config, "contexts", "context", name)
    cluster = _entry(config, "clusters", "cluster", chosen.get("cluster") or "")
    user = _entry(config, "users", "user", chosen["user"]) if chosen.get("user") else {}
    if not cluster.get("server"):
        raise KubeconfigError(f"cluster {chosen.get('cluster')!r} has no server")
    for unsupported in ("exec", "auth-provider"):
        if user.get(unsupported):
            raise KubeconfigError(f"user {chosen['user']!r} uses {unsupported!r}; use a certificate or a token instead")
    token_file = str(folder / user["tokenFile"]) if user.get("tokenFile") else ""
    return Credentials(
        server=str(cluster["server"]).rstrip("/"),
        ca_pem=_pem(cluster, "certificate-authority", folder),
        client_cert_pem=_pem(user, "client-certificate", folder),
        client_key_pem=_pem(user, "client-key", folder),
        token=user.get("token") or "",
        token_file=token_file,
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
        tls_server_name=cluster.get("tls-server-name") or "",
        username=user.get("username") or "",
        password=user.get("password") or "",
        namespace=chosen.get("namespace") or "default",
        impersonate=user.get("as") or "",
    )


def in_cluster(environ: Mapping[str, str] = os.environ, folder: Path = SERVICE_ACCOUNT_DIR) -> Credentials:
    """The credentials that a pod's service account mount gives. Raises KubeconfigError outside a pod."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "")
    token = folder / "token"
    if not host or not port or not token.exists():
        raise KubeconfigError("not inside a pod: give --kubeconfig=FILE")
    ca = folder / "ca.crt"
    namespace = folder / "namespace"
    return Credentials(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        ca_pem=ca.read_text() if ca.exists() else "",
        token_file=str(token),
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
    )


def _entry(config: Mapping[str, Any], section: str, field: str, name: str) -> dict[str, Any]:
    for entry in config.get(section) or ():
        if entry.get("name") == name:
            return dict(entry.get(field) or {})
    raise KubeconfigError(f"no {field} named {name!r}")


def _pem(entry: Mapping[str, Any], field: str, folder: Path) -> str:
    data = entry.get(f"{field}-data")
    if data:
        try:
            text: str = base64.b64decode(data, validate=True).decode()
            return text
        except (binascii.Error, UnicodeDecodeError) as err:
            raise KubeconfigError(f"{field}-data is no base64 of a PEM text") from err
    path: str = entry.get(field) or ""
    if not path:
        return ""
    try:
        return (folder / path).read_text()
    except OSError as err:
        raise KubeconfigError(f"cannot read {field} {folder / path}: {err.strerror}") from err


def build(
    name: str,
    server: str,
    *,
    ca_pem: str = "",
    client_cert_pem: str = "",
    client_key_pem: str = "",
    token: str = "",
    user: str = "",
) -> dict[str, Any]:
    """A kubeconfig with one cluster, user (named ``user`` when given) and context, data embedded."""
    cluster: dict[str, Any] = {"server": server}
    if ca_pem:
        cluster["certificate-authority-data"] = base64.b64encode(ca_pem.encode()).decode()
    login: dict[str, Any] = {}
    if client_cert_pem:
        login["client-certificate-data"] = base64.b64encode(client_cert_pem.encode()).decode()
        login["client-key-data"] = base64.b64encode(client_key_pem.encode()).decode()
    if token:
        login["token"] = token
    user = user or name
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "preferences": {},
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": user, "user": login}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "current-context": name,
    }


_SECTIONS = ("clusters", "users", "contexts")


def merge(base: Mapping[str, Any], addition: Mapping[str, Any], *, switch: bool = True) -> dict[str, Any]:
    """``base`` with the addition's entries over those of the same name; ``switch`` takes its current-context."""
    merged: dict[str, Any] = {"apiVersion": "v1", "kind": "Config", "preferences": {}, **base}
    for section in _SECTIONS:
        added = list(addition.get(section) or ())
        names = {entry.get("name") for entry in added}
        merged[section] = [e for e in merged.get(section) or () if e.get("name") not in names] + added
    if switch or not merged.get("current-context"):
        merged["current-context"] = addition.get("current-context", "")
    return merged


def without(base: Mapping[str, Any], name: str, *, user: str = "") -> dict[str, Any]:
    """``base`` without the cluster, context and user of that name; clears current-context when it was that one."""
    reduced = dict(base)
    gone = {name, user or name}
    for section in _SECTIONS:
        names = gone if section == "users" else {name}
        reduced[section] = [e for e in base.get(section) or () if e.get("name") not in names]
    if base.get("current-context") == name:
        reduced["current-context"] = ""
    return reduced


def write(path: str | Path, config: Mapping[str, Any]) -> None:
    """Writes the file atomically, readable by its owner alone; an existing file keeps its owner."""
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        yaml.dump(dict(config), out, Dumper=yaml.CSafeDumper, sort_keys=False)
    if file.exists():
        before = file.stat()
        os.chown(temporary, before.st_uid, before.st_gid)
    temporary.replace(file)
