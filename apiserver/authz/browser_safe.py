"""Keeps anonymous requests off proxies unless they are granted them by a name of its own.

A browser sends whatever cookies and network position it has; a page that is reached through the server's proxy could use
them. Requests of users outside the group therefore ask for ``unsafeproxy`` instead of ``proxy``.
"""

from __future__ import annotations

from dataclasses import replace

from apiserver.authz.union import Rules
from apiserver.http.protocols import Attributes, Authorizer, Decision
from apiserver.http.request import User

_UNSAFE = "unsafeproxy"


class BrowserSafe:
    """Wraps an authorizer; ``group`` is the one whose members may use ``proxy`` as it is granted."""

    def __init__(self, authorizer: Authorizer, group: str = "system:authenticated") -> None:
        self._authorizer = authorizer
        self._group = group

    async def authorize(self, attributes: Attributes) -> Decision:
        subresource, verb = attributes.subresource == "proxy", attributes.verb == "proxy"
        unsafe = attributes.resource_request and (subresource or verb) and self._group not in attributes.user.groups
        if not unsafe:
            return await self._authorizer.authorize(attributes)
        changed = f"proxy {'subresource' if subresource else 'verb'} changed to {_UNSAFE}"
        asked = replace(attributes, subresource=_UNSAFE) if subresource else replace(attributes, verb=_UNSAFE)
        decision = await self._authorizer.authorize(asked)
        if decision.allowed:
            return decision
        reason = f"{decision.reason}, {changed}" if decision.reason else changed
        return Decision(False, reason, decision.denied)

    async def rules_for(self, user: User, namespace: str) -> Rules:
        return await self._authorizer.rules_for(user, namespace)
