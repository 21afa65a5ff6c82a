"""What the gateway itself answers when it refuses: problem documents (RFC 9457), with the status that says why.

The texts are not run through a template engine: only `$context` variables are put in.
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-gatewayResponse-definition.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

PROBLEM_JSON = "application/problem+json"
RETRY_SECONDS = 1
"""Until a throttled client may try again: its tokens are renewed every second."""


@dataclass(frozen=True)
class Problem:
    """An answer: `type` and `title` are those that RFC 9457 has for a problem that its status says all of."""

    status: HTTPStatus
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> str:
        """The body."""
        told = {"type": "about:blank", "title": title(self.status), "status": self.status, "detail": self.detail}
        return json.dumps(told)


def title(status: HTTPStatus) -> str:
    """The status in words, as RFC 9110 has it."""
    return "Content Too Large" if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else status.phrase


_NOT_FOUND = Problem(HTTPStatus.NOT_FOUND, "There is no such resource, or it does not know this method.")
_LATER = {"Retry-After": str(RETRY_SECONDS)}
_UNKNOWN = "Whether this was accepted is not known. Send it again: an event with an id of its own counts once."
UNAVAILABLE = Problem(HTTPStatus.SERVICE_UNAVAILABLE, _UNKNOWN, _LATER)
"""What is answered, too, if the queue answers anything that was not thought of."""
_TOO_MANY = Problem(HTTPStatus.TOO_MANY_REQUESTS, "Too many requests: send this one again later.", _LATER)
_CHALLENGE = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
"""RFC 6750, section 3. The gateway cannot tell a token that is missing from one that does not hold."""

PROBLEMS: dict[str, Problem] = {
    # In the words of the gateway's validator, which come with quotation marks escaped.
    "BAD_REQUEST_BODY": Problem(
        HTTPStatus.BAD_REQUEST, "The body breaks the schema: $context.error.validationErrorString"
    ),
    "BAD_REQUEST_PARAMETERS": Problem(HTTPStatus.BAD_REQUEST, "The request's parameters cannot be read."),
    "UNAUTHORIZED": Problem(HTTPStatus.UNAUTHORIZED, "The token is missing or does not hold.", _CHALLENGE),
    "ACCESS_DENIED": Problem(HTTPStatus.FORBIDDEN, "This client may not use this API."),
    "INVALID_API_KEY": Problem(HTTPStatus.FORBIDDEN, "This client is in no usage plan of this API."),
    "REQUEST_TOO_LARGE": Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The request is too long: send fewer events at once."
    ),
    "UNSUPPORTED_MEDIA_TYPE": Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send application/json."),
    "THROTTLED": _TOO_MANY,
    "QUOTA_EXCEEDED": _TOO_MANY,
    "INTEGRATION_FAILURE": UNAVAILABLE,
    "INTEGRATION_TIMEOUT": Problem(HTTPStatus.GATEWAY_TIMEOUT, _UNKNOWN, _LATER),
    # For a path or method that there is not, the gateway speaks of a missing or malformed signature.
    "MISSING_AUTHENTICATION_TOKEN": _NOT_FOUND,
    "RESOURCE_NOT_FOUND": _NOT_FOUND,
    "INVALID_SIGNATURE": _NOT_FOUND,
    "EXPIRED_TOKEN": _NOT_FOUND,
    "DEFAULT_4XX": _NOT_FOUND,
    "DEFAULT_5XX": Problem(HTTPStatus.INTERNAL_SERVER_ERROR, _UNKNOWN, _LATER),
}
"""By the type of the gateway's response. What is not here falls to its DEFAULT."""
