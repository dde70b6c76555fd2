import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubeling.client import kubeconfig
from kubeling.client.errors import KubeconfigError


def config(**user: Any) -> dict[str, Any]:
    made = kubeconfig.build("dev", "https://1.2.3.4:6443/", ca_pem="CA", token="t")
    made["users"][0]["user"].update(user)
    return made


def test_what_is_built_is_read_back(tmp_path: Path) -> None:
    made = kubeconfig.build("dev", "https://1.2.3.4:6443", ca_pem="CA", client_cert_pem="CERT", client_key_pem="KEY")
    kubeconfig.write(tmp_path / "sub" / "config", made)
    assert (tmp_path / "sub" / "config").stat().st_mode & 0o777 == 0o600
    found = kubeconfig.load(tmp_path / "sub" / "config")
    assert (found.server, found.ca_pem) == ("https://1.2.3.4:6443", "CA")
    assert (found.client_cert_pem, found.client_key_pem, found.namespace) == ("CERT", "KEY", "default")
    assert "KEY" not in repr(found)


def test_files_are_relative_to_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("PEM")
    made = config()
    made["clusters"][0]["cluster"] = {"server": "https://h", "certificate-authority": "ca.crt"}
    (tmp_path / "config").write_text(yaml.safe_dump(made))
    assert kubeconfig.load(tmp_path / "config").ca_pem == "PEM"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update({"current-context": "other"}), "no context named 'other'"),
        (lambda c: c.update({"current-context": ""}), "no context given and no current-context set"),
        (lambda c: c.update(clusters=[]), "no cluster named 'dev'"),
        (lambda c: c["users"][0]["user"].update(exec={"command": "x"}), "uses 'exec'"),
        (lambda c: c["users"][0]["user"].update({"client-key": "missing.key"}), "cannot read client-key"),
        (lambda c: c["users"][0]["user"].update({"client-key-data": "%%"}), "no base64"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, change: Any, message: str) -> None:
    made = config()
    change(made)
    (tmp_path / "config").write_text(yaml.safe_dump(made))
    with pytest.raises(KubeconfigError, match=message):
        kubeconfig.load(tmp_path / "config")


def test_a_missing_or_broken_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match="cannot read kubeconfig"):
        kubeconfig.load(tmp_path / "none")
    (tmp_path / "broken").write_text("a: [")
    with pytest.raises(KubeconfigError, match="no valid YAML"):
        kubeconfig.load(tmp_path / "broken")


def test_merge_and_without_leave_others_alone() -> None:
    first, second = kubeconfig.build("a", "https://a"), kubeconfig.build("b", "https://b", user="u")
    both = kubeconfig.merge(first, second)
    assert [c["name"] for c in both["clusters"]] == ["a", "b"]
    assert both["current-context"] == "b"
    assert (
        kubeconfig.merge(both, kubeconfig.build("b", "https://new"))["clusters"][1]["cluster"]["server"]
        == "https://new"
    )
    less = kubeconfig.without(both, "b", user="u")
    assert (less["clusters"], less["current-context"]) == (first["clusters"], "")
    assert less["users"] == first["users"]


def test_in_cluster(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    (tmp_path / "ca.crt").write_text(base64.b64encode(b"x").decode())
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    found = kubeconfig.in_cluster(environ, tmp_path)
    assert found.server == "https://[fd00::1]:443"
    with pytest.raises(KubeconfigError, match="give --kubeconfig"):
        kubeconfig.in_cluster({}, tmp_path)
