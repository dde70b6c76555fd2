from __future__ import annotations

from typing import Any

from apiserver.registry.admission import AdmissionAttributes, AdmissionChain, NoAdmission
from kubeling.api.resources import CONFIG_MAPS, PODS


class Recorded(NoAdmission):
    def __init__(self, seen: list[str], name: str, resources: Any = None) -> None:
        self.seen, self.name, self.resources = seen, name, resources


class Mutates(Recorded):
    async def mutate(self, attributes: AdmissionAttributes) -> None:
        self.seen.append(f"mutate {self.name}")


class Validates(Recorded):
    async def validate(self, attributes: AdmissionAttributes) -> None:
        self.seen.append(f"validate {self.name}")


class Both(Mutates, Validates):
    def handles(self, attributes: AdmissionAttributes) -> bool:
        return attributes.operation == "CREATE"


def attributes(resource: Any, operation: Any = "CREATE") -> AdmissionAttributes:
    fields: dict[str, Any] = dict.fromkeys(AdmissionAttributes.__slots__)
    fields |= {"operation": operation, "resource": resource}
    return AdmissionAttributes(**fields)


async def test_only_those_concerned_run_in_their_order() -> None:
    seen: list[str] = []
    chain = AdmissionChain([Both(seen, "b"), Validates(seen, "v", (("", "pods"),)), Mutates(seen, "m")])
    for asked in (attributes(PODS), attributes(CONFIG_MAPS), attributes(PODS, "DELETE")):
        await chain.mutate(asked)
        await chain.validate(asked)
        seen.append("-")
    pods, config_maps, deletion, _ = " ".join(seen).split("-")
    assert pods.split(" ") == ["mutate", "b", "mutate", "m", "validate", "b", "validate", "v", ""]
    assert config_maps.strip() == "mutate b mutate m validate b"
    assert deletion.strip() == "mutate m validate v"


async def test_other_plugins_take_effect_at_once() -> None:
    seen: list[str] = []
    chain = AdmissionChain([Mutates(seen, "old")])
    await chain.mutate(attributes(PODS))
    chain.plugins = [Mutates(seen, "new")]
    await chain.mutate(attributes(PODS))
    assert seen == ["mutate old", "mutate new"]
