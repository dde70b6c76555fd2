"""Server-side apply and managed fields."""

from kubeling.api.apply.configuration import Configuration, parse_configuration, refuse_repeated_keys
from kubeling.api.apply.manager import FieldManager
from kubeling.api.apply.scale import ScaleOwnership

__all__ = ["Configuration", "FieldManager", "ScaleOwnership", "parse_configuration", "refuse_repeated_keys"]
