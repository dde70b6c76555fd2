from __future__ import annotations

import pytest

from apiserver.streaming.proxy import check_host, port_number
from kubeling.api.errors import StatusError


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "169.254.169.254", "0.0.0.0", "224.0.0.1"])
async def test_some_addresses_are_nobodys_business(host: str) -> None:
    with pytest.raises(StatusError) as err:
        await check_host(host)
    assert (err.value.code, err.value.message) == (400, "address not allowed")


async def test_others_may_be_reached() -> None:
    await check_host("10.0.0.1")


def test_ports() -> None:
    assert port_number("8080") == 8080
    for text in ("http", "70000"):
        with pytest.raises(StatusError) as err:
            port_number(text)
        assert err.value.code == 503
