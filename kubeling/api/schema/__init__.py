"""One schema engine for built-in kinds and custom resources."""

from kubeling.api.schema.body import GVK, Body, decode_body
from kubeling.api.schema.model import Field, Presence, Shape, Type
from kubeling.api.schema.schemas import Decoded, DecodeError, ObjectSchema, Schemas, schemas_for
from kubeling.api.schema.structural import StructuralSchema, structural_schema
from kubeling.api.schema.text import SyntaxFailure, parse_json
from kubeling.api.schema.yamltext import parse_yaml

__all__ = [
    "GVK",
    "Body",
    "DecodeError",
    "Decoded",
    "Field",
    "ObjectSchema",
    "Presence",
    "Schemas",
    "Shape",
    "StructuralSchema",
    "SyntaxFailure",
    "Type",
    "decode_body",
    "parse_json",
    "parse_yaml",
    "schemas_for",
    "structural_schema",
]
