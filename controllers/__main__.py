"""``python -m controllers``: the controller manager."""

import sys

from controllers.manager import NAME, main
from controllers.options import IGNORED, Options
from controllers.registry import listed
from kubeling.client.process import component_main

if __name__ == "__main__":
    sys.exit(component_main(NAME, Options, main, ignored=IGNORED, texts={"controllers": listed()}))
