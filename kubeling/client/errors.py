"""Failures of a client that are not the API's own::

    ClientError
    ├── ConnectionFailed      no answer: nobody listens, TLS refused, connection lost, deadline passed
    ├── KubeconfigError       a kubeconfig that cannot be used; the message says which file and what to do
    └── StartError            a component cannot start; the message is the one line the user sees

What the API answers itself is ``kubeling.api.errors.StatusError``.
"""

from __future__ import annotations


class ClientError(Exception):
    """Base of all failures on the client's side."""


class ConnectionFailed(ClientError):
    """The server gave no (complete) answer. Retry with back-off; whether a write happened is unknown."""


class KubeconfigError(ClientError):
    """The kubeconfig is missing, unreadable, or lacks something."""


class StartError(ClientError):
    """A component cannot start as asked; ends the process with exit status 1 and this one line."""
