"""``python -m kubelet``."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

from kubelet.app import make_kubelet
from kubelet.configuration import with_configuration
from kubelet.node.bootstrap import bootstrap_kubeconfig
from kubelet.node.identity import certificate_file, own_credentials
from kubelet.options import IGNORED, Options
from kubeling.client.clock import SystemClock
from kubeling.client.errors import StartError
from kubeling.client.process import Process, component_main
from kubeling.client.rest import Client
from kubeling.client.transport import Transport


async def run(options: Options, process: Process) -> None:
    """Works until cancelled; without ``--kubeconfig`` it runs static pods only."""
    options, configuration = await asyncio.to_thread(with_configuration, options)
    if options.bootstrap_kubeconfig:
        if not options.kubeconfig:
            raise StartError("--bootstrap-kubeconfig needs --kubeconfig, the file that it is to write")
        certificates = certificate_file(options, "kubelet-client").folder
        name = (options.hostname_override or socket.gethostname()).lower()
        bootstrap, target = Path(options.bootstrap_kubeconfig), Path(options.kubeconfig)
        await bootstrap_kubeconfig(bootstrap, target, certificates, name, SystemClock())
    client: Client | None = None
    if options.kubeconfig or options.master:
        client = Client(Transport.of(await asyncio.to_thread(own_credentials, options), user_agent="kubelet"))
    try:
        kubelet = await make_kubelet(options, client, configuration)
        await kubelet.run()
    finally:
        if client is not None:
            await client.aclose()


if __name__ == "__main__":
    sys.exit(component_main("kubelet", Options, run, ignored=IGNORED))
