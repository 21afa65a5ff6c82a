"""Answers that take longer than a request may: where a 202 points to."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Path, Query
from starlette.responses import Response
from starlette.routing import Match

from lambda_query import answers, openapi
from lambda_query.problems import ProblemError


def add(router: APIRouter, asked: APIRouter) -> None:
    """Adds the route; `asked` has those that ask Athena."""

    @router.get(
        "/answers/{id}",
        summary="An answer that takes longer",
        response_model=dict[str, Any],
        responses={**openapi.ASKED, **openapi.problems(409)},
    )
    async def answer(
        execution_id: Annotated[str, Path(alias="id", max_length=128, pattern=r"^[A-Za-z0-9-]+$")],
        of: Annotated[str, Query(max_length=1024, description="What was asked: a path of this API, and its query")],
    ) -> Response:
        """As whatever `of` names would be answered. Go where a 202 points to: it has both parameters right.

        404 if that is not what the query was asked for.
        """
        path, query = _parts(of)
        if not any(_is_of(route, path) for route in asked.routes):
            raise ProblemError(404, "There is no such answer: `of` names nothing that can be asked.")
        return answers.AnswerOf(asked, path, query, execution_id)


def _parts(of: str) -> tuple[str, str]:
    try:
        parts = urlsplit(of)
        of.encode()
    except ValueError:
        return "", ""
    return (parts.path, parts.query) if not (parts.scheme or parts.netloc) else ("", "")


def _is_of(route: Any, path: str) -> bool:
    return bool(route.matches({"type": "http", "method": "GET", "path": path})[0] is Match.FULL)
