"""Who may ask: closed by default. What is public is listed here; anything else needs a client that may ask."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from lambda_query.problems import CHALLENGE, INVALID_TOKEN, ProblemError

PUBLIC = ("/", "/docs", "/health", "/openapi.json")
PUBLIC_FOLDER = "/page/"


@dataclass(frozen=True)
class Verdict:
    """Of a request: whose it is, or with which status it is refused."""

    client_id: str | None = None
    refused: HTTPStatus = HTTPStatus.UNAUTHORIZED


Judge = Callable[[Scope], Verdict]


def by_authorizer(scope: Scope) -> Verdict:
    """What the gateway's authorizer said: lambda_events/query_authorizer.py. Nothing said is 401."""
    context: Any = scope.get("aws.event")
    for name in ("requestContext", "authorizer", "lambda"):
        context = context.get(name) if isinstance(context, Mapping) else None
    if not isinstance(context, Mapping):
        return Verdict()
    refused, client_id = context.get("refused"), context.get("client_id")
    if refused is not None or not isinstance(client_id, str) or not client_id:
        return Verdict(refused=HTTPStatus.FORBIDDEN if refused == "403" else HTTPStatus.UNAUTHORIZED)
    return Verdict(client_id)


def by_token(token: str, client_id: str) -> Judge:
    """One token for one client: how `atlas serve` does it."""
    expected = token.encode()

    def judge(scope: Scope) -> Verdict:
        given = authorizations(scope)
        scheme, _, told = given[0].strip().partition(b" ") if len(given) == 1 else (b"", b"", b"")
        if scheme.lower() == b"bearer" and hmac.compare_digest(told.strip(), expected):
            return Verdict(client_id)
        return Verdict()

    return judge


def authorizations(scope: Scope) -> list[bytes]:
    """Every Authorization header of a request."""
    return [value for name, value in scope["headers"] if name.lower() == b"authorization"]


class Gate:
    """Lets through what is public, and whom the judge knows. Everything else is told why not."""

    def __init__(self, app: ASGIApp, judge: Judge) -> None:
        self._app, self._judge = app, judge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI
        if scope["type"] == "lifespan" or (scope["type"] == "http" and _is_public(scope["path"])):
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # websockets: there are none
            raise RuntimeError(f"the API does not speak {scope['type']}")
        verdict = self._judge(scope)
        if verdict.client_id is not None:
            await self._app(scope, receive, send)
            return
        await _refusal(verdict, scope).answer()(scope, receive, send)


def _is_public(path: str) -> bool:
    return path in PUBLIC or path.startswith(PUBLIC_FOLDER)


def _refusal(verdict: Verdict, scope: Scope) -> ProblemError:
    if verdict.refused == HTTPStatus.FORBIDDEN:
        return ProblemError(HTTPStatus.FORBIDDEN, "This client may not use this API.")
    challenge = INVALID_TOKEN if authorizations(scope) else CHALLENGE
    detail = "The token is missing or does not hold. Get one: POST /token, and send it as Authorization: Bearer."
    return ProblemError(HTTPStatus.UNAUTHORIZED, detail, headers=challenge)
