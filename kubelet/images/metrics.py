"""Metrics of images under upstream's names (pkg/kubelet/metrics, pkg/kubelet/images), served at /metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

REGISTRY = CollectorRegistry()
PULL_SECONDS = Histogram(
    "kubelet_image_pull_duration_seconds",
    "[ALPHA] Duration in seconds to pull an image.",
    ["image_size_in_bytes"],
    buckets=(1, 5, 10, 20, 30, 60, 180, 300, 600, 900, 1200, 1800, 2700, 3600),
    registry=REGISTRY,
)
COLLECTED = Counter(
    "kubelet_image_garbage_collected",
    "[ALPHA] Total number of images garbage collected by the kubelet, whether through disk usage or image age.",
    ["reason"],
    registry=REGISTRY,
)
_MB, _GB = 1024**2, 1024**3
# what is larger than so many bytes belongs there
_SIZES = (
    (100 * _GB, "GT100GB"),
    (60 * _GB, "60GB-100GB"),
    (40 * _GB, "40GB-60GB"),
    (30 * _GB, "30GB-40GB"),
    (20 * _GB, "20GB-30GB"),
    (10 * _GB, "10GB-20GB"),
    (5 * _GB, "5GB-10GB"),
    (_GB, "1GB-5GB"),
    (500 * _MB, "500MB-1GB"),
    (100 * _MB, "100MB-500MB"),
    (10 * _MB, "10MB-100MB"),
    (0, "0-10MB"),
)


def size_label(size: int) -> str:
    """The class of sizes that an image of so many bytes belongs to."""
    return next((label for least, label in _SIZES if size > least), "N/A")
