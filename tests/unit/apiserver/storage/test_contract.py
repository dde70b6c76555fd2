"""The storage contract, played on the in-memory store; ``tests/integration/test_storage.py`` plays the same on etcd."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from apiserver.storage.base import Storage
from apiserver.storage.memory import MemoryStorage
from tests.unit.apiserver.storage import contract


@pytest.fixture
async def storage() -> AsyncIterator[Storage]:
    made = MemoryStorage()
    yield made
    await made.close()


@pytest.mark.parametrize("rule", contract.RULES, ids=lambda rule: rule.__name__)
async def test_rule(rule: contract.Rule, storage: Storage) -> None:
    await rule(storage, "/registry/things/")
