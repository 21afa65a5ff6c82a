"""What is around every request: a line in the log, headers of every answer, and no error that gets out as it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from atlas import faults
from lambda_query.problems import ProblemError, internal, of_aws

Tell = Callable[[Mapping[str, Any]], None]
"""Takes what is known of a request once it has been answered: names, counts and days, never a record's content."""

_TOLD = "atlas.told"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every answer. All that the page needs comes from where it comes from itself."""


def tell(scope: Scope, **facts: object) -> None:
    """Adds facts to the request's line."""
    scope[_TOLD].update(facts)


class Observed:
    """The outermost part of the application."""

    def __init__(self, app: ASGIApp, told: Tell) -> None:
        self._app, self._tell = app, told

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        facts: dict[str, Any] = {}
        scope[_TOLD] = facts

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                facts["status"] = message["status"]
                _add_headers(message)
            await send(message)

        try:
            await self._app(scope, receive, answered)
        except Exception as fault:  # noqa: BLE001 - told, and answered as one of ours
            note(scope, fault)
            if "status" in facts:  # the answer has begun: there is no other
                raise faults.tellable(fault) from None
            await _problem_of(fault).answer()(scope, receive, answered)
        finally:
            route = getattr(scope.get("route"), "path", "(none)")
            milliseconds = round((time.monotonic() - began) * 1000)
            self._tell({"route": route, "method": scope["method"], "ms": milliseconds, **facts})


def note(scope: Scope, fault: Exception) -> None:
    """What an error is, for the request's line."""
    tell(scope, error=type(fault).__name__, cause=faults.told(fault))


def _problem_of(fault: Exception) -> ProblemError:
    return of_aws(fault) if isinstance(fault, ClientError | BotoCoreError) else internal()


def _add_headers(message: MutableMapping[str, Any]) -> None:
    headers = MutableHeaders(raw=message["headers"])
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("Cache-Control", "no-store")
