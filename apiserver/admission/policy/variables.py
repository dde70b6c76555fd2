"""The values that a policy's expressions see of one request."""

from __future__ import annotations

from typing import Any

from apiserver.admission.policy.matching import namespace_of
from apiserver.http.protocols import Attributes, Authorizer
from apiserver.http.request import User
from apiserver.registry.admission import AdmissionAttributes
from kubeling.api.cel.authorizer import RESOURCE_CHECK, Check, Decision, Question, authorizer
from kubeling.api.cel.errors import CelError
from kubeling.api.cel.values import parse_timestamp
from kubeling.api.meta import Object


def request_variables(attributes: AdmissionAttributes, judge: Authorizer) -> dict[str, Any]:
    """All but ``params`` and ``variables``."""
    asked = authorizer(lambda question: _ask(judge, attributes.user, question))
    return {
        "object": attributes.obj,
        "oldObject": attributes.old_obj,
        "request": _request(attributes),
        "namespaceObject": _namespace(namespace_of(attributes)),
        "authorizer": asked,
        "authorizer.requestResource": _own(asked, attributes),
    }


def _request(attributes: AdmissionAttributes) -> Object:
    resource = attributes.resource
    group, version, kind = attributes.kind
    kinds = {"group": group, "version": version, "kind": kind}
    plural = {"group": resource.group, "version": resource.version, "resource": resource.plural}
    user = attributes.user
    return {
        "kind": kinds,
        "resource": plural,
        "subResource": attributes.subresource,
        "requestKind": kinds,
        "requestResource": plural,
        "requestSubResource": attributes.subresource,
        "name": attributes.name,
        "namespace": attributes.namespace,
        "operation": attributes.operation,
        "userInfo": {
            "username": user.name,
            "uid": user.uid,
            "groups": list(user.groups),
            "extra": {k: list(v) for k, v in user.extra.items()},
        },
        "dryRun": attributes.dry_run,
        "options": attributes.options,
    }


def _namespace(found: Object | None) -> Object | None:
    """The part of a namespace that expressions may read."""
    if found is None:
        return None
    metadata = {
        k: v for k, v in (found.get("metadata") or {}).items() if k not in ("uid", "managedFields", "ownerReferences")
    }
    for field in ("creationTimestamp", "deletionTimestamp"):
        if metadata.get(field):
            metadata[field] = parse_timestamp(metadata[field])
    metadata["UID"] = (found.get("metadata") or {}).get("uid", "")
    return {
        "metadata": metadata,
        "spec": found.get("spec") or {},
        "status": {"phase": (found.get("status") or {}).get("phase", "")},
    }


def _own(asked: Check, attributes: AdmissionAttributes) -> Check:
    """``authorizer.requestResource``: a check of what the request is about."""
    resource = attributes.resource
    found = asked.with_(RESOURCE_CHECK, "group", resource.group).with_(RESOURCE_CHECK, "resource", resource.plural)
    for field, value in (
        ("subresource", attributes.subresource),
        ("namespace", attributes.namespace),
        ("name", attributes.name),
    ):
        found = found.with_(RESOURCE_CHECK, field, value)
    return found


def _ask(judge: Authorizer, user: User, question: Question) -> Decision:
    """The answer at once: authorizers decide from what they hold in memory. One that would have to wait gives an error."""
    if question.service_account is not None:
        namespace, name = question.service_account
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
        user = User(f"system:serviceaccount:{namespace}:{name}", groups=groups)
    said = question.attributes
    if "path" in said:
        wanted = Attributes(user, question.verb, resource_request=False, path=said["path"])
    else:
        wanted = Attributes(
            user, question.verb, group=said.get("group", ""), version="*", resource=said.get("resource", ""),
            subresource=said.get("subresource", ""), namespace=said.get("namespace", ""), name=said.get("name", ""),
            label_selector=said.get("labelSelector", ""), field_selector=said.get("fieldSelector", ""),
        )  # fmt: skip
    waiting = judge.authorize(wanted)
    try:
        waiting.send(None)
    except StopIteration as answered:
        return Decision(answered.value.allowed, answered.value.reason)
    waiting.close()
    raise CelError("the authorizer gives no immediate answer")
