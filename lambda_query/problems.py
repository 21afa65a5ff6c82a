"""What is answered when a request cannot be: problem documents (RFC 9457), which tell nothing internal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5
_MOST_ERRORS = 20
_THROTTLES = (
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
)
"""The codes by which Athena, Glue and S3 say that there are too many requests just now."""
CHALLENGE = {"WWW-Authenticate": "Bearer"}
"""RFC 6750, section 3: to a request without a token, no error code."""
INVALID_TOKEN = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class ProblemError(Exception):
    """A request that is answered with a problem document.

    `detail` and `errors` are for the client, and tell nothing internal; `told` is for the log.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        told: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.told = dict(told or {})
        self.status, self.detail = HTTPStatus(status), detail
        self.errors, self.headers = errors[:_MOST_ERRORS], dict(headers or {})

    def answer(self) -> Response:
        """The problem document. `type` and `title` are RFC 9457's for a problem that its status says all of."""
        told: dict[str, Any] = {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
        }
        if self.errors:
            told["errors"] = [dict(error) for error in self.errors]
        headers = {"Cache-Control": "no-store", **self.headers}
        return Response(json.dumps(told), self.status.value, headers=headers, media_type=MEDIA_TYPE)


def bad_parameter(name: str, detail: str) -> ProblemError:
    """One parameter is at fault."""
    return ProblemError(400, f"{name}: {detail}", errors=[{"parameter": name, "detail": detail}])


def busy(
    detail: str = "Too much is asked just now. Ask again later.", told: Mapping[str, object] | None = None
) -> ProblemError:
    """Whoever asks again later may be answered."""
    return ProblemError(503, detail, headers={"Retry-After": str(RETRY_SECONDS)}, told=told)


def internal() -> ProblemError:
    """A fault of ours: what it is stands in the log, and nowhere else."""
    return ProblemError(500, "The fault is on this side, and has been noted. Ask again, or tell the operator.")


def of_aws(fault: ClientError | BotoCoreError) -> ProblemError:
    """An error of AWS's clients: 503 if AWS is busy or cannot be reached, else 500."""
    if isinstance(fault, ClientError):
        return busy() if fault.response.get("Error", {}).get("Code") in _THROTTLES else internal()
    if isinstance(fault, NoConnectionError | HTTPClientError):
        return busy("What the answer is read from cannot be reached just now. Ask again later.")
    return internal()
