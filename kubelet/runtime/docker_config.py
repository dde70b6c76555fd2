"""Pure translation between the runtime's values and the Docker engine's JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from kubelet.runtime.pause import IMAGE as PAUSE_IMAGE
from kubelet.runtime.records import ContainerRecord, ImageRecord, SandboxRecord, State
from kubelet.runtime.specs import ContainerSpec, Mount, PodRef, Resources, SandboxSpec, Security
from kubeling.api.meta import parse_time

Json = dict[str, Any]

POD_NAME, POD_NAMESPACE, POD_UID = "io.kubernetes.pod.name", "io.kubernetes.pod.namespace", "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"
CLUSTER, NODE, ATTEMPT, HASH, SANDBOX = (
    "kubeling.cluster",
    "kubeling.node",
    "kubeling.attempt",
    "kubeling.hash",
    "kubeling.sandbox",
)
POD_CONTAINER = "POD"
_NEVER = "0001-01-01T00:00:00Z"
_SANDBOX_LOG = {"Type": "none", "Config": {}}
_PAUSE_OOM_SCORE = -998


def container_name(cluster: str, name: str, pod: PodRef, attempt: int) -> str:
    """``k8s_<container>_<pod>_<namespace>_<uid>_<attempt>``, as Docker users know it; the cluster keeps several apart."""
    return f"k8s_{name}_{pod.name}_{pod.namespace}_{pod.uid}_{cluster}_{attempt}"


def labels_for(
    cluster: str, node: str, name: str, pod: PodRef, attempt: int, more: Mapping[str, str]
) -> dict[str, str]:
    return {
        POD_NAME: pod.name,
        POD_NAMESPACE: pod.namespace,
        POD_UID: pod.uid,
        CONTAINER_NAME: name,
        CLUSTER: cluster,
        NODE: node,
        ATTEMPT: str(attempt),
        **more,
    }


def log_config(size: int = 10 << 20, files: int = 5) -> Json:
    """How the engine keeps a container's log: at most ``files`` files of ``size`` bytes, of which the oldest goes first."""
    return {"Type": "json-file", "Config": {"max-size": str(size), "max-file": str(files)}}


def sandbox_config(spec: SandboxSpec, network: str, labels: Mapping[str, str]) -> Json:
    """The body of ``POST /containers/create`` for a pod's sandbox."""
    host: Json = {
        "NetworkMode": "host" if spec.host_network else network,
        "IpcMode": "host" if spec.host_ipc else "shareable",
        "OomScoreAdj": _PAUSE_OOM_SCORE,
        "LogConfig": _SANDBOX_LOG,
        "SecurityOpt": ["no-new-privileges"],
        "ReadonlyRootfs": True,
        "CpuShares": 2,
    }
    if spec.handler:
        host["Runtime"] = spec.handler
    if spec.cgroup_parent:
        host["CgroupParent"] = spec.cgroup_parent
    if spec.host_pid:
        host["PidMode"] = "host"
    if spec.sysctls:
        host["Sysctls"] = dict(spec.sysctls)
    # the first process of a namespace ignores what it does not handle: another signal would make a stopping engine wait
    body: Json = {"Image": PAUSE_IMAGE, "Labels": dict(labels), "HostConfig": host, "StopSignal": "SIGKILL"}
    if not spec.host_network:
        body["Hostname"] = spec.hostname
        if spec.ip:
            body["NetworkingConfig"] = {"EndpointsConfig": {network: {"IPAMConfig": {"IPv4Address": spec.ip}}}}
    if spec.user:
        body["User"] = spec.user
    if spec.ports and not spec.host_network:
        bindings: dict[str, list[Json]] = {}
        for port in spec.ports:
            key = f"{port.container_port}/{port.protocol.lower()}"
            bindings.setdefault(key, []).append({"HostIp": port.host_ip, "HostPort": str(port.host_port)})
        host["PortBindings"] = bindings
        body["ExposedPorts"] = {key: {} for key in bindings}
    return body


