"""Random interleavings: users, failing pods and restarted controllers act at any moment; in the end the world must be right.

A ``Story`` is one kind's actions and what must hold once everybody has been given the time. ``play`` performs a drawn list,
lets pretended kubelets and controllers come to rest, checks the story's end, that no more was written than its bound allows, and
that controllers which start afresh on the settled world write nothing at all.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from controllers.context import ControllerSpec
from kubeling.api.meta import Object, is_deleting
from kubeling.api.resources import PODS
from tests.unit.controllers.world import World

RESTART = "restart"
RULES = settings(
    max_examples=int(os.environ.get("EXAMPLES", "25")), deadline=None, derandomize="EXAMPLES" not in os.environ
)
ROUNDS = 80

Step = tuple[str, int, int]
"""What happens, to which of the candidates, and for how many turns of the loop the controllers then work (0: until quiet)."""


class Story:
    """``writes_a_step``: the bound, for each step and for the beginning. Events are not counted."""

    controllers: Sequence[ControllerSpec]
    actions: Sequence[str] = ()
    writes_a_step: int
    turns: Sequence[int] = (0, 0, 1, 3, 10, 40)
    longest_wait = 1000.0  # seconds: beyond every back-off that the story can reach
    options: dict[str, Any] = {}  # constant

    def begin(self, w: World) -> None:
        raise NotImplementedError

    async def act(self, w: World, action: str, choice: int) -> None:
        raise NotImplementedError

    def kubelets(self, w: World) -> None:
        """What pretended kubelets do between two looks of the controllers."""
        w.finish_deleted()
        w.make_ready(*(p for p in w.pods() if not (p.get("status") or {}).get("phase")))

    def end(self, w: World) -> None:
        """The last actions, for worlds that would else not come to rest."""

    def check(self, w: World) -> None:
        raise NotImplementedError


def steps(story: Story) -> st.SearchStrategy[list[Step]]:
    turns = st.sampled_from(story.turns)
    return st.lists(st.tuples(st.sampled_from([*story.actions, RESTART]), st.integers(0, 11), turns), max_size=12)


def play(story: Story, drawn: Sequence[Step]) -> None:
    asyncio.run(_play(story, drawn))


async def _play(story: Story, drawn: Sequence[Step]) -> None:
    async with World(*story.controllers, **story.options) as w:
        story.begin(w)
        for action, choice, turns in drawn:
            if action == RESTART:
                await w.stop()
                await w.start(settle=False)
            else:
                await story.act(w, action, choice)
            await _work(w, turns)
        story.end(w)
        await _rest(story, w)
        story.check(w)
        assert writes(w) <= story.writes_a_step * (len(drawn) + 1), (writes(w), len(drawn))
        before = moves(w)
        await w.stop()
        await w.start()
        assert moves(w) == before, w.api.history[-5:]


async def _work(w: World, turns: int) -> None:
    if not turns:
        await w.settle()
    for _ in range(turns):
        await asyncio.sleep(0)


async def _rest(story: Story, w: World) -> None:
    for _ in range(ROUNDS):
        before = moves(w)
        story.kubelets(w)
        await w.settle()
        if moves(w) == before:
            await w.settle(story.longest_wait)
            if moves(w) == before:
                return
    raise AssertionError(f"no rest after {ROUNDS} rounds: {w.api.writes[-20:]}")


def moves(w: World) -> int:
    """How often anything has changed, events and heartbeats aside."""
    return sum(ident[1] not in ("events", "leases") for _, _, ident, _ in w.api.history)


def writes(w: World) -> int:
    return sum("/events" not in path for _, path in w.api.writes)


def pick(items: Sequence[Object], choice: int) -> Object | None:
    return items[choice % len(items)] if items else None


def living(w: World) -> list[Object]:
    """Pods that are neither being deleted nor finished."""
    return [
        p
        for p in w.pods()
        if not is_deleting(p) and (p.get("status") or {}).get("phase") not in ("Failed", "Succeeded")
    ]


def harm(w: World, action: str, choice: int) -> bool:
    """What happens to pods of any owner: one fails, is deleted, or becomes ready. False for other actions."""
    pod = pick(living(w), choice)
    if action not in ("fail", "delete", "ready"):
        return False
    if pod is None:
        return True
    if action == "fail":
        w.set_status(pod, phase="Failed")
    elif action == "ready":
        w.make_ready(pod)
    else:
        w.api.delete(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"])
    return True
