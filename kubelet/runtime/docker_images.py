"""The Docker engine's images through aiodocker, and how that library's failures are told."""

from __future__ import annotations

import asyncio
import tarfile
import tempfile
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import IO, TypeVar

import aiodocker
import aiohttp

from kubelet.runtime import docker_config as config
from kubelet.runtime.protocol import NotFound, RuntimeFailure, RuntimeUnavailable
from kubelet.runtime.records import ImageRecord

T = TypeVar("T")
_IMAGE_TTL = 30.0
_PIECE = 1 << 20
_NO_CONNECTION = 900  # aiodocker's own "status" for an engine that it cannot connect to


async def call(action: Awaitable[T]) -> T:
    """Translates the library's failures."""
    try:
        return await action
    except aiodocker.DockerError as err:
        raise failure_of(err) from err
    except (aiohttp.ClientError, OSError) as err:
        raise RuntimeUnavailable(f"the Docker engine does not answer: {err}") from err


def failure_of(err: aiodocker.DockerError) -> RuntimeFailure:
    """What an answer of the engine, or the lack of one, means."""
    if err.status == 404:
        return NotFound(err.message)
    return (RuntimeUnavailable if err.status == _NO_CONNECTION else RuntimeFailure)(err.message)


class DockerImages:
    """The part of the runtime that is about images. Whoever derives from it sets ``_engine``."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster
        self._engine: aiodocker.Docker
        self._helper_labels = {config.CLUSTER: cluster}
        self._images: dict[str, tuple[float, ImageRecord]] = {}

    async def images(self) -> list[ImageRecord]:
        return [config.image_record(i) for i in await call(self._engine.images.list())]

    async def image(self, name: str) -> ImageRecord | None:
        now = asyncio.get_running_loop().time()
        known = self._images.get(name)
        if known and now - known[0] < _IMAGE_TTL:
            return known[1]
        try:
            record = config.image_record(await call(self._engine.images.inspect(name)))
        except NotFound:
            self._images.pop(name, None)
            return None
        self._images[name] = (now, record)
        return record

    async def pull(self, name: str, auth: Mapping[str, str] | None) -> None:
        self._images.pop(name, None)

        async def run() -> None:
            async for line in self._engine.images.pull(name, auth=dict(auth) if auth else None, stream=True):
                if "error" in line:
                    raise RuntimeFailure(line["error"])

        await call(run())

    async def remove_image(self, image_id: str) -> None:
        self._images.clear()
        await call(self._engine.images.delete(image_id))

    async def image_layers(self, image_id: str) -> tuple[str, ...]:
        driver = (await call(self._engine.images.inspect(image_id))).get("GraphDriver") or {}
        if driver.get("Name") != "overlay2":
            return ()
        data = driver.get("Data") or {}
        return tuple(filter(None, (data.get("UpperDir"), *(data.get("LowerDir") or "").split(":"))))

    async def image_file(self, name: str, path: str) -> bytes:
        container = await call(
            self._engine.containers.create({"Image": name, "Cmd": ["/"], "Labels": {config.CLUSTER: self._cluster}})
        )
        try:
            archive = await call(container.get_archive(path))
            member = archive.next()
            found = archive.extractfile(member) if member is not None and member.isfile() else None
            return found.read() if found is not None else b""
        except NotFound:
            return b""
        finally:
            await container.delete(force=True, v=True)

    async def extract_image(self, name: str, folder: str) -> None:
        container = await call(
            self._engine.containers.create({"Image": name, "Cmd": ["/"], "Labels": self._helper_labels})
        )
        try:
            with tempfile.TemporaryFile(dir=folder) as archive:  # not in memory: images may be large
                async with self._engine._query(
                    f"containers/{container.id}/export", "GET", timeout=aiohttp.ClientTimeout()
                ) as response:
                    async for piece in response.content.iter_chunked(_PIECE):
                        await asyncio.to_thread(archive.write, piece)
                await asyncio.to_thread(_unpack, archive, Path(folder))
        finally:
            await container.delete(force=True, v=True)


def _unpack(archive: IO[bytes], folder: Path) -> None:
    archive.seek(0)
    with tarfile.open(fileobj=archive) as members:
        members.extractall(folder, filter="tar")
