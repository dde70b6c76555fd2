"""The 403 that answers a request no authorizer allowed, worded as k8s.io/apiserver does."""

from __future__ import annotations

import json

from apiserver.http.protocols import Attributes
from kubeling.api import errors
from kubeling.api.errors import StatusError

_SANITIZED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def describe(attributes: Attributes) -> str:
    """``User "alice" cannot list resource "pods" in API group "" in the namespace "default"``."""
    user = _quoted(attributes.user.name)
    if not attributes.resource_request:
        return f"User {user} cannot {attributes.verb} path {_quoted(attributes.path)}"
    resource = f"{attributes.resource}/{attributes.subresource}" if attributes.subresource else attributes.resource
    where = f"in the namespace {_quoted(attributes.namespace)}" if attributes.namespace else "at the cluster scope"
    return f"User {user} cannot {attributes.verb} resource {_quoted(resource)} in API group {_quoted(attributes.group)} {where}"


def forbidden(attributes: Attributes, reason: str = "") -> StatusError:
    """The error to answer with; ``reason`` is what the authorizers had to say."""
    message = describe(attributes).translate(_SANITIZED)
    if reason:
        message = f"{message}: {reason}"
    if not attributes.resource_request:
        return errors.forbidden("", "", "", message)
    return errors.forbidden(attributes.group, attributes.resource, attributes.name, message)
