"""The Docker engine that is not there."""

from __future__ import annotations

import aiodocker
import pytest

from kubeling.cluster.errors import ClusterError
from kubeling.cluster.network import docker_engine


@pytest.mark.parametrize("error", [AssertionError(), ValueError("odd address")])
async def test_what_the_library_raises_becomes_advice(error: Exception) -> None:
    """aiodocker asserts that one of the usual sockets is there."""

    def connect() -> aiodocker.Docker:
        raise error

    with pytest.raises(ClusterError, match="no Docker engine found") as raised:
        async with docker_engine(connect):
            pass
    assert "DOCKER_HOST" in str(raised.value.advice)
