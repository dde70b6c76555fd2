"""Connects to a port inside a pod's network namespace."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _setns(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _sockets_in(pid: int) -> list[socket.socket]:
    """An IPv4 and, where there is any, an IPv6 socket that live in the namespace of ``pid``. Changes this thread only."""
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        target = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
        try:
            _setns(target)
            try:
                found = [socket.socket(socket.AF_INET, socket.SOCK_STREAM)]
                if Path(f"/proc/{pid}/net/if_inet6").exists():
                    found.append(socket.socket(socket.AF_INET6, socket.SOCK_STREAM))
                return found
            finally:
                _setns(own)
        finally:
            os.close(target)
    finally:
        os.close(own)


async def connect_in_namespace(pid: int, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the loopback of the namespace. Raises OSError."""
    loop = asyncio.get_running_loop()
    sockets = await asyncio.to_thread(_sockets_in, pid)
    failure: OSError | None = None
    chosen: socket.socket | None = None
    try:
        for candidate in sockets:
            candidate.setblocking(False)
            host = "127.0.0.1" if candidate.family == socket.AF_INET else "::1"
            try:
                await loop.sock_connect(candidate, (host, port))
            except OSError as err:
                failure = failure or err
            else:
                chosen = candidate
                break
    finally:
        for candidate in sockets:
            if candidate is not chosen:
                candidate.close()
    if chosen is None:
        raise failure or OSError("no socket in the pod's network namespace")
    return await asyncio.open_connection(sock=chosen)
