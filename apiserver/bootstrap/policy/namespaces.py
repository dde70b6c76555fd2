"""The default Roles and RoleBindings in ``kube-system`` and ``kube-public``.

Source: the bootstrap policy of kube-apiserver 1.36.
"""

from __future__ import annotations

from apiserver.bootstrap.policy.notation import EVENTS, binding, role
from kubeling.api.meta import Object

_SYSTEM, _PUBLIC = "kube-system", "kube-public"

_SYSTEM_ROLES: dict[str, tuple[str, ...]] = {
    "extension-apiserver-authentication-reader": ("READ core: configmaps [extension-apiserver-authentication]",),
    "system:controller:bootstrap-signer": ("READ core: secrets",),
    "system:controller:cloud-provider": ("create,READ core: configmaps",),
    "system:controller:token-cleaner": ("delete,READ core: secrets", EVENTS),
    "system::leader-locking-kube-controller-manager": (
        "watch core: configmaps",
        "get,update core: configmaps [kube-controller-manager]",
    ),
    "system::leader-locking-kube-scheduler": ("watch core: configmaps", "get,update core: configmaps [kube-scheduler]"),
}
_PUBLIC_ROLES: dict[str, tuple[str, ...]] = {
    "system:controller:bootstrap-signer": (
        "READ core: configmaps",
        "update core: configmaps [cluster-info]",
        EVENTS,
    ),
}

_SYSTEM_BINDINGS: dict[str, tuple[str, ...]] = {
    "system::leader-locking-kube-controller-manager": (
        "user:system:kube-controller-manager",
        "sa:kube-system/kube-controller-manager",
    ),
    "system::leader-locking-kube-scheduler": ("user:system:kube-scheduler", "sa:kube-system/kube-scheduler"),
    "system:controller:bootstrap-signer": ("sa:kube-system/bootstrap-signer",),
    "system:controller:cloud-provider": ("sa:kube-system/cloud-provider",),
    "system:controller:token-cleaner": ("sa:kube-system/token-cleaner",),
}

NAMESPACE_ROLES: tuple[Object, ...] = (
    *(role(_SYSTEM, name, rules) for name, rules in _SYSTEM_ROLES.items()),
    *(role(_PUBLIC, name, rules) for name, rules in _PUBLIC_ROLES.items()),
)
NAMESPACE_ROLE_BINDINGS: tuple[Object, ...] = (
    binding(
        "Role",
        "extension-apiserver-authentication-reader",
        ("user:system:kube-controller-manager", "user:system:kube-scheduler"),
        name="system::extension-apiserver-authentication-reader",
        namespace=_SYSTEM,
    ),
    *(binding("Role", name, who, namespace=_SYSTEM) for name, who in _SYSTEM_BINDINGS.items()),
    binding(
        "Role",
        "system:controller:bootstrap-signer",
        ("sa:kube-system/bootstrap-signer",),
        namespace=_PUBLIC,
    ),
)
