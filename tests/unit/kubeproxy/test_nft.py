from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from kubeproxy.command import Completed
from kubeproxy.nft import Nft, NftError, Part, declared, removals

TEXT = "add table inet t\nadd chain inet t a { type x; }\nadd map inet t m { type y; }\nadd rule inet t a chain\n"


def test_declared_parts() -> None:
    assert declared(TEXT) == {Part("chain", "a"), Part("map", "m")}


def test_removals_empty_chains_before_they_go() -> None:
    existing = {Part("chain", "a"), Part("chain", "svc/x"), Part("set", "aff/x"), Part("map", "m")}
    assert removals("t", existing, declared(TEXT)).splitlines() == [
        "flush chain inet t svc/x",
        "delete chain inet t svc/x",
        "delete set inet t aff/x",
    ]
    assert removals("t", {Part("chain", "a")}, declared(TEXT)) == ""


class Kernel:
    """Stands for ``nft``: refuses texts that hold one of the given words."""

    def __init__(self, existing: list[Part] | None, refuses: str = "") -> None:
        self.existing = existing
        self.refuses = refuses
        self.refusals = 1 << 30
        self.looks = 0
        self.applied: list[str] = []

    async def run(self, argv: Sequence[str], stdin: str = "") -> Completed:
        if "list" in argv:
            self.looks += 1
            if self.existing is None:
                return Completed(1, errors="Error: No such file or directory\n")
            parts = [{p.kind: {"name": p.name}} for p in self.existing]
            return Completed(0, json.dumps({"nftables": [{"metainfo": {}}, *parts]}))
        if self.refuses and stdin.startswith(self.refuses) and self.refusals:
            self.refusals -= 1
            return Completed(1, errors="/dev/stdin:1:1: Error: syntax\nmore\n")
        self.applied.append(stdin)
        return Completed(0)


async def test_apply_adds_what_is_new_and_removes_what_is_stale() -> None:
    kernel = Kernel([Part("chain", "old")])
    assert await Nft("t", kernel.run).apply(TEXT)
    assert kernel.applied == [TEXT + "flush chain inet t old\ndelete chain inet t old\n"]


async def test_a_table_that_cannot_be_changed_is_made_anew() -> None:
    kernel = Kernel([Part("chain", "a")], refuses="add table")
    assert not await Nft("t", kernel.run).apply(TEXT)
    assert kernel.applied == ["delete table inet t\n" + TEXT]


async def test_what_we_wrote_last_is_remembered_until_it_no_longer_holds() -> None:
    kernel = Kernel([])
    nft = Nft("t", kernel.run)
    await nft.apply(TEXT + "add chain inet t extra\n")
    assert await nft.apply(TEXT)
    assert kernel.applied[-1] == TEXT + "flush chain inet t extra\ndelete chain inet t extra\n"
    assert kernel.looks == 1
    kernel.existing, kernel.refuses = [Part("chain", "foreign")], TEXT  # somebody else was at it
    kernel.refusals = 1
    assert await nft.apply(TEXT)
    assert kernel.applied[-1] == TEXT + "flush chain inet t foreign\ndelete chain inet t foreign\n"


async def test_a_refusal_is_told_in_one_line() -> None:
    with pytest.raises(NftError, match=r"^/dev/stdin:1:1: Error: syntax$"):
        await Nft("t", Kernel(None, refuses="add table").run).apply(TEXT)
