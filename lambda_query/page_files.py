"""The page's files, as stacks/page builds them: found once, served as they are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from lambda_query import answers

HOME, REFERENCE = "index.html", "docs.html"

_TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml",
          ".txt": "text/plain"}  # fmt: skip
_FOREVER = "public, max-age=31536000, immutable"
"""Of files whose folder's name changes with any byte of them."""
_ASK_EACH_TIME = "no-cache"


@dataclass(frozen=True)
class PageFile:
    """One file, and beside it itself in gzip if there is such a file."""

    path: Path
    packed: Path | None
    media_type: str
    cached: str

    def answer(self, request: Request) -> Response:
        """To a GET."""
        packed = self.packed if "gzip" in request.headers.get("accept-encoding", "") else None
        body = (packed or self.path).read_bytes()
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {"ETag": etag, "Cache-Control": self.cached}
        if self.packed:
            headers["Vary"] = "Accept-Encoding"
        if answers.has(request, etag):
            return Response(status_code=304, headers=headers)
        if packed:
            headers["Content-Encoding"] = "gzip"
        return Response(body, headers=headers, media_type=self.media_type)


def find(folder: Path) -> Mapping[str, PageFile]:
    """Every file by its path in the folder. Nothing else is ever read, whatever a request names."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.suffix in _TYPES]
    return {path.relative_to(folder).as_posix(): _file(folder, path) for path in paths}


def _file(folder: Path, path: Path) -> PageFile:
    packed = path.with_name(path.name + ".gz")
    return PageFile(
        path,
        packed if packed.is_file() else None,
        _TYPES[path.suffix],
        _FOREVER if path.parent != folder else _ASK_EACH_TIME,
    )
