"""Security contexts: the container's own fields win over the pod's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kubelet.containers.failure import ConfigError
from kubelet.pods import spec as podspec
from kubelet.runtime.records import ImageRecord
from kubelet.runtime.specs import Security
from kubeling.api.meta import Object, annotations_of

_APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"


def _effective(pod: Object, container: Mapping[str, Any], field: str) -> Any:
    own = (container.get("securityContext") or {}).get(field)
    return own if own is not None else (podspec.spec_of(pod).get("securityContext") or {}).get(field)


def check_non_root(pod: Object, container: Mapping[str, Any], image: ImageRecord) -> None:
    """``runAsNonRoot`` against what the container would run as. Raises ConfigError with upstream's message."""
    if not _effective(pod, container, "runAsNonRoot"):
        return
    user = _effective(pod, container, "runAsUser")
    where = f'(pod: "{podspec.format_pod(pod)}", container: {container["name"]})'
    if user is not None:
        if user == 0:
            raise ConfigError(f"container's runAsUser breaks non-root policy {where}")
        return
    name = image.user.split(":")[0]
    if name in ("", "0"):
        raise ConfigError(f"container has runAsNonRoot and image will run as root {where}")
    if not name.isdigit():
        raise ConfigError(
            f"container has runAsNonRoot and image has non-numeric user ({name}), cannot verify user is non-root {where}"
        )


def _user(pod: Object, container: Mapping[str, Any], image: ImageRecord) -> str:
    user, group = _effective(pod, container, "runAsUser"), _effective(pod, container, "runAsGroup")
    if user is None and group is None:
        return ""
    name = str(user) if user is not None else image.user.split(":")[0] or "0"
    return f"{name}:{group}" if group is not None else name


def groups_of_image(pod: Object) -> bool:
    """Whether the user also gets the groups that the image's /etc/group gives it."""
    context = podspec.spec_of(pod).get("securityContext") or {}
    return bool(context.get("supplementalGroupsPolicy") != "Strict")


def needs_passwd(pod: Object, container: Mapping[str, Any]) -> bool:
    """Whether the user's own group must be looked up: told to the engine, it adds none of the image's."""
    return not groups_of_image(pod) and _effective(pod, container, "runAsGroup") is None


def strict_user(pod: Object, container: Mapping[str, Any], image: ImageRecord, passwd: str) -> str:
    """``user:group``, the group from the image's user or its /etc/passwd where nothing else says it."""
    user, group = _effective(pod, container, "runAsUser"), _effective(pod, container, "runAsGroup")
    name, _, own = image.user.partition(":")
    if user is not None:
        name, own = str(user), ""
    name = name or "0"
    return f"{name}:{group if group is not None else own or _primary_group(passwd, name)}"


def _primary_group(passwd: str, user: str) -> str:
    for line in passwd.splitlines():
        fields = line.split(":")
        if len(fields) > 3 and user in (fields[0], fields[2]):
            return fields[3]
    return "0"


def _seccomp(pod: Object, container: Mapping[str, Any], profiles: Path, default: str) -> str:
    profile = _effective(pod, container, "seccompProfile") or {}
    kind = profile.get("type", default)
    if kind == "RuntimeDefault":
        return ""
    if kind == "Localhost":
        path = profiles / str(profile.get("localhostProfile", ""))
        try:
            return path.read_text()
        except OSError as err:
            raise ConfigError(f"cannot load seccomp profile {str(path)!r}: {err.strerror}") from err
    return "unconfined"


def _apparmor(pod: Object, container: Mapping[str, Any]) -> str:
    profile = _effective(pod, container, "appArmorProfile")
    if profile is None:
        text: str = annotations_of(pod).get(_APPARMOR_ANNOTATION + container["name"], "")
        return text.removeprefix("localhost/") if text not in ("", "runtime/default") else ""
    known: dict[str, str] = {"Unconfined": "unconfined", "Localhost": profile.get("localhostProfile", "")}
    return known.get(profile.get("type", ""), "")


def _selinux(pod: Object, container: Mapping[str, Any]) -> tuple[str, ...]:
    """As the engine writes labels; one without SELinux takes them and does nothing, as other runtimes do."""
    options = _effective(pod, container, "seLinuxOptions") or {}
    return tuple(f"{part}:{options[part]}" for part in ("user", "role", "type", "level") if options.get(part))


def supplemental_groups(pod: Object) -> tuple[int, ...]:
    """``supplementalGroups`` and ``fsGroup``."""
    context = podspec.spec_of(pod).get("securityContext") or {}
    groups = list(context.get("supplementalGroups") or ())
    if context.get("fsGroup") is not None:
        groups.append(context["fsGroup"])
    return tuple(dict.fromkeys(groups))


def _capabilities(names: Any) -> tuple[str, ...]:
    return tuple(str(n).upper() for n in names or ())


def container_security(
    pod: Object,
    container: Mapping[str, Any],
    image: ImageRecord,
    profiles: Path,
    *,
    seccomp_default: bool = False,
    passwd: str = "",
) -> Security:
    """What the runtime is told; ``profiles`` is the folder of Localhost seccomp profiles, ``passwd`` the image's file where
    ``needs_passwd`` asks for it. Raises ConfigError.
    """
    check_non_root(pod, container, image)
    context = container.get("securityContext") or {}
    capabilities = context.get("capabilities") or {}
    escalation = context.get("allowPrivilegeEscalation")
    return Security(
        user=_user(pod, container, image) if groups_of_image(pod) else strict_user(pod, container, image, passwd),
        groups=supplemental_groups(pod),
        privileged=bool(context.get("privileged")),
        read_only_root=bool(context.get("readOnlyRootFilesystem")),
        no_new_privileges=escalation is False,
        cap_add=_capabilities(capabilities.get("add")),
        cap_drop=_capabilities(capabilities.get("drop")),
        seccomp=_seccomp(pod, container, profiles, "RuntimeDefault" if seccomp_default else "Unconfined"),
        apparmor=_apparmor(pod, container),
        selinux=_selinux(pod, container),
        unmasked_proc=context.get("procMount") == "Unmasked",
    )