def container_config(spec: ContainerSpec, sandbox: SandboxRecord, labels: Mapping[str, str], log: Json) -> Json:
    """The body of ``POST /containers/create`` for a container that joins a sandbox."""
    joined = f"container:{sandbox.id}"
    host: Json = {
        "NetworkMode": "host" if spec.host_network else joined,
        "IpcMode": "host" if spec.host_ipc else joined,
        "LogConfig": log,
        "Mounts": [mount_config(m) for m in spec.mounts],
        **resource_config(spec.resources),
        **security_config(spec.security),
    }
    if spec.handler:
        host["Runtime"] = spec.handler
    if sandbox.cgroup_parent:
        host["CgroupParent"] = sandbox.cgroup_parent
    if spec.devices:
        host["Devices"] = [
            {"PathOnHost": d.source, "PathInContainer": d.target, "CgroupPermissions": "rm" if d.read_only else "rwm"}
            for d in spec.devices
        ]
    if spec.resources.oom_score_adj:
        host["OomScoreAdj"] = spec.resources.oom_score_adj
    if spec.host_pid:
        host["PidMode"] = "host"
    elif spec.pid_of:
        host["PidMode"] = f"container:{spec.pid_of}"
    elif spec.share_pid:
        host["PidMode"] = joined
    body: Json = {
        "Image": spec.image,
        "Labels": {**labels, **spec.labels},
        "Env": [f"{name}={value}" for name, value in spec.env],
        "HostConfig": host,
        "OpenStdin": spec.stdin,
        "StdinOnce": spec.stdin_once,
        "Tty": spec.tty,
        "Healthcheck": {"Test": ["NONE"]},
        "StopTimeout": spec.stop_seconds,
    }
    for field, value in (
        ("Entrypoint", list(spec.command) if spec.command is not None else None),
        ("Cmd", list(spec.args) if spec.args is not None else None),
        ("WorkingDir", spec.working_dir),
        ("User", spec.security.user),
        ("StopSignal", spec.stop_signal),
    ):
        if value is not None and value != "":
            body[field] = value
    return body


def mount_config(mount: Mount) -> Json:
    body: Json = {"Type": "bind", "Source": mount.source, "Target": mount.target, "ReadOnly": mount.read_only}
    # said aloud, the engine refuses it for folders that hold its own (`kubectl debug node` mounts /): unsaid, it takes rslave there
    if mount.propagation != "rprivate":
        body["BindOptions"] = {"Propagation": mount.propagation}
    return body


def resource_config(resources: Resources) -> Json:
    """What is set of ``HostConfig``; also the body of ``POST /containers/{id}/update``."""
    fields = {
        "CpuShares": resources.cpu_shares,
        "CpuPeriod": resources.cpu_period if resources.cpu_quota else 0,
        "CpuQuota": resources.cpu_quota,
        "Memory": resources.memory,
        "MemorySwap": resources.memory,
        "PidsLimit": resources.pids,
    }
    return {k: v for k, v in fields.items() if v}


def security_config(security: Security) -> Json:
    options = []
    if security.no_new_privileges:
        options.append("no-new-privileges")
    if security.seccomp and not security.privileged:
        options.append(f"seccomp={security.seccomp}")
    if security.apparmor:
        options.append(f"apparmor={security.apparmor}")
    options += [f"label={part}" for part in security.selinux]
    host: Json = {"SecurityOpt": options}
    if security.privileged:
        host["Privileged"] = True
    if security.read_only_root:
        host["ReadonlyRootfs"] = True
    if security.cap_add:
        host["CapAdd"] = list(security.cap_add)
    if security.cap_drop:
        host["CapDrop"] = list(security.cap_drop)
    if security.groups:
        host["GroupAdd"] = [str(g) for g in security.groups]
    if security.unmasked_proc:
        host["MaskedPaths"], host["ReadonlyPaths"] = [], []
    return host


