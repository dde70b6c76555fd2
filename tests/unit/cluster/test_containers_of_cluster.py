"""The containers of a cluster that goes away."""

from __future__ import annotations

import asyncio
from typing import Any

from kubeling.cluster.network import remove_containers


class _Container(dict[str, Any]):
    """As the engine lists it; tells its beginning and end."""

    def __init__(self, name: str, network: str, story: list[str]) -> None:
        super().__init__(HostConfig={"NetworkMode": network})
        self._name, self._story = name, story

    async def delete(self, **_: Any) -> None:
        self._story.append(f"{self._name}+")
        await asyncio.sleep(0)
        self._story.append(f"{self._name}-")


class _Engine:
    def __init__(self, listed: list[_Container]) -> None:
        self.containers, self._listed = self, listed

    async def list(self, **_: Any) -> list[_Container]:
        return self._listed


async def test_sandboxes_go_one_at_a_time_and_after_those_that_share_their_network() -> None:
    story: list[str] = []
    listed = [_Container("s1", "kubeling-x", story), _Container("c1", "container:s1", story)]
    listed += [_Container("s2", "kubeling-x", story), _Container("c2", "container:s2", story)]
    assert await remove_containers(_Engine(listed), "x") == 4  # type: ignore[arg-type]
    assert story == ["c1+", "c2+", "c1-", "c2-", "s1+", "s1-", "s2+", "s2-"]
