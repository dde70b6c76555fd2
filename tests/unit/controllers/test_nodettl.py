import pytest

from controllers.nodettl import ANNOTATION, BANDS, CONTROLLER, next_band
from kubeling.api.meta import annotations_of
from kubeling.api.resources import NODES
from tests.unit.controllers.world import World


@pytest.mark.parametrize(
    ("before", "nodes", "seconds"),
    [(0, 1, 0), (0, 100, 0), (0, 101, 15), (15, 95, 15), (15, 89, 0), (15, 501, 30), (0, 5000, 300), (300, 1, 0)],
)
def test_bands(before: int, nodes: int, seconds: int) -> None:
    band = next(i for i, b in enumerate(BANDS) if b[2] == before)
    assert BANDS[next_band(band, nodes)][2] == seconds


async def test_nodes_are_annotated_and_put_right() -> None:
    async with World(CONTROLLER) as w:
        w.api.create(NODES, {"metadata": {"name": "a"}, "spec": {}})
        await w.settle()
        assert annotations_of(w.get(NODES, "a")) == {ANNOTATION: "0"}
        w.api.update(NODES, "", "a", lambda node: node["metadata"].update(annotations={ANNOTATION: "7"}))
        await w.settle()
        assert annotations_of(w.get(NODES, "a")) == {ANNOTATION: "0"}
