"""/etc/hosts and /etc/resolv.conf of a pod, hostnames, as the kubelet writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubelet.containers.failure import ConfigError
from kubelet.pods import spec as podspec
from kubeling.api.meta import Object, name_of, namespace_of

_HOSTNAME_LIMIT, _FQDN_LIMIT = 63, 64
_MAX_SERVERS, _MAX_SEARCHES, _MAX_SEARCH, _MAX_SEARCH_CHARS = 3, 32, 253, 2048
_LOCAL = """127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""


def hostname(pod: Object, cluster_domain: str, node_name: str) -> tuple[str, str]:
    """Host name inside the pod and its domain (empty without a subdomain)."""
    spec = podspec.spec_of(pod)
    if override := spec.get("hostnameOverride"):
        return override, ""
    if spec.get("hostNetwork"):
        return node_name, ""
    name = (spec.get("hostname") or name_of(pod))[:_HOSTNAME_LIMIT].rstrip("-.")
    subdomain = spec.get("subdomain")
    domain = f"{subdomain}.{namespace_of(pod)}.svc.{cluster_domain}" if subdomain else ""
    return name, domain


def container_hostname(pod: Object, cluster_domain: str, node_name: str) -> str:
    """What ``hostname`` prints: fully qualified with ``setHostnameAsFQDN``. Raises ConfigError."""
    name, domain = hostname(pod, cluster_domain, node_name)
    if not domain or not podspec.spec_of(pod).get("setHostnameAsFQDN"):
        return name
    full = f"{name}.{domain}"
    if len(full) > _FQDN_LIMIT:
        raise ConfigError(
            f"failed to construct FQDN from pod hostname and cluster domain, FQDN {full} is too long "
            f"({_FQDN_LIMIT} characters is the max, {len(full)} characters requested)"
        )
    return full


def hosts_file(pod: Object, ip: str, cluster_domain: str, node_name: str, host_file: str = "") -> str:
    """Content of /etc/hosts. ``host_file`` is the node's own, which pods in its network get."""
    spec = podspec.spec_of(pod)
    if spec.get("hostNetwork"):
        text = "# Kubernetes-managed hosts file (host network).\n" + host_file
    else:
        name, domain = hostname(pod, cluster_domain, node_name)
        names = f"{name}.{domain}\t{name}" if domain else name
        text = "# Kubernetes-managed hosts file.\n" + _LOCAL + (f"{ip}\t{names}\n" if ip else "")
    aliases = spec.get("hostAliases") or ()
    if aliases:
        text += "\n# Entries added by HostAliases.\n"
        text += "".join(f"{a['ip']}\t" + "\t".join(a.get("hostnames") or ()) + "\n" for a in aliases)
    return text


@dataclass(frozen=True, slots=True)
class Resolver:
    """The three parts of a resolv.conf."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Resolver:
        """Reads a resolv.conf; the last ``search`` line holds."""
        servers: list[str] = []
        searches: tuple[str, ...] = ()
        options: list[str] = []
        for line in text.splitlines():
            match line.split():
                case ["nameserver", server, *_]:
                    servers.append(server)
                case ["search", *domains]:
                    searches = tuple(d.rstrip(".") if d != "." else d for d in domains)
                case ["options", *found]:
                    options += found
        return cls(tuple(servers), searches, tuple(dict.fromkeys(options)))

    def fitted(self) -> tuple[Resolver, tuple[str, ...]]:
        """What a resolver library takes in of it, and what is to be told about the rest (pkg/kubelet/network/dns)."""
        searches, servers = _fit(self.searches), self.servers[:_MAX_SERVERS]
        told = []
        if servers != self.servers:
            told.append(
                "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: "
                + " ".join(servers)
            )
        if searches != self.searches:
            told.append(
                "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: "
                + " ".join(searches)
            )
        return Resolver(servers, searches, self.options), tuple(told)

    def text(self) -> str:
        lines = [f"nameserver {s}" for s in self.servers]
        if self.searches:
            lines.insert(0, "search " + " ".join(self.searches))
        if self.options:
            lines.append("options " + " ".join(self.options))
        return "".join(line + "\n" for line in lines)


def _fit(searches: tuple[str, ...]) -> tuple[str, ...]:
    kept: list[str] = []
    for domain in (d for d in searches[:_MAX_SEARCHES] if len(d) <= _MAX_SEARCH):
        if sum(map(len, kept)) + len(kept) + len(domain) > _MAX_SEARCH_CHARS:
            break
        kept.append(domain)
    return tuple(kept)


def wants_cluster_dns(pod: Object) -> bool:
    """Whether its dnsPolicy asks for the cluster's servers."""
    spec = podspec.spec_of(pod)
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    return policy == "ClusterFirstWithHostNet" or (policy == "ClusterFirst" and not spec.get("hostNetwork"))


def pod_resolver(pod: Object, host: Resolver, cluster_dns: tuple[str, ...], cluster_domain: str) -> Resolver:
    """The pod's resolver by its dnsPolicy and dnsConfig."""
    spec = podspec.spec_of(pod)
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    if policy == "None":
        resolver = Resolver()
    elif wants_cluster_dns(pod) and cluster_dns:
        searches = (f"{namespace_of(pod)}.svc.{cluster_domain}", f"svc.{cluster_domain}", cluster_domain)
        resolver = Resolver(cluster_dns, tuple(dict.fromkeys((*searches, *host.searches))), ("ndots:5",))
    else:
        resolver = host
    return _merge(resolver, spec.get("dnsConfig") or {})


def _merge(resolver: Resolver, extra: Mapping[str, Any]) -> Resolver:
    options: dict[str, str] = {}
    for option in resolver.options:
        name, _, value = option.partition(":")
        options[name] = value
    for option in extra.get("options") or ():
        options[option["name"]] = option.get("value") or ""
    return Resolver(
        tuple(dict.fromkeys((*resolver.servers, *(extra.get("nameservers") or ())))),
        tuple(dict.fromkeys((*resolver.searches, *(extra.get("searches") or ())))),
        tuple(f"{k}:{v}" if v else k for k, v in options.items()),
    )
