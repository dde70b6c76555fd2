"""The kubelet's flags: upstream's names; what is ours says so."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kubeling.client import podlogs
from kubeling.client.flags import CommonOptions, Seconds, StringMap, Strings


class Options(CommonOptions):
    """Runs a node's pods on a container engine."""

    enable_server: bool = Field(True, description="serve the kubelet's API")
    enable_debugging_handlers: bool = Field(
        True, description="serve logs, exec, attach, port forwarding and their like"
    )
    enable_system_log_handler: bool = Field(True, description="config file's: serve the machine's logs at /logs")
    enable_debug_flags_handler: bool = Field(True, description="config file's: let /debug/flags/v set the verbosity")
    config: str = Field("", description="KubeletConfiguration file (v1beta1); flags win over it")
    hostname_override: str = Field("", description="the node's name instead of the machine's")
    node_ip: str = Field("", description="the node's address")
    address: str = Field("0.0.0.0", description="address that the server listens on")
    port: int = Field(10250, ge=0, le=65535, description="port of the server; 0 turns it off")
    cluster_dns: Strings = Field(default_factory=list, description="addresses of the cluster's DNS servers")
    cluster_domain: str = Field("cluster.local", description="domain of the cluster")
    resolv_conf: str = Field("/etc/resolv.conf", description="resolver configuration that pods' is made from")
    root_dir: str = Field("/var/lib/kubelet", description="folder of the kubelet's files")
    cert_dir: str = Field("", description="folder of certificates that the kubelet gets itself; default ROOT/pki")
    pod_manifest_path: str = Field("", description="folder (or file) of static pods' manifests")
    tls_cert_file: str = Field("", description="certificate of the server; made and signed by itself when missing")
    tls_min_version: Literal["VersionTLS10", "VersionTLS11", "VersionTLS12", "VersionTLS13"] = Field(
        "VersionTLS12", description="least version of TLS that the server speaks; never below VersionTLS12"
    )
    tls_private_key_file: str = Field("", description="key of that certificate")
    client_ca_file: str = Field("", description="CA of client certificates that the server takes")
    anonymous_auth: bool = Field(False, description="let requests without credentials be authorized as anonymous")
    authentication_token_webhook: bool = Field(True, description="let the API server check bearer tokens")
    authorization_mode: Literal["Webhook", "AlwaysAllow"] = Field("Webhook", description="who decides on requests")
    authentication_token_webhook_cache_ttl: Seconds = Field(120.0, description="how long answers about tokens hold")
    authorization_webhook_cache_authorized_ttl: Seconds = Field(300.0, description="how long a permission holds")
    authorization_webhook_cache_unauthorized_ttl: Seconds = Field(30.0, description="how long a refusal holds")
    bootstrap_kubeconfig: str = Field("", description="kubeconfig to get a client certificate with")
    rotate_certificates: bool = Field(True, description="renew the client certificate before it expires")
    rotate_server_certificates: bool = Field(False, description="get the server's certificate from the API server")
    node_labels: StringMap = Field(default_factory=dict, description="labels to register the node with")
    register_with_taints: Strings = Field(
        default_factory=list, description="taints (key=value:effect) to register with"
    )
    register_schedulable: bool = Field(True, description="register the node as schedulable")
    provider_id: str = Field("", description="the node's providerID")
    max_pods: int = Field(110, ge=0, description="number of pods that fit on the node")
    pods_per_core: int = Field(0, ge=0, description="most pods for each processor; 0 for no such limit")
    pod_max_pids: int = Field(-1, description="most processes of a pod; -1 for no limit")
    cgroups_per_qos: bool = Field(True, description="keep control groups for pods and for quality of service classes")
    fail_cgroup_v1: bool = Field(
        False, alias="fail-cgroupv1", description="do not start on a machine with cgroup v1; upstream's default is true"
    )
    single_process_oom_kill: Literal["", "true", "false"] = Field(
        "", description="config file's: short of memory, kill a container's processes one by one (cgroup v2)"
    )
    max_container_restart_period: Seconds = Field(
        300.0, ge=1, le=300, description="config file's: longest delay between a container's restarts"
    )
    cgroup_root: str = Field("", description="control group that kubepods is made in; default /kubeling/CLUSTER/NODE")
    cgroup_driver: Literal["cgroupfs", "systemd"] = Field("cgroupfs", description="the engine's own driver wins")
    enforce_node_allocatable: Strings = Field(
        default_factory=lambda: ["pods"],
        description="what is held by control groups: none, pods, system-reserved, kube-reserved",
    )
    system_reserved_cgroup: str = Field("", description="control group that is held to --system-reserved")
    kube_reserved_cgroup: str = Field("", description="control group that is held to --kube-reserved")
    cpu_cfs_quota: bool = Field(True, description="enforce processor limits")
    cpu_cfs_quota_period: Seconds = Field(0.1, ge=0.001, le=1.0, description="period of those limits")
    system_reserved: StringMap = Field(default_factory=dict, description="resources kept from pods (cpu=200m,...)")
    kube_reserved: StringMap = Field(default_factory=dict, description="resources kept from pods for Kubernetes itself")
    serialize_image_pulls: bool = Field(True, description="pull one image at a time")
    max_parallel_image_pulls: int = Field(0, description="most pulls at a time; 0 for no limit")
    image_gc_high_threshold: int = Field(85, ge=0, le=100, description="percent of disk at which images are removed")
    image_gc_low_threshold: int = Field(80, ge=0, le=100, description="percent of disk at which that stops")
    minimum_image_ttl_duration: Seconds = Field(120.0, description="images younger than this stay")
    image_maximum_gc_age: Seconds = Field(0.0, ge=0, description="unused for longer, an image is removed; 0 for never")
    image_credential_provider_config: str = Field("", description="file or folder that configures credential plugins")
    image_credential_provider_bin_dir: str = Field("", description="folder of the credential plugins' programs")
    image_pull_credentials_verification_policy: Literal[
        "NeverVerify", "NeverVerifyPreloadedImages", "NeverVerifyAllowlistedImages", "AlwaysVerify"
    ] = Field("NeverVerifyPreloadedImages", description="when a pod must show credentials for an image that is there")
    preloaded_images_verification_allowlist: Strings = Field(
        default_factory=list,
        description="repositories that NeverVerifyAllowlistedImages lets everyone use (host/path/*)",
    )
    pod_logs_dir: str = Field(
        str(podlogs.PODS), description="config file's: folder of links to container logs, by pod; an absolute path"
    )
    container_log_max_size: str = Field("10Mi", description="size at which a container's log goes on in a new file")
    container_log_max_files: int = Field(5, ge=2, description="files that are kept of a container's log")
    eviction_hard: str = Field(
        "memory.available<100Mi,nodefs.available<10%,nodefs.inodesFree<5%,imagefs.available<15%,imagefs.inodesFree<5%",
        description="hard eviction thresholds",
    )
    eviction_soft: str = Field("", description="soft eviction thresholds")
    eviction_soft_grace_period: str = Field("", description="how long each soft one has to be met (SIGNAL=1m30s,...)")
    eviction_minimum_reclaim: str = Field("", description="what to reclaim beyond a threshold (SIGNAL=500Mi,...)")
    eviction_pressure_transition_period: Seconds = Field(300.0, description="how long pressure outlasts its cause")
    eviction_max_pod_grace_period: int = Field(0, description="most seconds for a pod that a soft threshold ends")
    volume_stats_agg_period: Seconds = Field(
        60.0, description="time between measurements of what volumes hold; negative: volumes are not measured"
    )
    node_status_update_frequency: Seconds = Field(10.0, gt=0, description="time between looks at the node's status")
    node_status_report_frequency: Seconds = Field(
        300.0, gt=0, description="config file's: time between reports of the node's status when nothing changes"
    )
    node_lease_duration_seconds: int = Field(40, gt=0, description="config file's: how long the node's Lease holds")
    node_status_max_images: int = Field(50, ge=-1, description="most images in the node's status; -1 for all")
    register_node: bool = Field(True, description="create the node's object; otherwise somebody else does")
    shutdown_grace_period: Seconds = Field(0.0, description="config file's: time for pods when the machine shuts down")
    shutdown_grace_period_critical_pods: Seconds = Field(0.0, description="config file's: part of it for critical pods")
    shutdown_grace_period_by_pod_priority: Strings = Field(
        default_factory=list, description="config file's: instead of both, PRIORITY=SECONDS,..."
    )
    seccomp_default: bool = Field(False, description="RuntimeDefault is the seccomp profile of pods that name none")
    allowed_unsafe_sysctls: Strings = Field(
        default_factory=list, description="sysctls (or prefixes ending in *) that pods may set beyond the safe ones"
    )
    seccomp_profile_root: str = Field("", description="folder of Localhost seccomp profiles; default ROOT/seccomp")
    runtime: Literal["docker", "simulated"] = Field("docker", description="ours: what runs containers")
    cluster_name: str = Field("dev", description="ours: cluster that containers are labelled with")
    pod_network: str = Field("", description="ours: Docker network of pods; default kubeling-CLUSTER")
    pod_cidr: str = Field("", description="addresses of that network when it is made")
    kubernetes_version: str = Field("1.36", description="ours: the version that the node presents")


IGNORED = {
    name: "not needed here"
    for name in (
        "container-runtime-endpoint", "image-service-endpoint", "fail-swap-on", "feature-gates", "cloud-provider",
        "pod-infra-container-image", "runtime-cgroups", "volume-plugin-dir", "kubelet-cgroups", "healthz-interval",
    )
}  # fmt: skip
