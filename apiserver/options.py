"""Options of the server, under upstream's flag names."""

from __future__ import annotations

import argparse
import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator


class Options(BaseModel):
    """Everything that can be set. Field names are the flags' with underscores."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    etcd_servers: tuple[str, ...] = ("http://127.0.0.1:2379",)
    etcd_cafile: str = ""
    etcd_certfile: str = ""
    etcd_keyfile: str = ""
    secure_port: int = Field(6443, ge=0, le=65535)
    bind_address: tuple[str, ...] = ("127.0.0.1",)
    advertise_address: str = ""
    cert_dir: Path = Path("/var/run/kubernetes")
    tls_cert_file: Path | None = None
    tls_private_key_file: Path | None = None
    client_ca_file: Path | None = None
    requestheader_client_ca_file: Path | None = None
    requestheader_allowed_names: tuple[str, ...] = ()
    requestheader_username_headers: tuple[str, ...] = ("x-remote-user",)
    requestheader_group_headers: tuple[str, ...] = ("x-remote-group",)
    requestheader_extra_headers_prefix: tuple[str, ...] = ("x-remote-extra-",)
    proxy_client_cert_file: Path | None = None
    proxy_client_key_file: Path | None = None
    token_auth_file: Path | None = None
    anonymous_auth: bool = True
    enable_bootstrap_token_auth: bool = False
    authorization_mode: tuple[str, ...] = ("AlwaysAllow",)
    enable_admission_plugins: tuple[str, ...] = ()
    disable_admission_plugins: tuple[str, ...] = ()
    service_account_issuer: str = "https://kubernetes.default.svc.cluster.local"
    service_account_key_file: tuple[Path, ...] = ()
    service_account_signing_key_file: Path | None = None
    api_audiences: tuple[str, ...] = ()
    service_cluster_ip_range: str = "10.96.0.0/16"
    service_node_port_range: str = "30000-32767"
    feature_gates: tuple[str, ...] = ()
    runtime_config: tuple[str, ...] = ()
    kubelet_client_certificate: Path | None = None
    kubelet_client_key: Path | None = None
    kubelet_certificate_authority: Path | None = None
    kubelet_preferred_address_types: tuple[str, ...] = (
        "Hostname",
        "InternalDNS",
        "InternalIP",
        "ExternalDNS",
        "ExternalIP",
    )
    allow_privileged: bool = False
    enable_metrics_api: bool = False
    max_requests_inflight: int = Field(400, ge=0)
    max_mutating_requests_inflight: int = Field(200, ge=0)
    enable_priority_and_fairness: bool = True
    min_request_timeout: int = Field(1800, ge=1)
    request_timeout: float = Field(60.0, gt=0)
    etcd_compaction_interval: float = Field(300.0, ge=0)
    event_ttl: int = Field(3600, ge=0)
    shutdown_seconds: int = Field(4, ge=0)
    audit_log_path: str = ""
    audit_log_format: str = Field("json", pattern="^(json|legacy)$")
    audit_log_maxage: int = Field(0, ge=0)
    audit_log_maxbackup: int = Field(0, ge=0)
    audit_log_maxsize: int = Field(0, ge=0)
    audit_log_compress: bool = False
    audit_policy_file: Path | None = None
    kubernetes_version: str = "1.36"
    legacy_apis: bool = False
    v: int = 0
    logging_format: str = Field("text", pattern="^(text|json)$")

    @field_validator("service_cluster_ip_range")
    @classmethod
    def _check_range(cls, value: str) -> str:
        ipaddress.ip_network(value.split(",")[0])
        return value

    @property
    def features(self) -> frozenset[str]:
        """Names of the feature gates that are turned on."""
        pairs = (gate.partition("=") for gate in self.feature_gates)
        return frozenset(name for name, _, value in pairs if value.lower() == "true")

    @property
    def address(self) -> str:
        """Where clients reach the server."""
        if self.advertise_address:
            return self.advertise_address
        first = self.bind_address[0]
        return "127.0.0.1" if first in ("0.0.0.0", "::") else first


_SECONDS = ("request_timeout", "etcd_compaction_interval", "event_ttl")
_NO_EFFECT = (
    "--profiling", "--enable-aggregator-routing", "--storage-backend",
    "--watch-cache", "--default-watch-cache-size",
    "--etcd-prefix", "--storage-media-type", "--shutdown-delay-duration",
    "--endpoint-reconciler-type", "--apiserver-count", "--goaway-chance", "--tls-cipher-suites", "--tls-min-version",
    "--audit-log-mode", "--audit-log-version",
)  # fmt: skip
_HELP = {
    "feature_gates": "NAME=true,...; PodLogsQuerySplitStreams lets logs be asked for by stream, "
    "StorageVersionMigrator gives its controller a role, DRADeviceTaintRules the scheduler one, others have no effect",
    "runtime_config": "GROUP/VERSION=true,...: versions to serve that are off by default "
    "(resource.k8s.io/v1beta2, v1beta1, v1alpha3, storagemigration.k8s.io/v1beta1); what is on by default stays on",
    "enable_metrics_api": "serve metrics.k8s.io/v1beta1 from the kubelets' figures, as metrics-server does",
    "bind_address": "address to listen on; may be repeated",
    "legacy_apis": "also serve the beta versions of old manifests (extensions/v1beta1, apps/v1beta1 and their kin)",
    "shutdown_seconds": "how long open requests may take to end when the server stops",
    "kubernetes_version": "the minor of Kubernetes that the server presents itself as",
}


def seconds(text: str) -> float:
    """A Go duration (``5m0s``) or a bare number of seconds."""
    from apiserver.http.steps import requested_seconds
    from kubeling.api.errors import StatusError

    try:
        return float(text)
    except ValueError:
        pass
    try:
        return requested_seconds(text)
    except StatusError:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration (1h30m, 45s)") from None


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text.lower() in ("true", "1")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m apiserver",
        description="The API server of kubeling.",
        allow_abbrev=False,
        epilog=f"Accepted and without effect: {', '.join(_NO_EFFECT)}.",
    )
    for name, field in Options.model_fields.items():
        flag = "--" + name.replace("_", "-")
        default = field.default
        text = _HELP.get(name, "")
        if default.__class__ is bool:
            made.add_argument(flag, type=_boolean, nargs="?", const=True, help=text)
        elif isinstance(default, tuple):
            made.add_argument(flag, action="append", help=text)
        else:
            made.add_argument(flag, type=seconds if name in _SECONDS else str, help=text)
    for flag in _NO_EFFECT:
        made.add_argument(flag, nargs="?", help=argparse.SUPPRESS)
    return made


def parse_options(arguments: Sequence[str]) -> Options:
    """Raises SystemExit for unknown flags, ``pydantic.ValidationError`` for values out of range."""
    given = vars(parser().parse_args(arguments))
    values: dict[str, Any] = {}
    for name, field in Options.model_fields.items():
        value = given.get(name)
        if value is None:
            continue
        if isinstance(field.default, tuple):
            value = tuple(part.strip() for text in value for part in text.split(",") if part.strip())
        values[name] = value
    return Options(**values)
