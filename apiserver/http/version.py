"""``/version`` and the answer to paths that nobody serves."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from kubeling.api.meta import Object

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def version_router(version: Object) -> APIRouter:
    """``version`` is the version.Info object (major, minor, gitVersion, ...)."""
    router = APIRouter()

    @router.get("/version")
    @router.get("/version/")
    async def get_version() -> Response:
        return JSONResponse(version)

    @router.get("/")
    async def get_paths(request: Request) -> Response:
        return JSONResponse({"paths": request.scope.get("paths", ["/api", "/apis", "/healthz", "/version"])})

    @router.api_route("/{path:path}", methods=_METHODS)
    async def nothing_here(path: str) -> Response:
        return PlainTextResponse("404 page not found\n", 404)

    return router
