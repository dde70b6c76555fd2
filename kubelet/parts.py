"""The kubelet's parts, each made from the options; nothing here starts anything. All raise StartError."""

from __future__ import annotations

import json
from collections.abc import Mapping
from os.path import normpath
from pathlib import Path
from typing import Any

from kubelet.cgroups.enforcement import NOT_WITHOUT_QOS, enforcements, reserved_groups
from kubelet.cgroups.limits import CgroupSettings, Limits, node_limits, page_size
from kubelet.cgroups.manager import NoCgroups, PodCgroups, default_root
from kubelet.cgroups.names import parse_root
from kubelet.containers.build import NodeFacts
from kubelet.containers.hooks import HookRunner
from kubelet.containers.resources import cpu_shares
from kubelet.dra.claims import Claims
from kubelet.images.manager import ImageManager
from kubelet.images.plugins import ImagePlugins, read_providers
from kubelet.images.records import PullRecords
from kubelet.node.machine import Machine
from kubelet.node.status import NodeSettings, capacity
from kubelet.options import Options
from kubelet.pods.logs import LinkedLogs, NoPodLogs, PodLogs
from kubelet.pods.manager import PodManager
from kubelet.pods.mounts import ClusterDns, PodMounts
from kubelet.pods.objects import ApiObjects, NoObjects
from kubelet.pods.pulls import PodImages
from kubelet.pods.recorder import Recorder
from kubelet.pods.services import InformedServices, NoServices
from kubelet.pods.starter import ContainerStarter
from kubelet.runtime.docker import DockerRuntime
from kubelet.runtime.docker_config import log_config
from kubelet.runtime.docker_network import PodNetwork
from kubelet.runtime.protocol import Runtime
from kubelet.runtime.simulated import SimulatedRuntime
from kubelet.server.app import KubeletApi
from kubelet.server.auth import Gate
from kubelet.volumes.image import ImageVolumes
from kubelet.volumes.manager import VolumeManager
from kubeling.api import quantity
from kubeling.api.meta import Object
from kubeling.client.clock import Clock
from kubeling.client.errors import StartError
from kubeling.client.flags import flag_values


def make_runtime(options: Options, node_name: str, clock: Clock) -> Runtime:
    """The runtime that the options ask for, not started."""
    if options.runtime == "simulated":
        return SimulatedRuntime(clock)
    name = options.pod_network or f"kubeling-{options.cluster_name}"
    network = PodNetwork(name, options.cluster_name, options.pod_cidr)
    try:
        log_size = int(quantity.parse(options.container_log_max_size).value)
    except quantity.QuantityError as err:
        raise StartError(f"--container-log-max-size: {err}") from err
    return DockerRuntime(
        cluster=options.cluster_name,
        node=node_name,
        network=network,
        address=options.node_ip,
        log_config=log_config(log_size, options.container_log_max_files),
    )


def node_reference(name: str) -> Object:
    """What events about the node are about."""
    return {"kind": "Node", "name": name, "uid": name}


def make_node_facts(options: Options, settings: NodeSettings, machine: Machine) -> NodeFacts:
    return NodeFacts(
        name=settings.name,
        ip=settings.ip,
        cluster_domain=options.cluster_domain,
        memory=machine.memory,
        seccomp_profiles=Path(options.seccomp_profile_root or Path(options.root_dir) / "seccomp"),
        pids_limit=max(0, options.pod_max_pids),
        seccomp_default=options.seccomp_default,
        cpu_quota=options.cpu_cfs_quota,
        cpu_period=int(options.cpu_cfs_quota_period * 1_000_000),
        recursive_read_only=settings.recursive_read_only,
    )


def make_cgroups(
    options: Options, settings: NodeSettings, machine: Machine, recorder: Recorder
) -> PodCgroups | NoCgroups:
    enforced = enforcements(options.enforce_node_allocatable)
    if options.runtime != "docker" or not options.cgroups_per_qos:
        if enforced and options.runtime == "docker":
            raise StartError(NOT_WITHOUT_QOS)
        return NoCgroups()
    given = capacity(machine, settings)
    sizes = tuple(sorted(page_size(name) for name in given if page_size(name)))
    return PodCgroups(
        parse_root(options.cgroup_root) if options.cgroup_root else default_root(options.cluster_name, settings.name),
        CgroupSettings(
            options.cpu_cfs_quota,
            int(options.cpu_cfs_quota_period * 1_000_000),
            max(0, options.pod_max_pids),
            sizes,
            kill_together=options.single_process_oom_kill != "true",
        ),
        node_limits(given, settings.reserved if "pods" in enforced else {}, machine.max_pids),
        Limits(cpu_shares=cpu_shares(machine.cpus * 1000)),
        recorder,
        node=node_reference(settings.name),
        own_root=not options.cgroup_root,
        reserved=reserved_groups(enforced, options),
    )


