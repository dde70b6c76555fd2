"""``python -m kubelet``."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path

from kubelet.app import RestartWanted, make_kubelet
from kubelet.configuration import with_configuration
from kubelet.node.bootstrap import bootstrap_kubeconfig
from kubelet.options import IGNORED, Options
from kubeling.client.clock import SystemClock
from kubeling.client.errors import StartError
from kubeling.client.process import Process, client_for, component_main


async def run(options: Options, process: Process) -> None:
    """Works until cancelled; without ``--kubeconfig`` it runs static pods only."""
    options, configuration = await asyncio.to_thread(with_configuration, options)
    if options.bootstrap_kubeconfig:
        if not options.kubeconfig:
            raise StartError("--bootstrap-kubeconfig needs --kubeconfig, the file that it is to write")
        certificates = Path(options.cert_dir or Path(options.root_dir) / "pki")
        name = (options.hostname_override or socket.gethostname()).lower()
        bootstrap, target = Path(options.bootstrap_kubeconfig), Path(options.kubeconfig)
        await bootstrap_kubeconfig(bootstrap, target, certificates, name, SystemClock())
    client = client_for(options, "kubelet") if options.kubeconfig or options.master else None
    try:
        kubelet = await make_kubelet(options, client, configuration)
        await kubelet.run()
    except* RestartWanted:
        asyncio.get_running_loop().call_soon(_start_again)
    finally:
        if client is not None:
            await client.aclose()


def _start_again() -> None:
    os.execv(sys.executable, [sys.executable, "-m", "kubelet", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(component_main("kubelet", Options, run, ignored=IGNORED))
