"""What needs no token: the page, the reference, and whether the API runs."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lambda_query.models import Health
from lambda_query.page_files import HOME, REFERENCE, PageFile
from lambda_query.problems import ProblemError


def add(router: APIRouter, pages: APIRouter, stage: str, files: Mapping[str, PageFile]) -> None:
    """Adds the routes. Those of `pages` take any query: what a page makes of its address is the page's business."""

    @router.get("/health", tags=["public"], summary="Whether the API runs, and for which stage")
    def health() -> Health:
        return Health(stage=stage)

    @pages.get("/", include_in_schema=False)
    def page(request: Request) -> Response:
        return _served(request, HOME, files)

    @pages.get("/docs", include_in_schema=False)
    def reference(request: Request) -> Response:
        return _served(request, REFERENCE, files)

    @pages.get("/page/{path:path}", include_in_schema=False)
    def file(request: Request, path: str) -> Response:
        return _served(request, path, files)

    @router.get("/openapi.json", include_in_schema=False)
    def openapi(request: Request) -> Response:
        return JSONResponse(request.app.openapi(), headers={"Cache-Control": "no-cache"})


def _served(request: Request, path: str, files: Mapping[str, PageFile]) -> Response:
    found = files.get(path)
    if found is None:
        raise ProblemError(404, "There is no such file.")
    return found.answer(request)
