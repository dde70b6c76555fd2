"""mount(8) and mkfs(8), which know helpers, options and file systems; what they say becomes the volume's failure.

Source of arguments and messages: k8s.io/mount-utils.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from kubelet.volumes.base import VolumeError
from kubelet.volumes.mounts import is_mounted

DEFAULT_FILE_SYSTEM = "ext4"
_NOTHING_FOUND = 2  # blkid's exit status for a device without anything that it knows
_DEVICE = "MountVolume.MountDevice"


def mount_arguments(source: str, target: Path, kind: str, options: list[str]) -> list[str]:
    """What mount(8) is given."""
    return [*(["-t", kind] if kind else []), *(["-o", ",".join(options)] if options else []), source, str(target)]


def format_arguments(device: str, kind: str) -> list[str]:
    """What mkfs is given."""
    more = {"ext3": ["-F", "-m0"], "ext4": ["-F", "-m0"], "xfs": ["-f"]}
    return [*more.get(kind, []), device]


async def mount(source: str, target: Path, kind: str, options: list[str]) -> None:
    """Nothing where it is mounted already. Raises VolumeError with upstream's message."""
    if await asyncio.to_thread(is_mounted, target):
        return
    await asyncio.to_thread(target.mkdir, mode=0o750, parents=True, exist_ok=True)
    arguments = mount_arguments(source, target, kind, options)
    code, output = await _run("mount", *arguments)
    if code:
        await asyncio.to_thread(target.rmdir)
        raise VolumeError(
            f"mount failed: exit status {code}\nMounting command: mount\n"
            f"Mounting arguments: {' '.join(arguments)}\nOutput: {output}\n"
        )


async def mount_device(device: str, target: Path, kind: str, options: list[str]) -> None:
    """A block device; one that holds nothing gets a file system first. Raises VolumeError with upstream's message."""
    if await asyncio.to_thread(is_mounted, target):
        return
    present = await _file_system(device)
    if not present:
        if "ro" in options:
            why = f"cannot mount unformatted disk {device} as we are manipulating it in read-only mode"
            raise VolumeError(why, step=_DEVICE)
        code, output = await _run(f"mkfs.{kind}", *format_arguments(device, kind))
        if code:
            raise VolumeError(f"format of disk {device} failed: exit status {code}: {output}", step=_DEVICE)
    try:
        await mount(device, target, kind, options)
    except VolumeError as err:
        if present and present != kind:
            why = f'failed to mount the volume as "{kind}", it already contains {present}. Mount error: {err}'
            raise VolumeError(why, step=_DEVICE) from err
        err.step = _DEVICE
        raise


async def _file_system(device: str) -> str:
    """What the device holds, empty for nothing. Raises VolumeError."""
    code, output = await _run("blkid", "-p", "-s", "TYPE", "-s", "PTTYPE", "-o", "export", device)
    if code == _NOTHING_FOUND:
        return ""
    if code:
        raise VolumeError(
            f"could not determine if disk {device!r} is formatted (exit status {code}): {output}", step=_DEVICE
        )
    found = dict(line.partition("=")[::2] for line in output.splitlines())
    return "unknown data, probably partitions" if "PTTYPE" in found else found.get("TYPE", "")


async def _run(program: str, *arguments: str) -> tuple[int, str]:
    """Exit status and output of both kinds. Raises VolumeError where there is no such program."""
    try:
        process = await asyncio.create_subprocess_exec(
            program, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
    except OSError as err:
        raise VolumeError(f'executable file not found in $PATH: "{program}"') from err
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:  # the pod is to end: nobody waits any more
            process.kill()
    return process.returncode or 0, output.decode(errors="replace")
