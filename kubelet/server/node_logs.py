"""/logs/: the machine's log files, as Go's file server shows a folder."""

from __future__ import annotations

import asyncio
import html
import mimetypes
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

from kubelet.server.http import Response, error_response

_CHUNK = 1 << 18
NOT_FOUND = error_response(404, "404 page not found\n")


async def serve_file(root: Path, name: str) -> Response:
    """A file's bytes, or a folder's names as links; nothing outside ``root`` is shown."""
    return await asyncio.to_thread(_answer, root, name)


def _answer(root: Path, name: str) -> Response:
    root = root.resolve()
    path = (root / name).resolve()
    if path != root and root not in path.parents:
        return NOT_FOUND
    if path.is_dir():
        if name and not name.endswith("/"):
            return Response(301, headers=(("Location", f"{path.name}/"),))
        return Response(200, _listing(path).encode(), "text/html; charset=utf-8")
    if not path.is_file():
        return NOT_FOUND
    kind = mimetypes.guess_type(path.name)[0] or "text/plain"
    charset = "; charset=utf-8" if kind.startswith("text/") else ""
    return Response(200, _pieces(path), kind + charset)


def _listing(folder: Path) -> str:
    names = sorted(p.name + ("/" if p.is_dir() else "") for p in folder.iterdir())
    links = [f'<a href="{quote(n)}">{html.escape(n)}</a>' for n in names]
    head = '<!doctype html>\n<meta name="viewport" content="width=device-width">'
    return "\n".join([head, "<pre>", *links, "</pre>", ""])


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while piece := await asyncio.to_thread(file.read, _CHUNK):
            yield piece
    finally:
        await asyncio.to_thread(file.close)
