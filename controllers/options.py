"""Flags of the controller manager: kube-controller-manager's names and defaults."""

from __future__ import annotations

from pydantic import Field

from kubeling.client.flags import CommonOptions, LeaderOptions, Seconds, Strings


class Options(CommonOptions, LeaderOptions):
    """Runs Kubernetes' controllers against an API server."""

    controllers: Strings = Field(
        ["*"], description="controllers to run: '*' all that are on by default, 'foo' also foo, '-foo' without foo"
    )
    leader_elect_resource_name: str = Field("kube-controller-manager", description="name of the Lease")
    root_ca_file: str = Field("", description="CA certificate published to every namespace (kube-root-ca.crt)")
    service_account_private_key_file: str = Field("", description="key that signs service account token secrets")
    service_account_issuer: str = Field("", description="issuer of service account token secrets")
    cluster_signing_cert_file: str = Field("", description="CA certificate that signs certificate requests")
    cluster_signing_key_file: str = Field("", description="key of --cluster-signing-cert-file")
    cluster_signing_duration: Seconds = Field(31536000.0, description="longest life of a signed certificate")
    cluster_name: str = Field("kubernetes", description="name of the cluster")
    cluster_cidr: str = Field("", description="range of the pods' addresses")
    service_cluster_ip_range: str = Field("", description="range of the services' addresses")
    allocate_node_cidrs: bool = Field(False, description="give every node a part of --cluster-cidr")
    node_cidr_mask_size: int = Field(24, description="size of a node's part of --cluster-cidr")
    node_monitor_period: Seconds = Field(5.0, description="how often nodes are looked at")
    node_monitor_grace_period: Seconds = Field(50.0, description="silence after which a node is unknown")
    node_startup_grace_period: Seconds = Field(60.0, description="silence allowed to a node that starts")
    node_eviction_rate: float = Field(0.1, description="nodes a second whose pods are evicted in a healthy zone")
    secondary_node_eviction_rate: float = Field(0.01, description="the rate in an unhealthy zone")
    large_cluster_size_threshold: int = Field(50, description="zones up to this size stop evicting when unhealthy")
    unhealthy_zone_threshold: float = Field(0.55, description="part of not ready nodes that makes a zone unhealthy")
    terminated_pod_gc_threshold: int = Field(12500, description="finished pods kept; 0 keeps all")
    horizontal_pod_autoscaler_sync_period: Seconds = Field(15.0, description="how often autoscalers are looked at")
    horizontal_pod_autoscaler_downscale_stabilization: Seconds = Field(300.0, description="how far back to look")
    horizontal_pod_autoscaler_tolerance: float = Field(0.1, description="ratio near 1 that changes nothing")
    horizontal_pod_autoscaler_cpu_initialization_period: Seconds = Field(300.0, description="start-up allowance")
    horizontal_pod_autoscaler_initial_readiness_delay: Seconds = Field(30.0, description="readiness allowance")
    pvclaimbinder_sync_period: Seconds = Field(15.0, description="how often claims are looked at")
    resource_quota_sync_period: Seconds = Field(300.0, description="how often quotas are counted again")
    max_endpoints_per_slice: int = Field(100, ge=1, le=1000, description="endpoints in one EndpointSlice")
    enable_hostpath_provisioner: bool = Field(True, description="provision local volumes for the default StorageClass")
    hostpath_provisioner_root: str = Field("/var/lib/kubeling/volumes", description="where local volumes live")
    legacy_service_account_token_clean_up_period: Seconds = Field(31536000.0, description="unused tokens' life")


_OTHER = "has no counterpart here"
IGNORED = {
    "allow-untagged-cloud": "there is no cloud provider",
    "authentication-kubeconfig": "health and metrics are served on loopback without authentication",
    "authorization-kubeconfig": "health and metrics are served on loopback without authorization",
    "bind-address": "use --healthz-bind-address",
    "cert-dir": "health and metrics are served without TLS",
    "client-ca-file": "health and metrics are served without TLS",
    "cloud-provider": "there is no cloud provider",
    "concurrent-deployment-syncs": "workers are coroutines; their number is fixed",
    "concurrent-endpoint-syncs": "workers are coroutines; their number is fixed",
    "concurrent-gc-syncs": "workers are coroutines; their number is fixed",
    "concurrent-namespace-syncs": "workers are coroutines; their number is fixed",
    "concurrent-replicaset-syncs": "workers are coroutines; their number is fixed",
    "configure-cloud-routes": "there is no cloud provider",
    "contention-profiling": _OTHER,
    "feature-gates": "features are on as in a default cluster",
    "flex-volume-plugin-dir": "FlexVolume is not supported",
    "kube-api-burst": "requests are not limited on the client's side",
    "kube-api-content-type": "JSON is spoken always",
    "kube-api-qps": "requests are not limited on the client's side",
    "leader-elect-resource-lock": "leases are used always",
    "min-resync-period": "informers do not resync; a controller looks again when it asks for it",
    "profiling": _OTHER,
    "requestheader-client-ca-file": "health and metrics are served without TLS",
    "secure-port": "use --healthz-port",
    "tls-cert-file": "health and metrics are served without TLS",
    "tls-private-key-file": "health and metrics are served without TLS",
    "use-service-account-credentials": "all controllers share one identity",
}