def make_starter(
    options: Options,
    runtime: Runtime,
    images: ImageManager,
    objects: ApiObjects | NoObjects,
    services: InformedServices | NoServices,
    recorder: Recorder,
    hooks: HookRunner,
    node: NodeFacts,
    allocatable: Mapping[str, str],
    claims: Claims,
    logs: PodLogs,
) -> ContainerStarter:
    may_mount = options.runtime == "docker"  # a simulated container reads nothing
    dns = ClusterDns(tuple(options.cluster_dns), options.cluster_domain, Path(options.resolv_conf))
    starter = ContainerStarter(
        runtime=runtime,
        images=PodImages(images, objects, recorder, ImageVolumes(runtime, may_mount=may_mount)),
        objects=objects,
        services=services,
        recorder=recorder,
        hooks=hooks,
        node=node,
        mounts=PodMounts(Path(options.root_dir) / "pods", node, dns, may_mount=may_mount),
        claims=claims,
        logs=logs,
    )
    starter.allocatable = allocatable
    return starter


def make_logs(options: Options) -> PodLogs:
    folder = options.pod_logs_dir
    problem = ""
    if not folder.startswith("/"):
        problem = "must be absolute path"
    elif normpath(folder) != folder:
        problem = "must be normalized"
    elif not folder.isascii():
        problem = "mut contains ASCII characters only"  # upstream's own words
    if problem:
        quoted = json.dumps(folder, ensure_ascii=False)
        raise StartError(
            f"failed to validate kubelet configuration, error: invalid configuration: pod logs path {quoted} {problem}"
        )
    return LinkedLogs(Path(folder)) if options.runtime == "docker" else NoPodLogs()


def make_images(options: Options, runtime: Runtime, clock: Clock) -> ImageManager:
    in_memory = options.runtime == "docker"  # a simulated engine's images are those of one process
    config = options.image_credential_provider_config
    providers = read_providers(Path(config), options.image_credential_provider_bin_dir) if config else []
    return ImageManager(
        runtime,
        clock,
        serial=options.serialize_image_pulls,
        parallel=options.max_parallel_image_pulls,
        records=PullRecords(
            Path(options.root_dir) / "image_manager" if in_memory else None,
            clock,
            options.image_pull_credentials_verification_policy,
            options.preloaded_images_verification_allowlist,
        ),
        plugins=ImagePlugins(providers, clock),
    )


# what is answered where debugging is switched off, by the beginning of the path
_DEBUGGING = ("/run", "/exec", "/attach", "/portForward", "/containerLogs", "/runningpods", "/debug/pprof", "/logs")


def disabled_paths(options: Options) -> dict[str, str]:
    """Paths that the server does not serve, by their beginning, and what it says instead."""
    found = {}
    if not options.enable_system_log_handler:
        found["/logs"] = "logs endpoint is disabled."
    if not options.enable_debug_flags_handler:
        found["/debug/flags/v"] = "flags endpoint is disabled."
    if not options.enable_debugging_handlers:
        found |= dict.fromkeys(_DEBUGGING, "Debug endpoints are disabled.")
    return found


def make_api(
    options: Options,
    pods: PodManager,
    runtime: Runtime,
    gate: Gate,
    clock: Clock,
    node_name: str,
    configuration: Mapping[str, Any],
    volumes: VolumeManager,
    cgroups: PodCgroups | NoCgroups,
) -> KubeletApi:
    return KubeletApi(
        pods,
        runtime,
        gate,
        clock,
        node_name=node_name,
        configuration=configuration,
        volumes=volumes,
        stats_period=options.volume_stats_agg_period,
        pods_folder=Path(options.root_dir) / "pods",
        version=options.kubernetes_version,
        flags=flag_values(options),
        disabled=disabled_paths(options),
        group_path=cgroups.container_path,
    )


def check_cgroup_version(options: Options, engine: Mapping[str, Any]) -> None:
    """Whether the options suit the machine's control groups, of which the engine tells the version. Raises StartError."""
    if engine.get("cgroup_version") != "1":
        return
    if options.fail_cgroup_v1:
        raise StartError(
            "kubelet is configured to not run on a host using cgroup v1. cgroup v1 support is unsupported and will be removed "
            "in a future release"
        )
    if options.single_process_oom_kill == "false":
        raise StartError(
            "failed to validate kubelet configuration, error: invalid configuration: singleProcessOOMKill must not be explicitly "
            "set to false when using cgroup v1"
        )
