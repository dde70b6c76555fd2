"""The body of a server-side apply request."""

from __future__ import annotations

from dataclasses import dataclass, field

from kubeling.api.errors import bad_request
from kubeling.api.meta import Object
from kubeling.api.schema import SyntaxFailure, parse_yaml
from kubeling.api.schema.body import repeated_keys_text
from kubeling.api.schema.scalars import json_kind


@dataclass(slots=True)
class Configuration:
    """An applied configuration as it was sent, and the warnings for the client."""

    obj: Object
    warnings: list[str] = field(default_factory=list)


def parse_configuration(body: bytes) -> Configuration:
    """The configuration of an apply request (YAML, or JSON as YAML). Raises StatusError 400.

    ``warnings`` are the keys that come twice; fields that the schema does not know are for ``FieldManager.apply`` to refuse.
    """
    try:
        value, repeated = parse_yaml(body)
    except SyntaxFailure as failure:
        raise bad_request(f"error decoding YAML: error converting YAML to JSON: {failure}") from None
    if value is None:
        value = {}
    if not isinstance(value, dict):
        why = f"json: cannot unmarshal {json_kind(value)} into Go value of type map[string]interface {{}}"
        raise bad_request(f"error decoding YAML: error unmarshaling JSON: while decoding JSON: {why}")
    return Configuration(value, repeated)


def refuse_repeated_keys(configuration: Configuration) -> None:
    """What ``fieldValidation: Strict`` makes of repeated keys, once the apply itself has succeeded. Raises StatusError 400."""
    if configuration.warnings:
        text = repeated_keys_text(configuration.warnings)
        raise bad_request(f"error strict decoding YAML: error converting YAML to JSON: {text}")
