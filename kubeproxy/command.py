"""Running the system's tools: one callable that everything here is given, so that tests can give another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Completed:
    """How a command ended: exit status, standard output and standard error."""

    status: int
    output: str = ""
    errors: str = ""


Run = Callable[..., Awaitable[Completed]]
"""``run(argv, stdin="") -> Completed``; raises CommandMissing when there is no such program."""


class CommandMissing(Exception):
    """The program is not installed; the message names it and the package that has it."""


_PACKAGES = {"nft": "nftables", "iptables": "iptables", "conntrack": "conntrack", "ip": "iproute2", "modprobe": "kmod"}


async def run(argv: Sequence[str], stdin: str = "") -> Completed:
    """Runs a program to its end. Raises CommandMissing."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            # a pipe only when there is something to say: a program that ends at once would break it
            stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError as err:
        package = _PACKAGES.get(argv[0], argv[0])
        raise CommandMissing(f"{argv[0]} is not installed: apt-get install {package}") from err
    output, errors = await process.communicate(stdin.encode() if stdin else None)
    return Completed(process.returncode or 0, output.decode(errors="replace"), errors.decode(errors="replace"))
