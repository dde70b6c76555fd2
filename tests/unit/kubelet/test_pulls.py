"""Images of containers and of the volumes that they mount."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubelet.containers.build import VolumePath
from kubelet.images.manager import ImageManager
from kubelet.pods.failure import ContainerFailure
from kubelet.pods.pulls import PodImages, image_labels
from kubelet.volumes.base import ObjectUnavailable
from kubelet.volumes.image import ImageVolumes, image_key, mounted_images
from kubeling.client.clock import FakeClock
from tests.unit.kubelet.test_images import Registry


class Events:
    """Remembers what was told, and about which field."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []

    def event(self, obj: Any, type_: str, reason: str, message: str, *, field_path: str = "", **more: Any) -> None:
        self.told.append((reason, message, field_path))


class Secrets:
    """Those that there are; asking for ``away`` fails."""

    async def get(self, resource: Any, namespace: str, name: str, pod_uid: str) -> Any:
        if name == "away":
            raise ObjectUnavailable("the server is away")
        return {"metadata": {"name": name}} if name == "there" else None


def pod(*images: str, **spec: Any) -> dict[str, Any]:
    volumes = [{"name": f"v{n}", "image": {"reference": image}} for n, image in enumerate(images)]
    mounts = [{"name": v["name"], "mountPath": f"/{v['name']}"} for v in volumes]
    container = {"name": "c", "image": "app:1", "volumeMounts": mounts}
    metadata = {"name": "p", "namespace": "ns", "uid": "u1"}
    return {"metadata": metadata, "spec": {"containers": [container], "volumes": volumes, **spec}}


def images_of(registry: Registry, folder: Path) -> tuple[PodImages, Events]:
    runtime: Any = registry
    events = Events()
    volumes = ImageVolumes(runtime, may_mount=False)
    return PodImages(ImageManager(runtime, FakeClock()), Secrets(), events, volumes), events


async def test_an_image_volume_is_pulled_as_a_containers_image_is(tmp_path: Path) -> None:
    given, registry = pod("data:1"), Registry({"data:1"}, set())
    images, events = images_of(registry, tmp_path)
    found = await images.of_volumes(given, given["spec"]["containers"][0])
    assert [reason for reason, _, _ in events.told] == ["Pulling", "Pulled"]
    assert {field for _, _, field in events.told} == {""}  # about the pod: several containers may mount it
    shown = await images.show(found, {"v0": VolumePath(str(tmp_path / "v"), image=True), "e": VolumePath("/e")})
    key = image_key(found["v0"].id)
    assert (shown["v0"].path, shown["v0"].read_only, shown["e"].path) == (str(tmp_path / "v" / key), True, "/e")
    assert image_labels(found) == {"kubeling.image-volume.v0": "docker://sha256:1"}


async def test_the_container_waits_for_what_its_image_volumes_wait_for(tmp_path: Path) -> None:
    given = pod("gone:1", "data:1")
    images, events = images_of(Registry({"data:1"}, set()), tmp_path)
    for reason in ("ErrImagePull", "ImagePullBackOff"):
        with pytest.raises(ContainerFailure) as caught:
            await images.of_volumes(given, given["spec"]["containers"][0])
        assert caught.value.reason == reason
        assert ("Failed", f"Error: {reason}", "spec.containers{c}") in events.told
    assert ("BackOff", 'Back-off pulling image "gone:1"', "") in events.told


async def test_secrets_that_are_missing_are_told_together(tmp_path: Path) -> None:
    names = ["no", "there", "", "away"]
    given = pod(imagePullSecrets=[{"name": n} for n in names])
    images, events = images_of(Registry(set(), {"app:1"}), tmp_path)
    await images.of_container(given, given["spec"]["containers"][0])
    assert events.told[0][:2] == (
        "FailedToRetrieveImagePullSecret",
        "Unable to retrieve some image pull secrets (no, away); attempting to pull the image may not succeed.",
    )


def test_images_that_volumes_show(tmp_path: Path) -> None:
    (tmp_path / "u1/volumes/kubernetes.io~image/v/0123456789abcdef").mkdir(parents=True)
    (tmp_path / "u1/volumes/kubernetes.io~empty-dir/v/other").mkdir(parents=True)
    assert mounted_images(tmp_path) == {image_key("sha256:0123456789abcdef0123")}
