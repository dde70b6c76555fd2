"""Policies' expressions against the schemas that a real API server publishes."""

from __future__ import annotations

from kubeling.api.meta import Object
from kubeling.api.resources import VALIDATING_ADMISSION_POLICIES
from kubeling.client.rest import Client
from tests.integration.controllers.conftest import Manager, eventually

NAME = "status-of-a-policy"
MATCHED = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"]}


def policy(expression: str) -> Object:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": NAME},
        "spec": {"matchConstraints": {"resourceRules": [MATCHED]}, "validations": [{"expression": expression}]},
    }


async def test_warnings_come_and_go_with_the_expression(manager: Manager, client: Client) -> None:
    async def checked(generation: int) -> Object:
        found: Object = {}

        async def seen() -> bool:
            """the generation is observed"""
            found.update(await client.get(VALIDATING_ADMISSION_POLICIES, NAME))
            return bool(found.get("status", {}).get("observedGeneration") == generation)

        await eventually(seen, 60)
        return found

    await client.create(VALIDATING_ADMISSION_POLICIES, policy("object.x == 1"))
    try:
        found = await checked(1)
        issue = "apps/v1, Kind=Deployment: ERROR: <input>:1:7: undefined field 'x'\n | object.x == 1\n | ......^\n"
        warning = {"fieldRef": "spec.validations[0].expression", "warning": issue}
        assert found["status"]["typeChecking"] == {"expressionWarnings": [warning]}
        writers = {(m["manager"], m["operation"]): m for m in found["metadata"]["managedFields"]}
        assert writers["validatingadmissionpolicy-status-controller", "Apply"]["subresource"] == "status"

        expression = "object.spec.template.spec.containers.all(c, c.image != '') && object.metadata.labels.size() > 0"
        found["spec"]["validations"] = [{"expression": expression}]
        await client.update(VALIDATING_ADMISSION_POLICIES, found)
        assert "expressionWarnings" not in (await checked(2))["status"].get("typeChecking", {})
    finally:
        await client.delete(VALIDATING_ADMISSION_POLICIES, NAME)
