"""What the API says of itself: FastAPI's document, and what FastAPI does not know of it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from lambda_query.models import Problem, Running
from lambda_query.problems import MEDIA_TYPE

TITLE = "Atlas query API"
_DESCRIPTION = (
    "Answers from gold, the books and the events, by the questions of `queries/`. All days are UTC days. Every "
    "error is a problem document (RFC 9457). An answer that takes longer than a request may is 202, with a place "
    "to look."
)
_PUBLIC = "public"
_REFERENCE = "#/components/schemas/{model}"
_WAITS = {"Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer"}}}
_ETAG = {"ETag": {"description": "Changes when the answer may", "schema": {"type": "string"}}}

_MEANINGS = {
    "400": "A parameter is missing, unknown, out of bounds or not what it has to be; `errors` names it.",
    "401": "The token is missing or does not hold.",
    "403": "The client may not use this API.",
    "404": "There is no such thing.",
    "409": "The day has been processed anew: start again, without `next`.",
    "500": "The fault is on this side.",
    "502": "Athena has not answered.",
    "503": "Too much is asked just now.",
}
_ANY: tuple[str, ...] = ("400", "404", "500")
_ASKING = ("401", "403", "502", "503")

ASKED: dict[int | str, dict[str, Any]] = {
    202: {
        "model": Running,
        "description": "The answer takes longer: `Location` says where to look.",
        "headers": _WAITS,
    },
    304: {"description": "Whoever asks has the answer: If-None-Match."},
}
"""What every route that asks Athena may answer beside 200."""


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route may answer that others do not."""
    return {status: {} for status in statuses}


def document(app: FastAPI) -> dict[str, Any]:
    """OpenAPI 3.1. The server is where the document itself is: the API may live under any prefix."""
    if app.openapi_schema:
        return app.openapi_schema
    told = get_openapi(
        title=TITLE,
        version="1",
        description=_DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        routes=app.routes,
        servers=[{"url": ".", "description": "Where this document is"}],
    )
    components = told.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas.update(_schemas(Problem))
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    components["responses"] = {_named(status): _problem(status, meaning) for status, meaning in _MEANINGS.items()}
    for path in told["paths"].values():
        for operation in path.values():
            _complete(operation)
    app.openapi_schema = told
    return told


def _complete(operation: dict[str, Any]) -> None:
    """Says of an operation who may ask, and which problems it answers with."""
    responses = operation["responses"]
    responses.pop("422", None)
    responses["200"]["description"] = "The answer."
    if _PUBLIC in operation.pop("tags", []):
        operation["security"] = []
        problems = _ANY
    else:
        operation["security"] = [{"token": []}]
        problems = _ANY + _ASKING
        responses["200"]["headers"] = _ETAG
    for status in (*problems, *(status for status in responses if int(status) >= 400)):
        responses[status] = {"$ref": f"#/components/responses/{_named(status)}"}
    operation["responses"] = dict(sorted(responses.items()))


def _named(status: str) -> str:
    return HTTPStatus(int(status)).phrase.replace(" ", "")


def _problem(status: str, meaning: str) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": {"$ref": _REFERENCE.format(model="Problem")}}}
    return {"description": meaning, "content": content} | ({"headers": _WAITS} if status == "503" else {})


def _schemas(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template=_REFERENCE)
    further: dict[str, Any] = schema.pop("$defs", {})
    return {model.__name__: schema, **further}
