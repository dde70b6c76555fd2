"""The folder of manifests: what comes, changes and goes, also between two looks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from kubelet.pods.static import StaticPods
from kubeling.api.meta import Object, name_of
from kubeling.client.clock import FakeClock

MANIFEST = "{kind: Pod, metadata: {name: web}, spec: {containers: [{name: c, image: app:1}]}}"


class Folder:
    """A clock that stands still: what is told is told because something happened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.told: list[str] = []
        self.clock = FakeClock()
        self.pods = StaticPods(path, "n1", self.clock, self._teller("put"), self._teller("drop"))

    def _teller(self, verb: str) -> Callable[[Object], None]:
        return lambda pod: self.told.append(f"{verb} {name_of(pod)}")

    async def until(self, *told: str) -> None:
        async with asyncio.timeout(5):
            while self.told != list(told):
                await asyncio.sleep(0.005)

    async def looked(self) -> None:
        async with asyncio.timeout(5):
            while not self.pods.scanned:
                await asyncio.sleep(0.005)


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Folder]:
    folder = Folder(tmp_path / "manifests")
    folder.path.mkdir()
    task = asyncio.create_task(folder.pods.run())
    await folder.looked()
    yield folder
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_manifest_that_goes_and_comes_back_at_once_begins_anew(folder: Folder) -> None:
    file = folder.path / "web.yaml"
    file.write_text(MANIFEST)
    await folder.until("put web-n1")
    file.unlink()
    file.write_text(MANIFEST)
    await folder.until("put web-n1", "drop web-n1", "put web-n1")
    file.rename(folder.path / ".away")
    await folder.until("put web-n1", "drop web-n1", "put web-n1", "drop web-n1")


async def test_a_manifest_that_is_replaced_by_the_same_goes_on(folder: Folder) -> None:
    file = folder.path / "web.yaml"
    file.write_text(MANIFEST)
    await folder.until("put web-n1")
    (folder.path / ".new").write_text(MANIFEST)
    (folder.path / ".new").rename(file)
    (folder.path / "other.yaml").write_text(MANIFEST.replace("web", "other"))
    async with asyncio.timeout(5):
        while "put other-n1" not in folder.told:
            await asyncio.sleep(0.005)
    assert "drop web-n1" not in folder.told


async def test_a_folder_may_come_later(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "manifests")
    task = asyncio.create_task(folder.pods.run())
    await folder.looked()
    folder.path.mkdir()
    (folder.path / "web.yaml").write_text(MANIFEST)
    await folder.clock.advance(1)
    await folder.until("put web-n1")
    (folder.path / "web.yaml").unlink()
    await folder.until("put web-n1", "drop web-n1")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
