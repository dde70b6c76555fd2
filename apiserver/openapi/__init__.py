"""OpenAPI v2 and v3 of everything that is served."""

from apiserver.openapi.service import OpenAPI

__all__ = ["OpenAPI"]
