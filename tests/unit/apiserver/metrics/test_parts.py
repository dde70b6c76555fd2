from __future__ import annotations

import pytest

from apiserver.metrics.families import histogram, number
from apiserver.metrics.histogram import Histogram
from apiserver.metrics.storage import MeasuredStorage, folder_of
from apiserver.metrics.tally import compressed
from apiserver.storage.base import Conflict
from apiserver.storage.memory import MemoryStorage


def test_histograms_count_by_upper_bounds() -> None:
    found = Histogram((0.5, 1, 2.5))
    for value in (0.1, 0.5, 0.6, 2.5, 9):
        found.observe(value)
    assert (found.counts, found.total, round(found.sum, 1)) == ([2, 1, 1, 1], 5, 12.7)
    found.sum = 12.5
    assert histogram("h", "Help.", ("b", "a"), {("1", 'x"y'): found}).splitlines() == [
        "# HELP h Help.",
        "# TYPE h histogram",
        'h_bucket{a="x\\"y",b="1",le="0.5"} 2',
        'h_bucket{a="x\\"y",b="1",le="1"} 3',
        'h_bucket{a="x\\"y",b="1",le="2.5"} 4',
        'h_bucket{a="x\\"y",b="1",le="+Inf"} 5',
        'h_sum{a="x\\"y",b="1"} 12.5',
        'h_count{a="x\\"y",b="1"} 5',
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (3.0, "3"),
        (0.005, "0.005"),
        (999999, "999999"),
        (1e6, "1e+06"),
        (1234567, "1.234567e+06"),
        (2e-5, "2e-05"),
    ],
)
def test_numbers_are_printed_as_go_prints_them(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("key", "folder"),
    [
        ("/registry/pods/default/p", "pods"),
        ("/registry/pods/", "pods"),
        ("/registry/apiregistration.k8s.io/apiservices/v1.", "apiregistration.k8s.io/apiservices"),
        ("elsewhere", ""),
    ],
)
def test_keys_tell_the_kind(key: str, folder: str) -> None:
    assert folder_of(key) == folder


async def test_every_request_to_the_store_is_timed() -> None:
    measured = MeasuredStorage(MemoryStorage())
    revision = await measured.put("/registry/pods/a/p", b"{}", 0)
    with pytest.raises(Conflict):
        await measured.put("/registry/pods/a/p", b"{}", 0)
    revision = await measured.put("/registry/pods/a/p", b"{1}", revision)
    assert await measured.get("/registry/pods/a/p") is not None
    assert len((await measured.page("/registry/pods/")).items) == 1
    await measured.delete("/registry/pods/a/p", revision)
    counts = {operation: found.total for (operation, folder), found in measured.seconds.items() if folder == "pods"}
    assert counts == {"create": 2, "update": 1, "get": 1, "list": 1, "delete": 1}
    assert not measured.errors


def test_few_names_stand_for_many_users() -> None:
    assert [compressed(n) for n in ("admin", "a@b", "system:node:n")] == ["admin", "email_id", "other"]
