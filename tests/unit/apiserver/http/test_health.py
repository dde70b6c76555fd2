from __future__ import annotations

import pytest

from apiserver.http.health import Health
from tests.unit.apiserver.http.test_steps import request


def health(etcd: str = "", started: str = "") -> Health:
    async def of_etcd() -> str:
        return etcd

    async def of_start() -> str:
        return started

    return Health({"etcd": of_etcd}, of_start)


@pytest.mark.parametrize(
    ("path", "query", "code", "words"),
    [
        ("/healthz", "", 200, "ok"),
        ("/livez", "verbose", 200, "[+]etcd ok\n"),
        ("/readyz", "verbose", 200, "readyz check passed\n"),
        ("/readyz/ping", "", 200, "ok"),
        ("/livez", "verbose&exclude=etcd&exclude=nosuch", 200, 'cannot be excluded: no matches for "nosuch"'),
        ("/livez", "verbose&exclude=etcd", 200, "[+]etcd excluded: ok\n"),
    ],
)  # fmt: skip
async def test_all_is_well(path: str, query: str, code: int, words: str) -> None:
    answer = await health().serve(request(path=path, query=query))
    assert answer.status == code and words in answer.body.decode()


async def test_what_fails_is_named_without_the_reason() -> None:
    answer = await health(etcd="secret reason").serve(request(path="/livez"))
    text = answer.body.decode()
    assert answer.status == 500 and "[-]etcd failed: reason withheld\n" in text and "secret" not in text
    one = await health(etcd="down").serve(request(path="/livez/etcd"))
    assert one.status == 500 and "down" in one.body.decode()
    assert (await health(started="not finished").serve(request(path="/readyz"))).status == 500
