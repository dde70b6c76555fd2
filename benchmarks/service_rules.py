"""Time from services to kernel rules: rendering, and applying in a network namespace of its own (needs root and nft).

python -m benchmarks.service_rules [--services 1000] [--endpoints 3]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

from kubeproxy.model import Endpoint, ServicePort
from kubeproxy.render import Settings, render_ports


def ports(services: int, endpoints: int) -> list[ServicePort]:
    """ClusterIP services, every fourth a NodePort, as ``service_ports`` reads them."""
    found = []
    for i in range(services):
        targets = tuple(
            Endpoint(f"10.244.{(i * endpoints + k) // 250}.{(i * endpoints + k) % 250 + 1}", 8080)
            for k in range(endpoints)
        )
        node_port = 30000 + i if i % 4 == 0 else 0
        found.append(
            ServicePort(
                "default", f"s{i}", "http", "tcp", 80, f"10.96.{i // 250}.{i % 250 + 1}", node_port, endpoints=targets
            )
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--endpoints", type=int, default=3)
    options = parser.parse_args()
    listed = ports(options.services, options.endpoints)
    settings = Settings("bench", "10.244.0.0/16", "10.96.0.0/16", bridge="br0")
    began = time.perf_counter()
    text = render_ports(listed, settings)
    rendered = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rules"
        file.write_text(text)
        timed = f"nft -f {file} && date +%s%N && nft -f {file} && date +%s%N"
        done = subprocess.run(["unshare", "-n", "sh", "-c", timed], capture_output=True, text=True, check=True)
    first, second = (int(line) for line in done.stdout.split())
    result = {
        "services": options.services,
        "render_ms": round(rendered * 1000),
        "apply_again_ms": round((second - first) / 1e6),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
