"""The images that a container needs: its own, and those of the image volumes that it mounts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kubelet.containers.build import IMAGE_LABEL, VolumePath
from kubelet.images.manager import ImageManager
from kubelet.pods import spec as podspec
from kubelet.pods.failure import ContainerFailure
from kubelet.pods.recorder import Recorder, container_events
from kubelet.runtime.records import ImageRecord
from kubelet.volumes.base import Objects, ObjectUnavailable
from kubelet.volumes.image import ImageVolumes
from kubeling.api.meta import Object
from kubeling.api.resources import SECRETS


class PodImages:
    """Pulls as the pods' policies and secrets say; one for all pods."""

    def __init__(self, images: ImageManager, objects: Objects, recorder: Recorder, volumes: ImageVolumes) -> None:
        self._images, self._objects, self._recorder, self._volumes = images, objects, recorder, volumes

    async def of_container(self, pod: Object, container: Object) -> ImageRecord:
        """Raises ContainerFailure, after events have told why."""
        tell = container_events(self._recorder, pod, container)
        try:
            return await self._images.ensure(pod, container, await self._pull_secrets(pod), tell)
        except ContainerFailure as err:
            tell("Warning", "Failed", f"Error: {err.reason}")  # beside what the image manager has told
            raise

    async def of_volumes(self, pod: Object, container: Object) -> dict[str, ImageRecord]:
        """Images of the volumes that the container mounts, by the volume's name. Each that fails is told; raises the last
        ContainerFailure, which the container's status shows."""
        wanted = {m["name"] for m in container.get("volumeMounts") or ()}
        sources = {v["name"]: v["image"] for v in podspec.spec_of(pod).get("volumes") or () if v.get("image")}
        found: dict[str, ImageRecord] = {}
        failure: ContainerFailure | None = None
        for name in sorted(wanted & sources.keys()):
            try:
                found[name] = await self._pull_volume(pod, sources[name])
            except ContainerFailure as err:
                container_events(self._recorder, pod, container)("Warning", "Failed", f"Error: {err.reason}")
                failure = err
        if failure is not None:
            raise failure
        return found

    async def _pull_volume(self, pod: Object, source: Mapping[str, Any]) -> ImageRecord:
        def tell(type_: str, reason: str, message: str) -> None:
            self._recorder.event(pod, type_, reason, message)

        as_container = {"image": source.get("reference") or "", "imagePullPolicy": source.get("pullPolicy")}
        return await self._images.ensure(pod, as_container, await self._pull_secrets(pod), tell)

    async def show(
        self, images: Mapping[str, ImageRecord], volumes: Mapping[str, VolumePath]
    ) -> Mapping[str, VolumePath]:
        """The volumes with the images' files in place. Raises RuntimeFailure and OSError."""
        shown = {
            name: await self._volumes.prepare(Path(volumes[name].path), image)
            for name, image in images.items()
            if name in volumes
        }
        return {**volumes, **shown}

    async def _pull_secrets(self, pod: Object) -> list[Object]:
        """The secrets that ``imagePullSecrets`` name; missing ones are skipped, as upstream does."""
        ref = podspec.ref_of(pod)
        found: list[Object] = []
        missing: list[str] = []
        for name in (entry.get("name") for entry in podspec.spec_of(pod).get("imagePullSecrets") or ()):
            if not name:
                continue
            try:
                secret = await self._objects.get(SECRETS, ref.namespace, name, ref.uid)
            except ObjectUnavailable:
                secret = None
            if secret is None:
                missing.append(name)
            else:
                found.append(secret)
        if missing:
            message = (
                f"Unable to retrieve some image pull secrets ({', '.join(missing)}); "
                "attempting to pull the image may not succeed."
            )
            self._recorder.event(pod, "Warning", "FailedToRetrieveImagePullSecret", message)
        return found


def image_labels(images: Mapping[str, ImageRecord]) -> dict[str, str]:
    """What a container says of the image volumes that it was made with."""
    return {IMAGE_LABEL + name: image.shown for name, image in images.items()}
