"""emptyDir volumes of huge pages: which page size."""

from __future__ import annotations

from typing import Any

import pytest

from kubelet.volumes.base import VolumeError
from kubelet.volumes.emptydir import huge_page_size


def pod(*sizes: str, whole: str = "") -> dict[str, Any]:
    containers = [{"name": s, "resources": {"requests": {f"hugepages-{s}": "2Mi", "memory": "1Mi"}}} for s in sizes]
    own = {"resources": {"requests": {f"hugepages-{whole}": "2Mi"}}} if whole else {}
    return {"spec": {"containers": containers, **own}}


@pytest.mark.parametrize(
    ("given", "medium", "size"),
    [
        (pod("2Mi"), "HugePages", "2Mi"),
        (pod("2Mi", "2048Ki"), "HugePages", "2048Ki"),
        (pod("2Mi", "1Gi"), "HugePages-1Gi", "1Gi"),
        (pod(whole="1Gi"), "HugePages", "1Gi"),
    ],
)
def test_the_page_size_is_what_containers_request(given: dict[str, Any], medium: str, size: str) -> None:
    assert huge_page_size(given, medium) == size


@pytest.mark.parametrize(
    ("given", "medium", "message"),
    [
        (
            pod("2Mi", "1Gi"),
            "HugePages",
            "medium: HugePages can't be used if container requests multiple huge page sizes",
        ),
        (pod(), "HugePages", "medium HugePages: hugePages storage requested, but there is no resource request"),
        (pod("2Mi"), "HugePages-1Gi", "medium HugePages-1Gi: hugePages storage requested, but there is no resource"),
    ],
)
def test_volumes_of_pages_that_nobody_requests(given: dict[str, Any], medium: str, message: str) -> None:
    with pytest.raises(VolumeError, match=f"^{message}"):
        huge_page_size(given, medium)
