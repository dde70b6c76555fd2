"""The storage contract on a real etcd."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest

from apiserver.storage.base import Storage, Unavailable
from apiserver.storage.etcd import EtcdStorage
from tests.integration.conftest import Etcd, free_port
from tests.unit.apiserver.storage import contract


@pytest.fixture
async def storage(etcd: Etcd) -> AsyncIterator[Storage]:
    made = await EtcdStorage.connect([etcd.url])
    yield made
    await made.close()


@pytest.mark.parametrize("rule", contract.RULES, ids=lambda rule: rule.__name__)
async def test_rule(rule: contract.Rule, storage: Storage) -> None:
    await rule(storage, f"/test/{uuid.uuid4()}/")


async def test_no_etcd_is_said_plainly() -> None:
    with pytest.raises(Unavailable, match="etcd does not answer at"):
        await EtcdStorage.connect([f"http://127.0.0.1:{free_port()}"], timeout=0.3)
