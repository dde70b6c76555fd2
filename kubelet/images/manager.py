"""Makes sure that a container's image is there (pkg/kubelet/images)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from kubelet.images.credentials import Credential, credentials_for
from kubelet.images.metrics import PULL_SECONDS, size_label
from kubelet.images.plugins import ImagePlugins
from kubelet.images.records import PullRecords
from kubelet.pods.backoff import Backoff
from kubelet.pods.failure import ContainerFailure
from kubelet.pods.spec import ref_of
from kubelet.runtime.protocol import Runtime, RuntimeFailure, RuntimeUnavailable
from kubelet.runtime.records import ImageRecord
from kubeling.api.duration import go_duration
from kubeling.api.images import invalid_reason, parse_image
from kubeling.api.meta import Object
from kubeling.client.clock import Clock


class ContainerEvents(Protocol):
    """Tells about one container of one pod."""

    def __call__(self, type_: str, reason: str, message: str) -> None: ...


class ImageManager:
    """``serial`` pulls one image at a time, as the kubelet does by default; else at most ``parallel`` (0: any number)."""

    def __init__(
        self,
        runtime: Runtime,
        clock: Clock,
        *,
        serial: bool = True,
        parallel: int = 0,
        records: PullRecords | None = None,
        plugins: ImagePlugins | None = None,
    ) -> None:
        self._runtime, self._clock = runtime, clock
        self._plugins = plugins or ImagePlugins((), clock)
        self.records = records or PullRecords(None, clock)
        limit = 1 if serial else parallel
        self._slots = asyncio.Semaphore(limit) if limit else None
        self._backoff = Backoff(timedelta(seconds=10), timedelta(seconds=300))
        self._last_errors: dict[tuple[str, str], str] = {}
        self._pulling: dict[str, float] = {}
        self.used: dict[str, float] = {}  # image id to the last time that a container used it

    async def ensure(
        self, pod: Object, container: Object, secrets: Sequence[Object], tell: ContainerEvents
    ) -> ImageRecord:
        """The container's image. Raises ContainerFailure with the reason that its status shows."""
        name = container.get("image") or ""
        if parse_image(name) is None:
            why = f'couldn\'t parse image name "{name}": {invalid_reason(name)}'
            message = f'Failed to apply default image tag "{name}": {why}'
            tell("Warning", "InspectFailed", message)
            raise ContainerFailure("InvalidImageName", message)
        policy = container.get("imagePullPolicy") or "IfNotPresent"
        credentials = [*credentials_for(name, secrets), *await self._plugins.credentials(name)]
        present = None if policy == "Always" else await self._inspect(name, tell)
        if present is not None and await self.records.may_use(name, present.id, credentials):
            tell(
                "Normal",
                "Pulled",
                f'Container image "{name}" already present on machine and can be accessed by the pod',
            )
            return self._use(present)
        if (
            policy == "Never"
        ):  # the same words where the image is there for others only: its presence is no business of this pod's
            message = f'Container image "{name}" is not present with pull policy of Never'
            tell("Warning", "ErrImageNeverPull", message)
            raise ContainerFailure("ErrImageNeverPull", message)
        return self._use(await self._pull(ref_of(pod).uid, name, credentials, tell))

    def pulling(self, uid: str) -> float:
        """For how many seconds images of the pod were pulled, waiting included."""
        return self._pulling.get(uid, 0.0)

    def release(self, uid: str) -> None:
        """The pod has gone."""
        self._pulling.pop(uid, None)

    async def load(self) -> None:
        """What an earlier process recorded of its pulls. Raises RuntimeFailure and OSError."""
        images = await self._runtime.images()
        await self.records.load({tag: image.id for image in images for tag in (*image.tags, *image.digests)})

    async def _inspect(self, name: str, tell: ContainerEvents) -> ImageRecord | None:
        try:
            return await self._runtime.image(name)
        except RuntimeUnavailable:
            raise
        except RuntimeFailure as err:
            message = f'Failed to inspect image "{name}": {err}'
            tell("Warning", "InspectFailed", message)
            raise ContainerFailure("ImageInspectError", message) from err

    def _use(self, image: ImageRecord) -> ImageRecord:
        self.used[image.id] = self._clock.now().timestamp()
        return image

    async def _pull(self, uid: str, name: str, credentials: Sequence[Credential], tell: ContainerEvents) -> ImageRecord:
        key, now = (uid, name), self._clock.now()
        last = self._backoff.last_update(key)
        until = self._backoff.until(key, last) if last else None
        if until is not None and until > now:
            message = f'Back-off pulling image "{name}"'
            tell("Normal", "BackOff", message)
            error = self._last_errors.get(key)
            raise ContainerFailure("ImagePullBackOff", message + (f": ErrImagePull: {error}" if error else ""), until)
        self._last_errors.pop(key, None)
        tell("Normal", "Pulling", f'Pulling image "{name}"')
        asked = self._clock.monotonic()
        await self.records.begin(name)
        try:
            image, seconds = await self._pull_in_turn(name, credentials)
        except RuntimeUnavailable:
            raise
        except RuntimeFailure as err:
            tell("Warning", "Failed", f'Failed to pull image "{name}": {err}')
            now = self._clock.now()
            self._backoff.next(key, now, now)
            self._last_errors[key] = str(err)
            raise ContainerFailure("ErrImagePull", str(err), self._backoff.until(key, now)) from err
        finally:
            self._pulling[uid] = self._pulling.get(uid, 0.0) + self._clock.monotonic() - asked
            await self.records.end(name)
        in_all = self._clock.monotonic() - asked
        tell(
            "Normal",
            "Pulled",
            f'Successfully pulled image "{name}" in {go_duration(seconds)} '
            f"({go_duration(in_all)} including waiting). Image size: {image.size} bytes.",
        )
        PULL_SECONDS.labels(size_label(image.size)).observe(in_all)
        self._backoff.collect(self._clock.now())  # as upstream: trouble that is over is remembered for ten minutes
        return image

    async def _pull_in_turn(self, name: str, credentials: Sequence[Credential]) -> tuple[ImageRecord, float]:
        """Pulls when it is our turn; answers also the seconds that the pull itself took."""
        async with self._slots or contextlib.nullcontext():
            begun = self._clock.monotonic()
            credential = await self._pull_with(name, credentials)
            image = await self._runtime.image(name)
            if image is None:
                raise RuntimeFailure("the image is not there after it was pulled")
            await self.records.pulled(name, image.id, credential)
            return image, self._clock.monotonic() - begun

    async def _pull_with(self, name: str, credentials: Sequence[Credential]) -> Credential | None:
        """Tries each matching login, without any as nobody; answers the one that the registry took."""
        reference = name if "@" in name or ":" in name.rpartition("/")[2] else f"{name}:latest"
        failures: list[str] = []
        for credential in credentials or (None,):
            try:
                await self._runtime.pull(reference, credential.auth if credential else None)
                return credential
            except RuntimeUnavailable:
                raise
            except RuntimeFailure as err:
                failures.append(str(err))
        distinct = list(dict.fromkeys(failures))
        raise RuntimeFailure(distinct[0] if len(distinct) == 1 else f"[{', '.join(distinct)}]")
