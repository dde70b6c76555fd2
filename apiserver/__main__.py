"""``python -m apiserver``: upstream's flags, one line on stderr when it cannot start."""

from __future__ import annotations

import gc
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

_GC_THRESHOLD = 50_000
"""Objects are plain dicts without cycles: collecting them every 700 allocations costs a tenth of the time."""


async def serve(options: Options) -> None:
    server = await Server.connect(options)
    await server.run()


def main(arguments: Sequence[str]) -> int:
    try:
        options = parse_options(arguments)
    except ValidationError as err:
        for problem in err.errors():
            flag = "--" + "".join(str(p) for p in problem["loc"][:1]).replace("_", "-")
            print(f"error: {flag}: {problem['msg']}", file=sys.stderr)
        return 1
    configure(options.logging_format, options.v)
    gc.set_threshold(_GC_THRESHOLD, 20, 50)
    try:
        uvloop.run(serve(options))
    except (OSError, ValueError, StorageError, StatusError, ssl.SSLError) as err:
        print(f"error: {err}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        logging.getLogger("apiserver").info("interrupted")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
