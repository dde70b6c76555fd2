"""What a node refuses, variables from files, block volumes, labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubelet.containers.build import VolumePath, container_devices
from kubelet.containers.failure import ConfigError
from kubelet.containers.keyfile import file_key, parse_env_file
from kubelet.containers.security import container_security
from kubelet.node.features import NodeFeatures, admit_features
from kubelet.pods.runtimeclass import require_engine_abilities
from kubelet.runtime.docker_config import security_config
from kubelet.runtime.protocol import RuntimeFailure
from kubelet.runtime.records import ImageRecord
from kubelet.runtime.specs import Device


def pod(context: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "p", "uid": "u"},
        "spec": {"containers": [{"name": "c"}], "securityContext": context or {}, **spec},
    }


def sysctl(name: str) -> dict[str, Any]:
    return {"sysctls": [{"name": name, "value": "1"}]}


@pytest.mark.parametrize(
    ("given", "reason", "message"),
    [
        (pod(), "", ""),
        (pod({"supplementalGroupsPolicy": "Strict"}), "", ""),
        (pod({"appArmorProfile": {"type": "Unconfined"}}), "", ""),
        (
            pod({"appArmorProfile": {"type": "RuntimeDefault"}}),
            "AppArmor",
            "Cannot enforce AppArmor: AppArmor is not enabled on the host",
        ),
        (pod(sysctl("net.ipv4.tcp_syncookies")), "", ""),
        (pod(sysctl("net/ipv4/tcp_syncookies")), "", ""),
        (
            pod(sysctl("net.core.somaxconn")),
            "SysctlForbidden",
            'forbidden sysctl: "net.core.somaxconn" not allowlisted',
        ),
        (pod(sysctl("kernel.msgmax")), "", ""),
        (
            pod(sysctl("net.ipv4.tcp_syncookies"), hostNetwork=True),
            "SysctlForbidden",
            'forbidden sysctl: "net.ipv4.tcp_syncookies" not allowed with host net enabled',
        ),
    ],
)
def test_what_a_node_refuses(given: dict[str, Any], reason: str, message: str) -> None:
    features = NodeFeatures(unsafe_sysctls=("kernel.msg*",))
    assert admit_features(given, features) == ((reason, message) if reason else None)


def test_user_namespaces_are_refused() -> None:
    require_engine_abilities(pod(hostUsers=True))
    with pytest.raises(
        RuntimeFailure, match=r"^can't set `spec\.hostUsers: false`, runtime does not support user name"
    ):
        require_engine_abilities(pod(hostUsers=False))


def test_env_files() -> None:
    assert parse_env_file("# c\n\n  A='1'\nB='two\nlines' \nA='3'") == {"A": "3", "B": "two\nlines"}
    for wrong in ("A=1", "A = '1'", "A='1' x", "='1'"):
        with pytest.raises(ValueError, match="line 1 is no NAME='value'"):
            parse_env_file(wrong)


@pytest.mark.parametrize(
    ("reference", "result"),
    [
        ({"volumeName": "v", "path": "f", "key": "A"}, "1"),
        ({"volumeName": "v", "path": "f", "key": "B", "optional": True}, None),
        ({"volumeName": "v", "path": "no", "key": "A", "optional": True}, None),
        (
            {"volumeName": "v", "path": "f", "key": "B"},
            ConfigError('environment variable key "B" not found in file "f"'),
        ),
        (
            {"volumeName": "w", "path": "f", "key": "A"},
            ConfigError('cannot find the volume "w" referenced by FileKeyRef'),
        ),
        ({"volumeName": "v", "path": "out", "key": "A"}, ConfigError("couldn't parse env file")),
    ],
)
def test_variables_from_files(tmp_path: Path, reference: dict[str, Any], result: Any) -> None:
    folder = tmp_path / "v"
    folder.mkdir()
    (folder / "f").write_text("A='1'\n")
    (tmp_path / "secret").write_text("A='no'\n")
    (folder / "out").symlink_to(tmp_path / "secret")
    if isinstance(result, ConfigError):
        with pytest.raises(ConfigError) as caught:
            file_key(reference, {"v": folder})
        assert str(caught.value).startswith(str(result))
    else:
        assert file_key(reference, {"v": folder}) == result


def test_block_volumes_are_devices() -> None:
    container = {"name": "c", "volumeDevices": [{"name": "b", "devicePath": "/dev/x"}]}
    assert container_devices(container, {"b": VolumePath("/dev/loop7", block=True)}) == (
        Device("/dev/loop7", "/dev/x"),
    )
    with pytest.raises(ConfigError, match='cannot find volume "b" to pass into container "c"'):
        container_devices(container, {"b": VolumePath("/data")})


def test_labels_and_the_default_profile(tmp_path: Path) -> None:
    image = ImageRecord("i", (), (), 1)
    given = pod({"seLinuxOptions": {"level": "s0:c1,c2", "type": "t"}})
    security = container_security(given, given["spec"]["containers"][0], image, tmp_path, seccomp_default=True)
    assert security.seccomp == ""
    assert security_config(security)["SecurityOpt"] == ["label=type:t", "label=level:s0:c1,c2"]
