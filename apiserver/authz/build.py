"""The authorizer that ``--authorization-mode`` asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apiserver.authz.browser_safe import BrowserSafe
from apiserver.authz.node.authorizer import NodeAuthorizer
from apiserver.authz.node.graph import NodeGraph
from apiserver.authz.rbac.authorizer import RbacAuthorizer
from apiserver.authz.rbac.index import PolicyIndex
from apiserver.authz.union import AlwaysAllow, AlwaysDeny, PrivilegedGroups, Union
from apiserver.http.protocols import Authorizer
from apiserver.registry.facade import Registries

MODES = ("AlwaysAllow", "AlwaysDeny", "Node", "RBAC")


@dataclass(frozen=True, slots=True)
class Authorization:
    """``rbac`` is None when the mode is not among the chosen ones: no escalation is checked then."""

    authorizer: Authorizer
    rbac: RbacAuthorizer | None


def build_authorization(modes: Sequence[str], registries: Registries) -> Authorization:
    """The union of the modes in the order given, behind ``system:masters``; follows the registries from now on.

    Raises ValueError for a mode that does not exist.
    """
    authorizers: list[Authorizer] = [PrivilegedGroups("system:masters")]
    rbac: RbacAuthorizer | None = None
    for mode in modes:
        match mode:
            case "AlwaysAllow":
                authorizers.append(AlwaysAllow())
            case "AlwaysDeny":
                authorizers.append(AlwaysDeny())
            case "Node":
                graph = NodeGraph()
                graph.follow(registries)
                authorizers.append(NodeAuthorizer(graph))
            case "RBAC":
                index = PolicyIndex()
                index.follow(registries)
                rbac = RbacAuthorizer(index)
                authorizers.append(rbac)
            case _:
                raise ValueError(f'"{mode}" is not a valid authorization mode; there are {", ".join(MODES)}')
    return Authorization(BrowserSafe(Union(authorizers)), rbac)
