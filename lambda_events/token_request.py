"""What a request for a token says: RFC 6749, sections 2.3.1, 4.4 and 5.2, with the body as a form or as JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

_LONGEST = 8192
"""Characters of a body. One that is right has some 200."""
_GRANT = "client_credentials"
_NAMES = ("client_id", "client_secret", "audience", "grant_type")


class InvalidRequestError(Exception):
    """The request cannot be read: 400. `code` is RFC 6749's, the message names the field, and never its value."""

    def __init__(self, message: str, code: str = "invalid_request") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class TokenRequest:
    """A client's claim to be one; what is missing of it is empty, and as wrong as anything."""

    client_id: str
    client_secret: str = field(repr=False)
    audience: str


def read(event: Mapping[str, Any]) -> TokenRequest:
    """The request in an event of the gateway's Lambda proxy. Raises InvalidRequestError."""
    headers = {name.lower(): text for name, text in (event.get("headers") or {}).items()}
    said = _parameters(headers.get("content-type") or "", _body(event))
    if said.get("grant_type", _GRANT) != _GRANT:
        raise InvalidRequestError(f"grant_type has to be {_GRANT}", "unsupported_grant_type")
    if not said.get("audience"):
        raise InvalidRequestError("audience is missing")
    client_id, client_secret = said.get("client_id", ""), said.get("client_secret", "")
    if "authorization" in headers:
        if "client_secret" in said or "client_id" in said:
            raise InvalidRequestError(
                "give the client id and secret either in the Authorization header or in the body"
            )
        client_id, client_secret = _basic(headers["authorization"])
    return TokenRequest(client_id, client_secret, said["audience"])


def _body(event: Mapping[str, Any]) -> str:
    text = event.get("body") or ""
    if len(text) > _LONGEST:
        raise InvalidRequestError(f"the body has more than {_LONGEST} characters")
    if not event.get("isBase64Encoded"):
        return str(text)
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:
        raise InvalidRequestError("the body is not UTF-8") from None


def _parameters(content_type: str, body: str) -> dict[str, str]:
    """Those that count, of which none may come twice; nothing is as good as absent."""
    match content_type.partition(";")[0].strip().lower():
        case "application/json":
            pairs = _json_pairs(body)
        case "application/x-www-form-urlencoded":
            pairs = _form_pairs(body)
        case _:
            raise InvalidRequestError(
                "Content-Type has to be application/json or application/x-www-form-urlencoded"
            )
    said: dict[str, str] = {}
    for name, value in pairs:
        if name not in _NAMES or value in ("", None):
            continue
        if not isinstance(value, str):
            raise InvalidRequestError(f"{name} has to be text")
        if name in said:
            raise InvalidRequestError(f"{name} is there twice")
        said[name] = value
    return said


def _json_pairs(body: str) -> Iterable[tuple[str, Any]]:
    try:
        pairs = json.loads(body, object_pairs_hook=tuple)
    except (ValueError, RecursionError):
        raise InvalidRequestError("the body is not JSON") from None
    # An object is a tuple of pairs, an array a list.
    if not isinstance(pairs, tuple):
        raise InvalidRequestError("the body is not a JSON object")
    return pairs


def _form_pairs(body: str) -> Iterable[tuple[str, Any]]:
    try:
        return parse_qsl(body, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise InvalidRequestError("the body is not a form") from None


def _basic(header: str) -> tuple[str, str]:
    """Id and secret of HTTP Basic, each of which is encoded like a form's fields; empty if there are none."""
    scheme, _, given = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        client_id, colon, client_secret = base64.b64decode(given.strip(), validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return (unquote_plus(client_id), unquote_plus(client_secret)) if colon else ("", "")
