"""The kernel's nftables through ``nft``: applying a table in one transaction, and taking it away."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from kubeproxy.command import Completed, Run
from kubeproxy.render import FAMILY

_DECLARATION = re.compile(r"^add (chain|set|map) \S+ \S+ (\S+)", re.MULTILINE)
_DELETABLE = ("chain", "set", "map")


class NftError(Exception):
    """nft refused; the message is its first complaint."""


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """A chain, set or map of a table."""

    kind: str
    name: str


def declared(text: str) -> frozenset[Part]:
    """What a rendered table declares."""
    return frozenset(Part(kind, name) for kind, name in _DECLARATION.findall(text))


def removals(table: str, existing: Iterable[Part], wanted: frozenset[Part]) -> str:
    """Statements that delete what is there and no longer wanted; chains first, for their rules use sets and each other."""
    stale = sorted(set(existing) - wanted)
    chains = [p.name for p in stale if p.kind == "chain"]
    others = [p for p in stale if p.kind != "chain"]
    lines = [f"flush chain {FAMILY} {table} {name}" for name in chains]
    lines += [f"delete chain {FAMILY} {table} {name}" for name in chains]
    lines += [f"delete {p.kind} {FAMILY} {table} {p.name}" for p in others]
    return "\n".join([*lines, ""]) if lines else ""


class Nft:
    """One table of the kernel."""

    def __init__(self, table: str, run: Run) -> None:
        self.table = table
        self._run = run
        self._known: frozenset[Part] | None = None  # what our last transaction left; None when we must look

    async def existing(self) -> frozenset[Part] | None:
        """The parts of the table as the kernel has it; None when there is no such table."""
        done = await self._run(["nft", "-j", "-t", "list", "table", FAMILY, self.table])
        if done.status != 0:
            if "No such file or directory" in done.errors:
                return None
            raise NftError(_complaint(done))
        entries = json.loads(done.output)["nftables"]
        found = ((kind, entry[kind]) for entry in entries for kind in _DELETABLE if kind in entry)
        return frozenset(Part(kind, value["name"]) for kind, value in found)

    async def apply(self, text: str) -> bool:
        """Makes the table what ``text`` says, in one transaction. Raises NftError.

        A table whose declarations the kernel cannot change (another version's hooks or types) is made anew in the same
        transaction, at the price of its clients' affinity; the answer is False then.
        """
        if self._known is not None and await self._transact(text, self._known):
            return True
        existing = await self.existing() or frozenset()
        if await self._transact(text, existing, last=not existing):
            return True
        await self._run_text(f"delete table {FAMILY} {self.table}\n{text}")
        self._known = declared(text)
        return False

    async def _transact(self, text: str, existing: frozenset[Part], *, last: bool = False) -> bool:
        """One attempt; its failure is an error only when it is the last one that makes sense."""
        self._known = None
        try:
            await self._run_text(text + removals(self.table, existing, declared(text)))
        except NftError:
            if last:
                raise
            return False
        self._known = declared(text)
        return True

    async def _run_text(self, text: str) -> None:
        done = await self._run(["nft", "-f", "-"], stdin=text)
        if done.status != 0:
            raise NftError(_complaint(done))

    async def delete(self) -> None:
        """Removes the table; nothing to do when there is none. Raises NftError."""
        self._known = None
        if await self.existing() is None:
            return
        done = await self._run(["nft", "delete", "table", FAMILY, self.table])
        if done.status != 0:
            raise NftError(_complaint(done))


def _complaint(done: Completed) -> str:
    lines = done.errors.strip().splitlines()
    return lines[0] if lines else f"nft ended with status {done.status}"
