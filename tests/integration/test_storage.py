"""The storage contract on a real etcd."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from apiserver.storage.base import Storage, Unavailable
from apiserver.storage.etcd import EtcdStorage
from tests.integration.conftest import Etcd, free_port, running_etcd
from tests.unit.apiserver.storage import contract


@pytest.fixture(scope="module")
def quiet_etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    """An etcd that nobody else writes to: the contract counts revisions."""
    with running_etcd(tmp_path_factory.mktemp("quiet-etcd")) as running:
        yield running


@pytest.fixture
async def storage(quiet_etcd: Etcd) -> AsyncIterator[Storage]:
    made = await EtcdStorage.connect([quiet_etcd.url])
    yield made
    await made.close()


@pytest.mark.parametrize("rule", contract.RULES, ids=lambda rule: rule.__name__)
async def test_rule(rule: contract.Rule, storage: Storage) -> None:
    await rule(storage, f"/test/{uuid.uuid4()}/")


async def test_no_etcd_is_said_plainly() -> None:
    with pytest.raises(Unavailable, match="etcd does not answer at"):
        await EtcdStorage.connect([f"http://127.0.0.1:{free_port()}"], timeout=0.3)