def applied_resources(host: Json) -> Resources:
    """What a container's cgroup was given."""
    return Resources(
        cpu_shares=host.get("CpuShares") or 0,
        cpu_quota=max(0, host.get("CpuQuota") or 0),
        cpu_period=host.get("CpuPeriod") or 0,
        memory=host.get("Memory") or 0,
        pids=host.get("PidsLimit") or 0,
        oom_score_adj=host.get("OomScoreAdj") or 0,
    )


def moment(text: str) -> datetime | None:
    """A time of Docker's; None for its zero time."""
    return None if not text or text.startswith(_NEVER[:10]) else parse_time(text)


def pod_of(labels: Mapping[str, str]) -> PodRef:
    return PodRef(labels.get(POD_NAMESPACE, ""), labels.get(POD_NAME, ""), labels.get(POD_UID, ""))


def _created(inspected: Json) -> datetime:
    return parse_time(inspected["Created"])


def sandbox_record(inspected: Json) -> SandboxRecord:
    """A record from the answer of ``GET /containers/{id}/json``."""
    labels, host = inspected["Config"]["Labels"], inspected["HostConfig"]
    networks: Iterable[Json] = (inspected.get("NetworkSettings", {}).get("Networks") or {}).values()
    return SandboxRecord(
        id=inspected["Id"],
        pod=pod_of(labels),
        attempt=int(labels.get(ATTEMPT, 0)),
        running=bool(inspected["State"]["Running"]),
        created_at=_created(inspected),
        ip=next((n["IPAddress"] for n in networks if n.get("IPAddress")), ""),
        host_network=host["NetworkMode"] == "host",
        pid=inspected["State"].get("Pid", 0),
        cgroup_parent=host.get("CgroupParent") or "",
    )


def container_record(inspected: Json) -> ContainerRecord:
    """A record from the answer of ``GET /containers/{id}/json``.

    A container that was created but could not be started counts as exited, with Docker's error.
    """
    labels, state = inspected["Config"]["Labels"], inspected["State"]
    failed = state["Status"] == "created" and (state.get("Error") or state.get("ExitCode"))
    if state["Running"]:
        condition = State.RUNNING
    elif state["Status"] == "created" and not failed:
        condition = State.CREATED
    else:
        condition = State.EXITED
    return ContainerRecord(
        id=inspected["Id"],
        pod=pod_of(labels),
        name=labels[CONTAINER_NAME],
        attempt=int(labels.get(ATTEMPT, 0)),
        state=condition,
        created_at=_created(inspected),
        started_at=moment(state["StartedAt"]),
        finished_at=moment(state["FinishedAt"]),
        exit_code=state["ExitCode"],
        oom_killed=bool(state.get("OOMKilled")),
        error=state.get("Error") or "",
        image=inspected["Config"]["Image"],
        image_id=inspected["Image"],
        spec_hash=labels.get(HASH, ""),
        sandbox_id=labels.get(SANDBOX, ""),
        labels=labels,
        tty=bool(inspected["Config"]["Tty"]),
        pid=state.get("Pid", 0),
        resources=applied_resources(inspected["HostConfig"]),
        log_path=inspected.get("LogPath") or "",
    )


def image_record(summary: Json) -> ImageRecord:
    """From ``GET /images/json`` or ``GET /images/{name}/json``."""
    config = summary.get("Config") or {}
    digests = tuple(d for d in summary.get("RepoDigests") or () if not d.startswith("<none>"))
    tags = tuple(t for t in summary.get("RepoTags") or () if t != "<none>:<none>")
    created = summary.get("Created", 0)
    return ImageRecord(
        id=summary["Id"],
        tags=tags,
        digests=digests,
        size=summary.get("Size", 0),
        user=config.get("User") or "",
        created=created if isinstance(created, int) else 0.0,
        volumes=tuple(config.get("Volumes") or ()),
    )
