"""Plays the recordings of the real kube-apiserver against ours and fails below the figures last reached.

    python -m tests.golden [--update] [AREA ...]

The recordings lie beside the repository (``../shared/golden``) or where ``KUBELING_GOLDEN`` says; ``floor.json`` holds the figures:
for each area how many steps are identical and how many agree in their managed fields. Every area has an etcd and an API
server of its own, two areas run at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import ssl
import sys
import tempfile
import urllib.request
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FLOOR = Path(__file__).with_name("floor.json")
TOKENS = {"admin": "system:masters", "alice": "", "bob": ""}
START_SECONDS = 60
AT_A_TIME = 2


def recordings() -> Path | None:
    folder = Path(os.environ.get("KUBELING_GOLDEN", ROOT.parent / "shared" / "golden"))
    return folder if (folder / "replay.py").is_file() else None


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@asynccontextmanager
async def process(log: Path, *argv: str):
    with log.open("wb") as output:
        running = await asyncio.create_subprocess_exec(*argv, stdout=output, stderr=output, cwd=ROOT)
    try:
        yield running
    finally:
        if running.returncode is None:
            running.terminate()
        await running.wait()


@asynccontextmanager
async def server(folder: Path):
    """An etcd and an API server as the README of the recordings asks for; gives the server's URL."""
    client, peer, secure = free_ports(3)
    etcd = f"http://127.0.0.1:{client}"
    tokens = folder / "tokens.csv"
    tokens.write_text("".join(f"{u}token,{u},{u}-uid{f',{g}' if g else ''}\n" for u, g in TOKENS.items()))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            process(
                folder / "etcd.log",
                "etcd",
                f"--data-dir={folder / 'etcd'}",
                f"--listen-client-urls={etcd}",
                f"--advertise-client-urls={etcd}",
                f"--listen-peer-urls=http://127.0.0.1:{peer}",
            )
        )
        running = await stack.enter_async_context(
            process(
                folder / "apiserver.log",
                *(sys.executable, "-m", "apiserver", f"--etcd-servers={etcd}", f"--secure-port={secure}"),
                *("--bind-address=127.0.0.1", f"--cert-dir={folder / 'certs'}", f"--token-auth-file={tokens}"),
                "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
                *(
                    "--service-cluster-ip-range=10.96.0.0/16",
                    "--authorization-mode=Node,RBAC",
                    "--allow-privileged=true",
                ),
            )
        )
        url = f"https://127.0.0.1:{secure}"
        await wait_ready(url, running, folder)
        yield url


async def wait_ready(url: str, running: asyncio.subprocess.Process, folder: Path) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    def ready() -> bool:
        try:
            with urllib.request.urlopen(f"{url}/readyz", context=context, timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    for _ in range(START_SECONDS * 10):
        if await asyncio.to_thread(ready):
            return
        if running.returncode is not None:
            break
        await asyncio.sleep(0.1)
    raise RuntimeError(f"the API server did not start: {(folder / 'apiserver.log').read_text()[-2000:]}")


async def play(golden: Path, area: str, slots: asyncio.Semaphore) -> dict[str, int]:
    async with slots:
        with tempfile.TemporaryDirectory(prefix="kubeling-golden-") as scratch:
            folder = Path(scratch)
            async with server(folder) as url:
                tokens = [f"--token={u}={u}token" for u in TOKENS]
                argv = [sys.executable, str(golden / "replay.py"), "--server", url, "--insecure", *tokens]
                argv += ["--area", area, "--json", str(folder / "out.json"), str(golden / "scenarios" / area)]
                with (folder / "replay.log").open("wb") as output:
                    player = await asyncio.create_subprocess_exec(*argv, stdout=output)
                    await player.wait()
            return json.loads((folder / "out.json").read_text())["total"]


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--update", action="store_true", help="write the figures reached into floor.json")
    parser.add_argument("areas", nargs="*")
    args = parser.parse_args()
    golden = recordings()
    if golden is None:
        print("golden: no recordings beside the repository (set KUBELING_GOLDEN)", file=sys.stderr)
        return 1 if os.environ.get("CI") else 0
    floors = json.loads(FLOOR.read_text())
    areas = args.areas or sorted(p.name for p in (golden / "scenarios").iterdir())
    slots = asyncio.Semaphore(AT_A_TIME)
    results = dict(zip(areas, await asyncio.gather(*(play(golden, a, slots) for a in areas)), strict=True))
    below = report(results, floors)
    if args.update:
        floors.update({a: {"identical": r["identical"], "fields": r["fields_good"]} for a, r in results.items()})
        FLOOR.write_text(json.dumps(dict(sorted(floors.items())), indent=1) + "\n")
        return 0
    return 1 if below else 0


def report(results: dict[str, dict[str, int]], floors: dict[str, dict[str, int]]) -> list[str]:
    """Prints a line an area; returns the areas that fell below their floor."""
    below = []
    for area, r in results.items():
        floor = floors.get(area, {"identical": 0, "fields": 0})
        fell = r["identical"] < floor["identical"] or r["fields_good"] < floor["fields"]
        below += [area] if fell else []
        print(
            f"golden {area:<14} identical {r['identical']}/{r['steps']} ({100 * r['identical'] / max(1, r['steps']):.1f} %), "
            f"message only {r['message']}, managed fields {r['fields_good']}/{r['fields']}"
            + (f"  BELOW {floor['identical']}, {floor['fields']}" if fell else "")
        )
    print(f"{len(results) - len(below)} passed, {len(below)} failed")
    return below


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
