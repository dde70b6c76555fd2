"""``python -m benchmarks.streams [megabytes of log]``: exec, cp and logs through kubectl, beside Docker's own commands.

Brings a cluster of its own up (root, Docker, kubectl, the image of ``scripts/images.sh``), and takes it down. What kubectl costs by
itself is in its figures: the time of a ``kubectl get`` is shown with them.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.pod_start import IMAGE, free_port, kubeling
from benchmarks.stage import cpu_seconds, resident_bytes

NAME = "bench-streams"
_TREE_FOLDERS, _TREE_FILES, _FILE_BYTES = 100, 10, 200 << 10
_LINE = "0123456789" * 10


def show(what: str, figure: str, bar: str = "") -> None:
    print(f"{what:<62}{figure:>28}   {bar}", flush=True)


def seconds(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def median(action: Callable[[], object], count: int = 10) -> float:
    return statistics.median(seconds(action) for _ in range(count))


class Commands:
    """kubectl on the cluster; docker on the container of the pod ``c``."""

    def __init__(self, folder: Path) -> None:
        self._env = {**os.environ, "KUBECONFIG": str(folder / "kubeconfig")}
        self._container = ""

    def kubectl(self, *args: str, **options: object) -> bytes:
        return self._run(["kubectl", *args], **options)

    def docker(self, *args: str, **options: object) -> bytes:
        return self._run(["docker", *args], **options)

    def _run(self, argv: Sequence[str], **options: object) -> bytes:
        done = subprocess.run(argv, env=self._env, check=True, stdout=subprocess.PIPE, **options)  # type: ignore[call-overload]
        return bytes(done.stdout)

    def open(self, *argv: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(argv, env=self._env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    @property
    def container(self) -> str:
        if not self._container:
            labels = (f"label=kubeling.cluster={NAME}", "label=io.kubernetes.container.name=c")
            found = self.docker("ps", "-q", *(a for label in labels for a in ("--filter", label)))
            self._container = found.decode().strip()
        return self._container


def start_pod(run: Commands, name: str, *command: str) -> None:
    run.kubectl("run", name, f"--image={IMAGE}", "--restart=Never", "--command", "--", *command)
    run.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")


def echo_median(run: Commands, *argv: str) -> float:
    """A line sent on an open stream until it comes back."""
    process = run.open(*argv)
    assert process.stdin is not None and process.stdout is not None
    taken = []
    for _ in range(200):
        begun = time.perf_counter()
        process.stdin.write(b"hello\n")
        process.stdin.flush()
        process.stdout.readline()
        taken.append(time.perf_counter() - begun)
    process.stdin.close()
    process.wait()
    return statistics.median(taken[20:])


def measure_exec(run: Commands) -> None:
    ours = echo_median(run, "kubectl", "exec", "-i", "c", "--", "cat")
    theirs = echo_median(run, "docker", "exec", "-i", run.container, "cat")
    show("exec: a line on an open stream and back, median", f"{ours * 1000:.2f} ms", "bar 20 ms")
    show("  the same with docker exec", f"{theirs * 1000:.2f} ms")
    whole = median(lambda: run.kubectl("exec", "c", "--", "true"))
    docker = median(lambda: run.docker("exec", run.container, "true"))
    alone = median(lambda: run.kubectl("get", "pod", "c"))
    show("kubectl exec c -- true, whole command", f"{whole * 1000:.0f} ms")
    show(
        "  docker exec true; kubectl get pod",
        f"{docker * 1000:.0f} ms; {alone * 1000:.0f} ms",
        f"ratio {whole / docker:.1f}",
    )


def make_tree(folder: Path) -> float:
    """Megabytes of incompressible files."""
    for i in range(_TREE_FOLDERS):
        (folder / str(i)).mkdir(parents=True)
        for j in range(_TREE_FILES):
            (folder / str(i) / str(j)).write_bytes(os.urandom(_FILE_BYTES))
    return _TREE_FOLDERS * _TREE_FILES * _FILE_BYTES / 1e6


def measure_copy(run: Commands, folder: Path) -> None:
    tree, back = folder / "tree", folder / "back"
    size = make_tree(tree)
    up = seconds(lambda: run.kubectl("cp", str(tree), "c:/tmp/tree"))
    down = seconds(lambda: run.kubectl("cp", "c:/tmp/tree", str(back), stderr=subprocess.DEVNULL))
    subprocess.run(["diff", "-rq", tree, back], check=True)
    archive = folder / "tree.tar"
    subprocess.run(["tar", "cf", archive, "-C", folder, "tree"], check=True)
    with archive.open("rb") as source:
        docker_up = seconds(
            lambda: run.docker("exec", "-i", run.container, "tar", "xf", "-", "-C", "/tmp", stdin=source)
        )
    docker_down = seconds(lambda: run.docker("exec", run.container, "tar", "cf", "-", "-C", "/tmp", "tree"))
    show(
        f"kubectl cp of {size:.0f} MB in 1,000 files, up; down",
        f"{size / up:.0f}; {size / down:.0f} MB/s",
        "bar 50 MB/s",
    )
    show("  tar through docker exec, up; down", f"{size / docker_up:.0f}; {size / docker_down:.0f} MB/s")


def processes_of_cluster() -> dict[str, int]:
    """The pids of the kubelet and the API server of this run."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        text = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        if f"/kubeling/{NAME}/" in text and (match := re.search(r"-m (kubelet|apiserver) ", text)):
            found[match[1]] = int(path.parent.name)
    return found


