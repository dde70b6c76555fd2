"""A validating policy with its binding, from being written to refusing."""

from __future__ import annotations

import httpx

from tests.integration.test_custom_resources import until

POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
NAME = "cel-names"
SPEC = {
    "matchConstraints": {
        "resourceRules": [
            {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
        ]
    },
    "matchConditions": [{"name": "ours", "expression": "object.metadata.name.startsWith('cel-')"}],
    "validations": [{"expression": "has(object.data)", "messageExpression": "object.metadata.name + ' holds nothing'"}],
}


def _made(kind: str, spec: dict[str, object]) -> dict[str, object]:
    return {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": NAME}, "spec": spec}


def test_a_bound_policy_refuses_what_it_matches(api: httpx.Client) -> None:
    maps = "/api/v1/namespaces/default/configmaps"

    def create(name: str, **more: object) -> httpx.Response:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **more}
        return api.post(f"{maps}?dryRun=All", json=body)

    binding = {"policyName": NAME, "validationActions": ["Deny"]}
    try:
        assert api.post(POLICIES, json=_made("ValidatingAdmissionPolicy", SPEC)).status_code == 201
        assert create("cel-a").status_code == 201
        assert api.post(BINDINGS, json=_made("ValidatingAdmissionPolicyBinding", binding)).status_code == 201
        assert until(lambda: create("cel-a").status_code == 422)
        text = f"ValidatingAdmissionPolicy '{NAME}' with binding '{NAME}' denied request: cel-a holds nothing"
        assert create("cel-a").json()["message"] == f'configmaps "cel-a" is forbidden: {text}'
        assert create("cel-a", data={"k": "v"}).status_code == 201
        assert create("other").status_code == 201
    finally:
        api.delete(f"{BINDINGS}/{NAME}")
        api.delete(f"{POLICIES}/{NAME}")
