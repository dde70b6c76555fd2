from pathlib import Path

from kubeling.cluster.down import mounts_below

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
