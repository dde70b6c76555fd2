"""Makes sure that a container's image is there (pkg/kubelet/images)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from kubelet.images.credentials import credentials_for
from kubelet.pods.backoff import Backoff
from kubelet.pods.failure import ContainerFailure
from kubelet.pods.spec import ref_of
from kubelet.runtime.protocol import ImageRecord, Runtime, RuntimeFailure
from kubeling.api.images import parse_image
from kubeling.api.meta import Object
from kubeling.client.clock import Clock


class ContainerEvents(Protocol):
    """Tells about one container of one pod."""

    def __call__(self, type_: str, reason: str, message: str) -> None: ...


def go_duration(seconds: float) -> str:
    """As Go prints a duration rounded to milliseconds: ``850ms``, ``1.234s``, ``1m2.5s``."""
    millis = round(seconds * 1000)
    if millis < 1000:
        return f"{millis}ms" if millis else "0s"
    minutes, rest = divmod(millis, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + text


class ImageManager:
    """``serial`` pulls one image at a time, as the kubelet does by default; else at most ``parallel`` (0: any number)."""

    def __init__(self, runtime: Runtime, clock: Clock, *, serial: bool = True, parallel: int = 0) -> None:
        self._runtime, self._clock = runtime, clock
        limit = 1 if serial else parallel
        self._slots = asyncio.Semaphore(limit) if limit else None
        self._backoff = Backoff(timedelta(seconds=10), timedelta(seconds=300))
        self._last_errors: dict[tuple[str, str], str] = {}
        self.used: dict[str, float] = {}  # image id to the last time that a container used it

    async def ensure(
        self, pod: Object, container: Object, secrets: Sequence[Object], tell: ContainerEvents
    ) -> ImageRecord:
        """The container's image. Raises ContainerFailure with the reason that its status shows."""
        name = container.get("image") or ""
        if parse_image(name) is None:
            message = f'Failed to apply default image tag "{name}": couldn\'t parse image name "{name}": invalid reference format'
            tell("Warning", "InspectFailed", message)
            raise ContainerFailure("InvalidImageName", message)
        try:
            present = await self._runtime.image(name)
        except RuntimeFailure as err:
            message = f'Failed to inspect image "{name}": {err}'
            tell("Warning", "InspectFailed", message)
            raise ContainerFailure("ImageInspectError", message) from err
        policy = container.get("imagePullPolicy") or "IfNotPresent"
        if policy != "Always" and present is not None:
            tell(
                "Normal",
                "Pulled",
                f'Container image "{name}" already present on machine and can be accessed by the pod',
            )
            return self._use(present)
        if policy == "Never":
            message = f'Container image "{name}" is not present with pull policy of Never'
            tell("Warning", "ErrImageNeverPull", message)
            raise ContainerFailure("ErrImageNeverPull", message)
        return self._use(await self._pull(ref_of(pod).uid, name, secrets, tell))

    def _use(self, image: ImageRecord) -> ImageRecord:
        self.used[image.id] = self._clock.now().timestamp()
        return image

    async def _pull(self, uid: str, name: str, secrets: Sequence[Object], tell: ContainerEvents) -> ImageRecord:
        key, now = (uid, name), self._clock.now()
        last = self._backoff.last_update(key)
        until = self._backoff.until(key, last) if last else None
        if until is not None and until > now:
            message = f'Back-off pulling image "{name}"'
            tell("Normal", "BackOff", message)
            error = self._last_errors.get(key)
            raise ContainerFailure("ImagePullBackOff", message + (f": ErrImagePull: {error}" if error else ""), until)
        tell("Normal", "Pulling", f'Pulling image "{name}"')
        started = self._clock.monotonic()
        try:
            waited = await self._pull_in_turn(name, secrets)
            image = await self._runtime.image(name)
            if image is None:
                raise RuntimeFailure("the image is not there after it was pulled")
        except RuntimeFailure as err:
            tell("Warning", "Failed", f'Failed to pull image "{name}": {err}')
            now = self._clock.now()
            self._backoff.next(key, now, now)
            self._last_errors[key] = str(err)
            raise ContainerFailure("ErrImagePull", str(err), self._backoff.until(key, now)) from err
        total = self._clock.monotonic() - started
        tell(
            "Normal",
            "Pulled",
            f'Successfully pulled image "{name}" in {go_duration(total - waited)} '
            f"({go_duration(total)} including waiting). Image size: {image.size} bytes.",
        )
        self._backoff.forget(key)
        self._last_errors.pop(key, None)
        return image

    async def _pull_in_turn(self, name: str, secrets: Sequence[Object]) -> float:
        """Pulls when it is our turn; answers the seconds waited for it."""
        asked = self._clock.monotonic()
        if self._slots is None:
            await self._pull_with(name, secrets)
            return 0.0
        async with self._slots:
            waited = self._clock.monotonic() - asked
            await self._pull_with(name, secrets)
            return waited

    async def _pull_with(self, name: str, secrets: Sequence[Object]) -> None:
        """Tries each matching login; without any, as nobody."""
        reference = name if parse_image(name) and ("@" in name or ":" in name.rpartition("/")[2]) else f"{name}:latest"
        failure: RuntimeFailure | None = None
        logins: list[dict[str, str] | None] = [*credentials_for(name, secrets)] or [None]
        for login in logins:
            try:
                await self._runtime.pull(reference, login)
                return
            except RuntimeFailure as err:
                failure = err
        if failure is not None:
            raise failure
