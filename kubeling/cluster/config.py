"""What a cluster is asked to be."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from kubeling.api.names import is_dns1123_label
from kubeling.cluster.errors import ClusterError

Component = Literal["etcd", "apiserver", "controllers", "scheduler", "kubelet", "kubeproxy", "clusterdns"]
ALL_COMPONENTS: tuple[Component, ...] = get_args(Component)
DEFAULT_VERSION = "1.36"


class ClusterConfig(BaseModel):
    """The settings of a cluster; ``kubeling up --config FILE`` reads them from YAML, flags override the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "dev"
    nodes: int = Field(default=1, ge=1, le=100)
    port: int = Field(default=6443, ge=1, le=65535)
    bind_address: str = "127.0.0.1"
    only: tuple[Component, ...] = ()
    kubernetes_version: str = Field(default=DEFAULT_VERSION, pattern=r"^v?1\.\d{1,2}(\.\d+)?$")
    service_cidr: str = "10.96.0.0/16"
    pod_cidr: str = ""
    cluster_domain: str = "cluster.local"
    legacy_apis: bool = False
    extra_args: dict[Component, list[str]] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        problems = is_dns1123_label(value)
        if problems or len(value) > 40:
            raise ValueError(problems[0] if problems else "must be no more than 40 characters")
        return value

    @field_validator("service_cidr", "pod_cidr")
    @classmethod
    def _cidr(cls, value: str) -> str:
        if value:
            ipaddress.ip_network(value)
        return value

    @property
    def components(self) -> tuple[Component, ...]:
        """What runs: all, or the chosen ones and etcd, which the API server needs."""
        if not self.only:
            return ALL_COMPONENTS
        chosen = {*self.only, *(("etcd",) if "apiserver" in self.only else ())}
        return tuple(c for c in ALL_COMPONENTS if c in chosen)

    @property
    def needs_node(self) -> bool:
        """Whether anything runs that needs root and the Docker engine."""
        return bool({"kubelet", "kubeproxy", "clusterdns"} & set(self.components))

    @property
    def node_names(self) -> tuple[str, ...]:
        return tuple(f"{self.name}-{i + 1}" for i in range(self.nodes))

    @property
    def context(self) -> str:
        """The name of the kubeconfig context."""
        return f"kubeling-{self.name}"

    @property
    def network(self) -> str:
        """The name of the Docker network and of the nftables table."""
        return f"kubeling-{self.name}"

    def service_address(self, index: int) -> str:
        """The n-th address of the service range: 1 is the API server's, 10 the DNS server's."""
        return str(ipaddress.ip_network(self.service_cidr)[index])


# how a configuration file, written like Kubernetes' own, names the settings of more than one word
_FILE_NAMES = {
    "bindAddress": "bind_address",
    "kubernetesVersion": "kubernetes_version",
    "serviceCIDR": "service_cidr",
    "podCIDR": "pod_cidr",
    "clusterDomain": "cluster_domain",
    "legacyAPIs": "legacy_apis",
    "extraArgs": "extra_args",
}


def load_config(file: Path | None, overrides: dict[str, Any]) -> ClusterConfig:
    """A configuration from a file and the flags given. Raises ClusterError naming each bad setting."""
    values: dict[str, Any] = {}
    if file is not None:
        try:
            loaded = yaml.safe_load(file.read_text())
        except OSError as err:
            raise ClusterError(
                f"cannot read {file}: {err.strerror}", "give the path of a YAML file to --config"
            ) from err
        except yaml.YAMLError as err:
            raise ClusterError(f"{file} is not YAML: {err}", "correct the file") from err
        if not isinstance(loaded, dict):
            raise ClusterError(f"{file} must hold a mapping of settings", "see docs/configuration.md")
        values.update(loaded)
    values = {_FILE_NAMES.get(k, k): v for k, v in values.items()}
    values.update({k: v for k, v in overrides.items() if v is not None})
    try:
        return ClusterConfig(**values)
    except ValidationError as err:
        lines = [f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in err.errors()]
        raise ClusterError("invalid cluster settings: " + "; ".join(lines), "see `kubeling up --help`") from err
