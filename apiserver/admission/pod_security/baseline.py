"""The checks of the baseline level."""

from __future__ import annotations

from collections.abc import Iterable

from apiserver.admission.pod_security.check import (
    Violation,
    added,
    containers,
    context,
    named,
    plural,
    pod_context,
    quoted,
    setters,
    unique,
)
from kubeling.api.meta import Object, annotations_of

SECCOMP = "securityContext.seccompProfile.type"
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_DEFAULT_CAPABILITIES = frozenset(
    (
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    )
)
_SYSCTLS: dict[int, tuple[str, ...]] = {
    0: (
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_unprivileged_port_start",
    ),
    27: ("net.ipv4.ip_local_reserved_ports",),
    29: (
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
    ),
    32: ("net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"),
}
"""Sysctls that may be set, by the minor they are allowed since."""


def capabilities_baseline(pod: Object, minor: int) -> Violation | None:
    bad, forbidden = added(pod, _DEFAULT_CAPABILITIES)
    if not bad:
        return None
    detail = f"{named(bad)} must not include {quoted(forbidden)} in securityContext.capabilities.add"
    return Violation("non-default capabilities", detail)


def host_namespaces(pod: Object, minor: int) -> Violation | None:
    spec = pod.get("spec") or {}
    found = [f"{field}=true" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    return Violation("host namespaces", ", ".join(found)) if found else None


def host_paths(pod: Object, minor: int) -> Violation | None:
    found = [v.get("name", "") for v in (pod.get("spec") or {}).get("volumes") or () if v.get("hostPath") is not None]
    if not found:
        return None
    return Violation("hostPath volumes", f"{plural('volume', len(found))} {quoted(found)}")


def host_ports(pod: Object, minor: int) -> Violation | None:
    bad, ports = [], set()
    for container in containers(pod):
        used = {p["hostPort"] for p in container.get("ports") or () if p.get("hostPort")}
        if used:
            bad.append(container["name"])
            ports |= used
    if not bad:
        return None
    noun = plural("hostPort", len(ports))
    uses = plural("uses", len(bad), "use")
    return Violation(noun, f"{named(bad)} {uses} {noun} {', '.join(sorted(map(str, ports)))}")


def _handler_hosts(container: Object) -> Iterable[str]:
    lifecycle = container.get("lifecycle") or {}
    handlers = [container.get(f) or {} for f in ("livenessProbe", "readinessProbe", "startupProbe")]
    handlers += [lifecycle.get(f) or {} for f in ("postStart", "preStop")]
    for handler in handlers:
        for action in ("httpGet", "tcpSocket"):
            host = (handler.get(action) or {}).get("host")
            if host:
                yield host


def host_probes(pod: Object, minor: int) -> Violation | None:
    found = [(c["name"], list(_handler_hosts(c))) for c in containers(pod)]
    bad = [name for name, hosts in found if hosts]
    if not bad:
        return None
    hosts = unique(h for _, hosts in found for h in hosts)
    noun = f"probe or lifecycle {plural('host', len(hosts))}"
    return Violation(
        "probe or lifecycle host", f"{named(bad)} {plural('uses', len(bad), 'use')} {noun} {quoted(hosts)}"
    )


def privileged(pod: Object, minor: int) -> Violation | None:
    bad = [c["name"] for c in containers(pod) if context(c).get("privileged")]
    if not bad:
        return None
    return Violation("privileged", f"{named(bad)} must not set securityContext.privileged=true")


def proc_mount(pod: Object, minor: int) -> Violation | None:
    found = [(c["name"], context(c).get("procMount")) for c in containers(pod)]
    bad = [name for name, value in found if value not in (None, "Default")]
    if not bad:
        return None
    values = quoted(unique(value for _, value in found if value not in (None, "Default")))
    return Violation("procMount", f"{named(bad)} must not set securityContext.procMount to {values}")


def selinux(pod: Object, minor: int) -> Violation | None:
    allowed = {"", "container_t", "container_init_t", "container_kvm_t"} | (
        {"container_engine_t"} if minor >= 31 else set()
    )
    types: set[str] = set()
    fields: set[str] = set()

    def bad(options: Object | None) -> bool:
        if options is None:
            return False
        wrong = options.get("type", "") not in allowed
        if wrong:
            types.add(options["type"])
        set_ = [f for f in ("user", "role") if options.get(f)]
        fields.update(set_)
        return wrong or bool(set_)

    pod_bad = bad(pod_context(pod).get("seLinuxOptions"))
    names = [c["name"] for c in containers(pod) if bad(context(c).get("seLinuxOptions"))]
    if not pod_bad and not names:
        return None
    data = [f"{plural('type', len(types))} {quoted(sorted(types))}"] if types else []
    data += [f"{f} may not be set" for f in ("user", "role") if f in fields]
    text = f"{setters(pod_bad, names)} set forbidden securityContext.seLinuxOptions: {'; '.join(data)}"
    return Violation("seLinuxOptions", text)


def seccomp_type(thing: Object) -> str | None:
    profile = context(thing).get("seccompProfile")
    return None if profile is None else profile.get("type", "")


def seccomp_baseline(pod: Object, minor: int) -> Violation | None:
    pod_type = seccomp_type(pod.get("spec") or {})
    values = [(c["name"], seccomp_type(c)) for c in containers(pod)]
    bad = [name for name, value in values if value not in (None, "RuntimeDefault", "Localhost")]
    pod_bad = pod_type not in (None, "RuntimeDefault", "Localhost")
    if not bad and not pod_bad:
        return None
    types = {value for _, value in values if value not in (None, "RuntimeDefault", "Localhost")}
    forbidden = unique(
        [*(t for t in types if t is not None), *([pod_type] if pod_bad and pod_type is not None else [])]
    )
    return Violation("seccompProfile", f"{setters(pod_bad, bad)} must not set {SECCOMP} to {quoted(forbidden)}")


def sysctls(pod: Object, minor: int) -> Violation | None:
    allowed = {name for since, names in _SYSCTLS.items() if minor >= since for name in names}
    found = [s.get("name", "") for s in pod_context(pod).get("sysctls") or () if s.get("name") not in allowed]
    return Violation("forbidden sysctls", ", ".join(found)) if found else None


def host_process(pod: Object, minor: int) -> Violation | None:
    def on(thing: Object) -> bool:
        return bool((context(thing).get("windowsOptions") or {}).get("hostProcess"))

    pod_on, bad = on(pod.get("spec") or {}), [c["name"] for c in containers(pod) if on(c)]
    if not pod_on and not bad:
        return None
    text = f"{setters(pod_on, bad)} must not set securityContext.windowsOptions.hostProcess=true"
    return Violation("hostProcess", text)


def apparmor(pod: Object, minor: int) -> Violation | None:
    def kind(thing: Object) -> str | None:
        profile = context(thing).get("appArmorProfile")
        return None if profile is None else str(profile.get("type", ""))

    allowed = (None, "RuntimeDefault", "Localhost")
    pod_kind = kind(pod.get("spec") or {})
    kinds = [(c["name"], kind(c)) for c in containers(pod)]
    bad = [name for name, value in kinds if value not in allowed]
    values = [value for _, value in kinds if value not in allowed and value is not None]
    if pod_kind not in allowed and pod_kind is not None:
        values.append(pod_kind)
    details = []
    if values:
        who = setters(pod_kind not in allowed, bad)
        details.append(f"{who} must not set securityContext.appArmorProfile.type to {quoted(unique(values))}")
    annotated = [
        f'"{key}"="{value}"'
        for key, value in sorted(annotations_of(pod).items())
        if key.startswith(_APPARMOR) and not (value in ("", "runtime/default") or value.startswith("localhost/"))
    ]
    if annotated:
        details.append(f"{plural('annotation', len(annotated))} {', '.join(annotated)}")
    if not details:
        return None
    return Violation(f"forbidden AppArmor {plural('profile', len(values) + len(annotated))}", " and ".join(details))
