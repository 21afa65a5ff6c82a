"""How an answer looks in HTTP: what may be kept by whom (RFC 9111), and where to look for one that takes long."""

from __future__ import annotations

from urllib.parse import quote

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from lambda_query.models import Running
from lambda_query.problems import ProblemError

JSON = "application/json"
_BEGUN, _CAME_AS = "atlas.begun", "atlas.came_as"
_LOOK_AGAIN_SECONDS = 2
_MOST_BYTES = 4_500_000
"""Of an answer. A function's may have 6 MB, and compressed bytes become 4/3 of them on their way:
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""


def written(model: BaseModel) -> bytes:
    """The body. Raises ProblemError if it is more than a function may answer."""
    body = model.model_dump_json(by_alias=True).encode()
    if len(body) > _MOST_BYTES:
        raise ProblemError(400, f"The answer has {len(body):,} bytes, {_MOST_BYTES:,} at most: ask for fewer days.")
    return body


def same_for(etag: str, body: bytes) -> Response:
    """The same as long as its ETag is: whoever keeps it asks each time whether it is."""
    return Response(body, headers=_keeping(etag), media_type=JSON)


def unchanged(etag: str) -> Response:
    """To whoever has it already."""
    return Response(status_code=304, headers=_keeping(etag))


def once(body: bytes) -> Response:
    """For this request only."""
    return Response(body, headers={"Cache-Control": "no-store"}, media_type=JSON)


def has(request: Request, etag: str) -> bool:
    """Whether whoever asks has the answer of that ETag (RFC 9110, section 13.1.2)."""
    given = [tag.strip() for tag in request.headers.get("if-none-match", "").split(",")]
    return "*" in given or etag.removeprefix("W/") in [tag.removeprefix("W/") for tag in given]


def running(request: Request, execution_id: str) -> Response:
    """Not yet: where to look. Both places are relative, for the API may live under any prefix."""
    asked = quote(request.scope["path"] + (f"?{request.url.query}" if request.url.query else ""), safe="")
    place = f"answers/{quote(execution_id, safe='')}?of={asked}"
    came_as = request.scope.get(_CAME_AS, request.scope["path"])
    headers = {
        "Cache-Control": "no-store",
        "Location": "../" * (came_as.count("/") - 1) + place,
        "Retry-After": str(_LOOK_AGAIN_SECONDS),
    }
    body = Running(answer=place).model_dump_json().encode()
    return Response(body, 202, headers=headers, media_type=JSON)


def begun(request: Request) -> str | None:
    """The query that a request wants the answer of, if it says so."""
    found: str | None = request.scope.get(_BEGUN)
    return found


class AnswerOf(Response):
    """What `app` answers to another request, by a query that has begun."""

    def __init__(self, app: ASGIApp, path: str, query: str, execution_id: str) -> None:
        super().__init__()
        self._app, self._path, self._query, self._execution_id = app, path, query, execution_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI
        other = {
            "path": self._path,
            "raw_path": self._path.encode(),
            "query_string": self._query.encode(),
            _BEGUN: self._execution_id,
            _CAME_AS: scope["path"],
        }
        await self._app({**scope, **other}, receive, send)


def _keeping(etag: str) -> dict[str, str]:
    return {"ETag": etag, "Cache-Control": "private, no-cache"}