def measure_log(run: Commands, megabytes: int) -> None:
    size = megabytes * 1_000_000
    pids = processes_of_cluster()
    run.kubectl("logs", "c")  # what is loaded at first use is no growth
    start_pod(run, "burst", "sh", "-c", f"sleep 3; yes {_LINE} | head -c {size}; sleep 2")
    before = {name: resident_bytes(pid) for name, pid in pids.items()}
    cpu = {name: cpu_seconds(pid) for name, pid in pids.items()}
    process, arrived, begun = run.open("kubectl", "logs", "-f", "burst"), 0, 0.0
    assert process.stdout is not None
    while piece := process.stdout.read1(1 << 20):
        begun = begun or time.perf_counter()
        arrived += len(piece)
    took = time.perf_counter() - begun
    process.wait()
    grown = {name: (resident_bytes(pid) - before[name]) / 1e6 for name, pid in pids.items()}
    spent = {name: cpu_seconds(pid) - cpu[name] for name, pid in pids.items()}
    show(f"log of {megabytes} MB followed while it is written: lost", f"{size - arrived} bytes", "bar 0")
    show("  as fast as Docker writes it", f"{arrived / took / 1e6:.0f} MB/s")
    show(
        "  resident growth of kubelet; API server",
        f"{grown['kubelet']:.0f}; {grown['apiserver']:.0f} MB",
        "bar: none to speak of",
    )
    show("  their CPU", f"{spent['kubelet']:.1f}; {spent['apiserver']:.1f} s")
    tail = median(lambda: run.kubectl("logs", "burst", "--tail=10"), 5)
    show("  its last 10 lines (kubectl included)", f"{tail * 1000:.0f} ms")
    kept = len(run.kubectl("logs", "burst"))
    whole = seconds(lambda: run.kubectl("logs", "burst"))
    show(f"  all {kept / 1e6:.0f} MB that rotation has kept", f"{kept / whole / 1e6:.0f} MB/s")


def main() -> None:
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            kubeling("up", "--name", NAME, "--port", str(free_port()), folder=folder)
            run = Commands(folder)
            start_pod(run, "c", "sleep", "100000")
            measure_exec(run)
            measure_copy(run, folder)
            measure_log(run, megabytes)
        finally:
            kubeling("down", "--name", NAME, folder=folder)


if __name__ == "__main__":
    main()
