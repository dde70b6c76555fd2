"""kubeling: a small, complete Kubernetes in Python."""

import sys

__version__ = "0.1.0"

# httpx loads a command line of its own with all that draws on terminals: 100 modules and 6 MB in every component. It does
# without where that cannot be imported.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # None: an import fails
