"""The command: upstream's flags, one line on stderr when it cannot start."""

from __future__ import annotations

import logging
import ssl
import sys
from collections.abc import Sequence

import uvloop
from pydantic import ValidationError

from apiserver.logs import configure
from apiserver.options import Options, parse_options
from apiserver.server import Server
from apiserver.storage.base import StorageError
from kubeling.api.errors import StatusError


async def serve(options: Options) -> None:
    server = await Server.connect(options)
    await server.run()


def run(arguments: Sequence[str]) -> int:
    """Serves until told to stop; the exit status."""
    try:
        options = parse_options(arguments)
    except ValidationError as err:
        for problem in err.errors():
            flag = "--" + "".join(str(p) for p in problem["loc"][:1]).replace("_", "-")
            print(f"error: {flag}: {problem['msg']}", file=sys.stderr)
        return 1
    configure(options.logging_format, options.v)
    try:
        uvloop.run(serve(options))
    except (OSError, ValueError, StorageError, StatusError, ssl.SSLError) as err:
        print(f"error: {err}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        logging.getLogger("apiserver").info("interrupted")
    return 0
