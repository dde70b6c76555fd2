"""Sub paths and recursive read-only mounts."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubelet.containers.build import VolumePath, container_mounts
from kubelet.containers.failure import ConfigError
from kubelet.runtime.specs import Mount
from kubelet.volumes import mounts
from kubelet.volumes.subpath import Part, prepare

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "places/v/c/0"
    mounts.remove_tree(tmp_path / "places")


def part(volume: Path, sub_path: str, place: Path, **more: Any) -> Part:
    return Part("v", "c", Mount(str(volume), "/x"), sub_path, place, **more)


def test_missing_folders_are_made_with_the_volumes_mode(tmp_path: Path, place: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    volume.chmod(0o2770)
    assert prepare(part(volume, "a/b", place), may_mount=False).source == str(volume / "a/b")
    assert (volume / "a/b").stat().st_mode & 0o7777 == (volume / "a").stat().st_mode & 0o7777 == 0o2770


@pytest.mark.parametrize(
    ("sub_path", "message"),
    [
        ("/x", "error SubPath `/x` must not be an absolute path"),
        ("../x", "unable to provision SubPath `../x`: must not contain '..'"),
        ("link", 'failed to prepare subPath for volumeMount "v" of container "c"'),
        ("link/passwd", 'failed to prepare subPath for volumeMount "v" of container "c"'),
        ("link/new", 'failed to create subPath directory for volumeMount "v" of container "c"'),
        ("dangling", 'failed to create subPath directory for volumeMount "v" of container "c"'),
        ("file/x", 'failed to create subPath directory for volumeMount "v" of container "c"'),
    ],
)
@pytest.mark.parametrize("may_mount", [False, pytest.param(True, marks=AS_ROOT)])
def test_what_leads_out_of_the_volume_is_refused(
    tmp_path: Path, place: Path, sub_path: str, message: str, may_mount: bool
) -> None:
    volume, outside = tmp_path / "volume", tmp_path / "outside"
    volume.mkdir()
    outside.mkdir()
    (outside / "passwd").touch()
    (volume / "file").touch()
    (volume / "link").symlink_to(outside)
    (volume / "dangling").symlink_to(outside / "not-there")
    with pytest.raises(ConfigError) as caught:
        prepare(part(volume, sub_path, place), may_mount=may_mount)
    assert str(caught.value) == message
    assert [p.name for p in outside.iterdir()] == ["passwd"]


@AS_ROOT
def test_a_link_that_stays_inside_is_bound_where_it_leads(tmp_path: Path, place: Path) -> None:
    volume = tmp_path / "volume"
    (volume / "real").mkdir(parents=True)
    (volume / "real/file").write_text("old")
    (volume / "link").symlink_to("real")
    mount = prepare(part(volume, "link/file", place), may_mount=True)
    assert mount.source == str(place) and place.read_text() == "old"
    (volume / "real").rename(volume / "moved")  # too late to lead anybody elsewhere
    (volume / "real").symlink_to("/etc")
    assert place.read_text() == "old"
    (volume / "other").mkdir()
    assert prepare(part(volume, "other", place), may_mount=True).source == str(place)  # the next run, a folder now
    assert place.is_dir() and len(mounts.mounted_below(place)) == 1


@AS_ROOT
def test_read_only_all_the_way_down(tmp_path: Path, place: Path) -> None:
    volume = tmp_path / "volume"
    (volume / "inner").mkdir(parents=True)
    mounts.mount_tmpfs(volume / "inner", 1 << 20)
    try:
        (volume / "inner/file").touch()
        wanted = Part("v", "c", Mount(str(volume), "/x", True, "rprivate", True), "", place)
        mount = prepare(wanted, may_mount=True)
        assert mount.source == str(place)
        for path in ("file", "inner/file"):
            with pytest.raises(OSError) as caught:
                (place / path).write_text("x")
            assert caught.value.errno == errno.EROFS
        (volume / "inner/file").write_text("x")  # where it is not read-only
    finally:
        mounts.remove_tree(tmp_path / "places")
        mounts.remove_tree(volume)


def of(mode: str | None, **more: Any) -> dict[str, Any]:
    mount = {"name": "v", "mountPath": "/m", "readOnly": True, "recursiveReadOnly": mode, **more}
    return {"name": "c", "volumeMounts": [mount]}


@pytest.mark.parametrize(
    ("mode", "supported", "deep"),
    [
        (None, True, False),
        ("Disabled", True, False),
        ("IfPossible", True, True),
        ("IfPossible", False, False),
        ("Enabled", True, True),
    ],
)
def test_recursive_read_only_where_it_is_asked_for(mode: str | None, supported: bool, deep: bool) -> None:
    [(_, mount, _)] = container_mounts(of(mode), {"v": VolumePath("/v")}, {}, recursive=supported)
    assert mount.read_only and mount.recursive_read_only == deep


@pytest.mark.parametrize(
    ("container", "why"),
    [
        (of("Enabled"), "not supported by the runtime"),
        (of("Enabled", readOnly=False), "not read-only"),
        (of("IfPossible", mountPropagation="HostToContainer"), 'not compatible with propagation "HostToContainer"'),
    ],
)
def test_recursive_read_only_that_cannot_be(container: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        container_mounts(container, {"v": VolumePath("/v")}, {})
    assert str(caught.value) == (
        f'failed to resolve recursive read-only mode: volume "v" requested recursive read-only mode, but it is {why}'
    )


def test_a_sealed_mount_is_not_told_again_to_be_read_only() -> None:
    """The engine's own remount would take noexec from it."""
    [(_, mount, _)] = container_mounts(of(None), {"v": VolumePath("/v", read_only=True, sealed=True)}, {})
    assert not mount.read_only
