"""`POST /token`: a token for whoever knows a client's secret, and nothing to learn for anybody else.

Nobody can tell a client that does not exist from one whose secret is another: the answer is the same, and so are
the calls to Secrets Manager and the comparisons before it; it comes at a whole multiple of _FLOOR_SECONDS after the
request, however long those took. A request with the right secret is answered at once.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt

from atlas import access
from atlas.settings import TokenSettings
from lambda_events import token_request
from lambda_events.clocks import Clocks
from lambda_events.registered_clients import RegisteredClients
from lambda_events.secret_versions import value_of
from lambda_events.signing_keys import SigningKeys
from lambda_events.token_request import InvalidRequestError

_FLOOR_SECONDS = 0.5
"""Longer than the two calls take on any but a bad day."""
_DECOY = secrets.token_bytes(32)
"""What is compared where there is no secret."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What the client is told, and what the log may be: names, never a secret or a token."""

    status: int
    body: Mapping[str, Any] = field(repr=False)
    told: Mapping[str, str]


class TokenIssuer:
    """Knows no secret for longer than one request. `client` is one of Secrets Manager."""

    def __init__(self, settings: TokenSettings, client: Any, clocks: Clocks | None = None) -> None:
        self._settings, self._client, self._clocks = settings, client, clocks or Clocks()
        self._keys = SigningKeys(client, settings.signing_key, self._clocks)
        self._clients = RegisteredClients(client, settings.client_secrets, settings.stage, self._clocks)

    def answer(self, event: Mapping[str, Any]) -> Answer:
        """Of a request as the gateway's Lambda proxy hands it on."""
        began = self._clocks.monotonic()
        try:
            request = token_request.read(event)
        except InvalidRequestError as fault:
            return _refusal(400, fault.code, str(fault))
        known, proven = self._try(request.client_id, request.client_secret)
        if not proven:
            self._wait(began)
            # An id that is nobody's is not for logs: it may be a secret that was put in the wrong place.
            return _refusal(
                401, "invalid_client", "the client id or secret is wrong", request.client_id if known else None
            )
        if request.audience not in (self._clients.audiences(request.client_id) or ()):
            return _refusal(403, "invalid_target", "the client may not use this audience", request.client_id)
        return self._issue(request.client_id, request.audience)

    def _try(self, client_id: str, given: str) -> tuple[bool, bool]:
        """Whether there is such a client, and whether the secret is its current or its previous one."""
        if not access.is_client_id(client_id):
            return False, False
        known = False
        for stage in (access.CURRENT, access.PREVIOUS):
            secret = self._secret(client_id, stage)
            known = known or secret is not None
            if _is_same(given, secret):
                return True, True
        return known, False

    def _secret(self, client_id: str, stage: str) -> str | None:
        name = self._settings.client_secrets + client_id
        text = value_of(self._client, name, VersionStage=stage)
        try:
            return access.ClientSecret.from_secret(text, client_id).client_secret if text else None
        except access.UnreadableSecretError as fault:
            _log.error("version %s of %s is no client's secret: %s", stage, name, fault)
            return None

    def _wait(self, began: float) -> None:
        passed = self._clocks.monotonic() - began
        self._clocks.sleep((passed // _FLOOR_SECONDS + 1) * _FLOOR_SECONDS - passed)

    def _issue(self, client_id: str, audience: str) -> Answer:
        key, issued_at, jti = self._keys.to_sign(), int(self._clocks.now()), str(uuid.uuid4())
        claims = {
            "iss": access.issuer(self._settings.stage),
            "aud": audience,
            "sub": client_id,
            "iat": issued_at,
            "nbf": issued_at,
            "exp": issued_at + access.TOKEN_SECONDS,
            "jti": jti,
        }
        token = jwt.encode(claims, key.key.encode(), access.ALGORITHM, headers={"kid": key.kid})
        body = {"access_token": token, "token_type": "Bearer", "expires_in": access.TOKEN_SECONDS}
        told = {"outcome": "issued", "client_id": client_id, "audience": audience, "kid": key.kid, "jti": jti}
        return Answer(200, body, told)


def _is_same(given: str, secret: str | None) -> bool:
    """In a time that depends on neither, nor on whether there is a secret."""
    expected = _DECOY if secret is None else _digest(secret)
    return hmac.compare_digest(_digest(given), expected) and secret is not None


def _digest(text: str) -> bytes:
    """Of the same length for every text: how long a secret is shows in no comparison."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _refusal(status: int, code: str, description: str, client_id: str | None = None) -> Answer:
    told = {"outcome": "refused", "reason": code, **({"client_id": client_id} if client_id else {})}
    return Answer(status, {"error": code, "error_description": description}, told)
