from pathlib import Path

import pytest

from kubeling.cluster import down as taking_down
from kubeling.cluster.down import down, mounts_below, remove_log_links
from kubeling.cluster.paths import ClusterPaths

MOUNTINFO = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw
40 22 0:35 / /var/lib/kubeling/dev/kubelet/pods/a/v rw - tmpfs tmpfs rw
41 22 0:36 / /var/lib/kubeling/dev/kubelet/pods/a/v/with\\040space rw - tmpfs tmpfs rw
42 22 0:37 / /var/lib/kubeling/development/x rw - tmpfs tmpfs rw
"""


def test_only_mounts_of_the_cluster_and_the_deepest_first():
    assert mounts_below(Path("/var/lib/kubeling/dev"), MOUNTINFO) == [
        "/var/lib/kubeling/dev/kubelet/pods/a/v/with space",
        "/var/lib/kubeling/dev/kubelet/pods/a/v",
    ]


async def test_damaged_settings_do_not_keep_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be read is told to be mended by this very command: it goes by the name."""
    paths = ClusterPaths(tmp_path / "mine")
    paths.root.mkdir()
    paths.config.write_text("{")
    removed: list[tuple[str, str]] = []

    async def remove(config, report):
        removed.append((config.name, config.network))
        return []

    monkeypatch.setattr(taking_down, "_remove_node_parts", remove)
    assert await down(paths, print, tmp_path / "kubeconfig")
    assert removed == [("mine", "kubeling-mine")]
    assert not paths.root.exists()


def test_links_to_logs_of_the_clusters_pods_go_and_others_stay(tmp_path: Path):
    pods, containers, kubelets = tmp_path / "pods", tmp_path / "containers", tmp_path / "kubelet"
    containers.mkdir()
    for uid in ("u1", "u2", "u3"):
        (pods / f"ns_web_{uid}" / "c").mkdir(parents=True)
        (containers / f"web_ns_c-{uid}.log").symlink_to(pods / f"ns_web_{uid}/c/0.log")
    for node, uid in (("n1", "u1"), ("n2", "u2")):
        (kubelets / node / "pods" / uid).mkdir(parents=True)
    remove_log_links(kubelets, pods, containers)
    assert [p.name for p in pods.iterdir()] == ["ns_web_u3"]
    assert [p.name for p in containers.iterdir()] == ["web_ns_c-u3.log"]
    remove_log_links(tmp_path / "none", pods, containers)
    assert len(list(pods.iterdir())) == 1
