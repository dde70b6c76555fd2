"""Variables that are computed when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .errors import CelError


class Lazy:
    """A variable that is computed when it is first asked for; its error is raised again each time."""

    __slots__ = ("_compute", "_error", "_value")
    _NOTHING = object()

    def __init__(self, compute: Callable[[], Any]) -> None:
        self._compute = compute
        self._value: Any = Lazy._NOTHING
        self._error: CelError | None = None

    def get(self) -> Any:
        if self._error is not None:
            raise self._error
        if self._value is Lazy._NOTHING:
            try:
                self._value = self._compute()
            except CelError as error:
                self._error = error
                raise
        return self._value
