"""Whether a token is one of ours, for this API, and now: RFC 8725, section 3, point by point."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import jwt
from jwt.types import Options

from atlas import access
from lambda_events.signing_keys import SigningKeys

_CLOCKS_DIFFER_SECONDS = 5
"""The one that issued a token may be that much ahead. No token is good for longer because of it."""
_CHECKED_BY_US: Options = {
    "verify_aud": False,
    "verify_exp": False,
    "verify_iat": False,
    "verify_iss": False,
    "verify_nbf": False,
}


class Reason(StrEnum):
    """Why a request is refused; for logs, not for those who are."""

    NO_TOKEN = "no_token"  # noqa: S105 - a reason
    MALFORMED = "malformed"
    ALGORITHM = "algorithm"
    UNKNOWN_KEY = "unknown_key"
    SIGNATURE = "signature"
    CLAIMS = "claims"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    EXPIRED = "expired"
    NOT_YET = "not_yet"
    NO_SUCH_CLIENT = "no_such_client"
    NOT_FOR_THIS_API = "not_for_this_api"


class RefusedError(Exception):
    """A request without a token that holds. `client_id` is whose token it is, if its signature says so."""

    def __init__(self, reason: Reason, client_id: str | None = None) -> None:
        super().__init__(reason.value)
        self.reason, self.client_id = reason, client_id


def bearer(event: Mapping[str, Any]) -> str:
    """The one token of a request, as a REQUEST authorizer gets it. Raises RefusedError.

    The header's name and the scheme are in any case: RFC 9110, sections 5.1 and 11.1.
    """
    several = event.get("multiValueHeaders") or {
        name: [text] for name, text in (event.get("headers") or {}).items()
    }
    given = [text for name, texts in several.items() if name.lower() == "authorization" for text in texts]
    if len(given) != 1:
        raise RefusedError(Reason.NO_TOKEN)
    scheme, _, token = given[0].strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise RefusedError(Reason.NO_TOKEN)
    return str(token.strip())


def client_of(token: str, keys: SigningKeys, issuer: str, audience: str, now: float) -> str:
    """The client whose token it is, `now` in seconds since 1970. Raises RefusedError."""
    claims = _signed(token, keys)
    client_id = claims.get("sub")
    if not isinstance(client_id, str) or not access.is_client_id(client_id):
        raise RefusedError(Reason.CLAIMS)
    if reason := _fault(claims, issuer, audience, now):
        raise RefusedError(reason, client_id)
    return client_id


def _signed(token: str, keys: SigningKeys) -> dict[str, Any]:
    """The claims of a token that one of our keys signed. PyJWT's errors may quote a token: nobody is told them."""
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise RefusedError(Reason.MALFORMED) from None
    # Before a key is looked for: the algorithm is ours to say, and so is what the key is for.
    if header.get("alg") != access.ALGORITHM:
        raise RefusedError(Reason.ALGORITHM)
    kid = header.get("kid")
    key = keys.named(kid) if isinstance(kid, str) else None
    if key is None:
        raise RefusedError(Reason.UNKNOWN_KEY)
    try:
        claims: dict[str, Any] = jwt.decode(
            token, key.key.encode(), algorithms=[access.ALGORITHM], options=_CHECKED_BY_US
        )
    except jwt.InvalidSignatureError:
        raise RefusedError(Reason.SIGNATURE) from None
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise RefusedError(Reason.MALFORMED) from None
    return claims


def _fault(claims: Mapping[str, Any], issuer: str, audience: str, now: float) -> Reason | None:
    """What is wrong with the claims. Each has to be there, and to be the text or whole number that we issue."""
    issued_at, not_before, expires_at = (claims.get(name) for name in ("iat", "nbf", "exp"))
    if not (type(issued_at) is type(not_before) is type(expires_at) is int and isinstance(claims.get("jti"), str)):
        return Reason.CLAIMS
    checks = {
        Reason.ISSUER: claims.get("iss") != issuer,
        Reason.AUDIENCE: claims.get("aud") != audience,
        Reason.CLAIMS: expires_at - issued_at > access.TOKEN_SECONDS,  # longer than any that was issued
        Reason.EXPIRED: now >= expires_at,
        Reason.NOT_YET: max(issued_at, not_before) > now + _CLOCKS_DIFFER_SECONDS,
    }
    return next((reason for reason, fails in checks.items() if fails), None)
