"""The pause image: one static ELF of about 200 bytes that holds a pod's namespaces.

It ignores SIGCHLD (so orphans of a shared process namespace are reaped by the kernel) and then sleeps for ever.
The image is a ``docker load`` archive written from here, so no registry is needed and its id is always the same.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tarfile

IMAGE = "kubeling/pause:1"
_BASE = 0x400000
_HEADERS = 64 + 56
_SIGCHLD, _SIG_IGN = 17, 1
_SIGACTION = struct.pack("<QQQQ", _SIG_IGN, 0, 0, 0)  # handler, flags, restorer, mask: the kernel's layout


def _x86_64() -> bytes:
    setup = (
        bytes.fromhex("b80d000000") + b"\xbf" + struct.pack("<I", _SIGCHLD)
    )  # mov eax, rt_sigaction; mov edi, SIGCHLD
    tail = bytes.fromhex("31d241ba080000000f05")  # xor edx, edx; mov r10d, 8; syscall
    loop = bytes.fromhex("b8220000000f05ebf7")  # again: mov eax, pause; syscall; jmp again
    return setup + bytes.fromhex("488d35") + struct.pack("<i", len(tail) + len(loop)) + tail + loop + _SIGACTION


def _arm64() -> bytes:
    def mov(register: int, value: int) -> int:
        return 0xD2800000 | value << 5 | register

    svc = 0xD4000001
    after = [mov(2, 0), mov(3, 8), mov(8, 134), svc]  # rt_sigaction
    loop = [*(mov(r, 0) for r in range(5)), mov(8, 73), svc]  # ppoll(NULL, 0, NULL, NULL)
    back = 0x14000000 | (-len(loop) & 0x3FFFFFF)
    distance = 4 * (1 + len(after) + len(loop) + 1)
    adr = 0x10000000 | (distance & 3) << 29 | (distance >> 2) << 5 | 1
    words = [mov(0, _SIGCHLD), adr, *after, *loop, back]
    return struct.pack(f"<{len(words)}I", *words) + _SIGACTION


_MACHINES = {"amd64": (0x3E, _x86_64), "arm64": (0xB7, _arm64)}


def pause_elf(architecture: str) -> bytes:
    """The executable for ``amd64`` or ``arm64``. Raises KeyError for another architecture."""
    machine, code = _MACHINES[architecture]
    body = code()
    size = _HEADERS + len(body)
    ident = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    header = ident + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    program = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return header + program + body


def _add(archive: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    archive.addfile(entry, io.BytesIO(data))


def pause_archive(architecture: str) -> bytes:
    """A ``docker load`` archive of the image ``kubeling/pause:1``."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        _add(archive, "pause", pause_elf(architecture), 0o755)
    content = layer.getvalue()
    config = json.dumps(
        {
            "architecture": architecture,
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(content).hexdigest()]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "kubelet"}],
        }
    ).encode()
    name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = json.dumps([{"Config": name, "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]).encode()
    image = io.BytesIO()
    with tarfile.open(fileobj=image, mode="w") as archive:
        for path, data in ((name, config), ("layer.tar", content), ("manifest.json", manifest)):
            _add(archive, path, data)
    return image.getvalue()
