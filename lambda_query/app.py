"""The application, put together from what it is told and given. It runs on Lambda, and by `atlas serve`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from fastapi import APIRouter, Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

from atlas import questions
from lambda_query import (
    openapi,
    page_files,
    routes_activity,
    routes_answers,
    routes_books,
    routes_logins,
    routes_public,
)
from lambda_query.asking import Asking
from lambda_query.athena import Athena
from lambda_query.catalog import Catalog
from lambda_query.clocks import Clocks
from lambda_query.gate import Gate, Judge
from lambda_query.kept import Kept
from lambda_query.observed import Observed, Tell, note, tell
from lambda_query.problems import ProblemError, of_aws
from lambda_query.requests import only_known_parameters
from lambda_query.versions import Versions

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from atlas.settings import QuerySettings

WAIT_SECONDS = 25.0
"""For an answer. The gateway gives up after 30:
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html"""
_KEPT_BYTES = 64 * 1024 * 1024
_LEAST_PACKED = 2048
_WITHOUT_TELEMETRY: Any = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


@dataclass(frozen=True)
class Clients:
    """boto3's."""

    athena: Any
    s3: Any
    glue: Any


def create_app(
    settings: QuerySettings,
    clients: Clients,
    judge: Judge,
    told: Tell,
    *,
    page: Path | None = None,
    clocks: Clocks = Clocks(),  # noqa: B008 - it is frozen
    wait_seconds: float = WAIT_SECONDS,
) -> FastAPI:
    """`judge` says whose a request is, `told` takes its line for the log, `page` is the folder of the built page.

    An answer that is not there after `wait_seconds` is 202.
    """
    asking = Asking(
        Athena(clients.athena, settings.database, settings.workgroup, clocks),
        Versions(clients.s3, settings.bucket),
        Catalog(clients.glue, settings.database),
        Kept(_KEPT_BYTES),
        clocks,
        wait_seconds,
    )
    library = questions.load()
    asked = APIRouter(
        dependencies=[Depends(only_known_parameters)], responses=openapi.ASKED, redirect_slashes=False
    )
    routes_logins.add(asked, asking, library, clocks)
    routes_activity.add(asked, asking, library)
    routes_books.add(asked, asking, library, clocks)
    other = APIRouter(dependencies=[Depends(only_known_parameters)])
    routes_answers.add(other, asked)
    pages = APIRouter()
    routes_public.add(other, pages, settings.stage, page_files.find(page) if page else {})
    app = FastAPI(
        title=openapi.TITLE,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        telemetry=_WITHOUT_TELEMETRY,
        middleware=[
            Middleware(Observed, told),
            Middleware(GZipMiddleware, minimum_size=_LEAST_PACKED, compresslevel=6),
            Middleware(Gate, judge),
        ],
        exception_handlers={
            ProblemError: _problem,
            RequestValidationError: _invalid,
            HTTPException: _http,
            ClientError: _aws,
            BotoCoreError: _aws,
        },
    )
    app.include_router(asked)
    app.include_router(other)
    app.include_router(pages)
    app.openapi = partial(openapi.document, app)  # type: ignore[method-assign]
    return app


async def _problem(request: Request, fault: Any) -> Response:
    problem: ProblemError = fault
    tell(request.scope, **problem.told)
    return problem.answer()


async def _invalid(_: Request, fault: Any) -> Response:
    errors = [
        {"parameter": str(error["loc"][-1]), "detail": error["msg"].removeprefix("Value error, ")}
        for error in fault.errors()
    ]
    named = "; ".join(f"{error['parameter']}: {error['detail']}" for error in errors)
    return ProblemError(400, named, errors=errors).answer()


async def _http(_: Request, fault: Any) -> Response:
    details = {404: "There is no such resource.", 405: "The resource does not know this method: use GET."}
    detail = details.get(fault.status_code, "The request cannot be answered.")
    return ProblemError(fault.status_code, detail, headers=fault.headers).answer()


async def _aws(request: Request, fault: Any) -> Response:
    note(request.scope, fault)
    return of_aws(fault).answer()
