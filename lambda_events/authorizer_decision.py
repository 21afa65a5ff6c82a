"""Who may make a request: what the gateway of the events API goes by, and that of the query API.

A token that does not hold is 401, whatever is wrong with it (RFC 6750, section 3.1). A client that is there but may
not use this API is 403.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from atlas import access
from atlas.names import Names
from atlas.settings import AuthorizerSettings
from lambda_events.authorizer_token import Reason, RefusedError, bearer, client_of
from lambda_events.clocks import Clocks
from lambda_events.registered_clients import RegisteredClients
from lambda_events.signing_keys import SigningKeys

UNAUTHORIZED, FORBIDDEN = "401", "403"
"""What `Authorizer.tell` says of a refusal."""


@dataclass(frozen=True)
class Decision:
    """What the gateway is told, of whom if that is known, and why not if the request is to be refused."""

    client_id: str | None
    answer: dict[str, Any]
    refused: Reason | None = None


class Authorizer:
    """Keeps keys and clients for seconds. `client` is one of Secrets Manager."""

    def __init__(self, settings: AuthorizerSettings, client: Any, clocks: Clocks | None = None) -> None:
        self._settings, self._clocks = settings, clocks or Clocks()
        self._keys = SigningKeys(client, settings.signing_key, self._clocks)
        self._clients = RegisteredClients(client, settings.client_secrets, settings.stage, self._clocks)

    def decide(self, event: Mapping[str, Any]) -> Decision:
        """On an event of a REST API's REQUEST authorizer. Raises RefusedError, which is 401."""
        client_id, refused = self._identify(event)
        return Decision(client_id, self._policy(client_id, event["methodArn"], allow=refused is None), refused)

    def tell(self, event: Mapping[str, Any]) -> Decision:
        """On an event of an HTTP API's authorizer, payload 2.0, with simple responses: never refuses.

        An HTTP API answers 403 to whatever its authorizer refuses, and no problem document. So the request goes on,
        with `{"client_id": ...}`, or `{"refused": "401" or "403"}`, as the authorizer's context, which nobody else
        can write; the function behind the gateway answers by it:
        https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html
        """
        try:
            client_id, refused = self._identify(event)
        except RefusedError as refusal:
            return Decision(refusal.client_id, _simple({"refused": UNAUTHORIZED}), refusal.reason)
        return Decision(
            client_id, _simple({"refused": FORBIDDEN} if refused else {"client_id": client_id}), refused
        )

    def _identify(self, event: Mapping[str, Any]) -> tuple[str, Reason | None]:
        """Whose token it is, and why it may not use this API, if it may not. Raises RefusedError."""
        client_id = client_of(
            bearer(event),
            self._keys,
            access.issuer(self._settings.stage),
            self._settings.audience,
            self._clocks.now(),
        )
        audiences = self._clients.audiences(client_id)
        if audiences is None:
            raise RefusedError(Reason.NO_SUCH_CLIENT, client_id)
        return client_id, None if self._settings.audience in audiences else Reason.NOT_FOR_THIS_API

    def _policy(self, client_id: str, method: str, *, allow: bool) -> dict[str, Any]:
        """For exactly this method.

        https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-output.html
        """
        statement = {"Effect": "Allow" if allow else "Deny", "Action": "execute-api:Invoke", "Resource": method}
        return {
            "principalId": client_id,
            "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
            "context": {"client_id": client_id},
            "usageIdentifierKey": access.usage_key(Names(self._settings.stage).client_key(client_id)),
        }


def _simple(context: dict[str, str]) -> dict[str, Any]:
    return {"isAuthorized": True, "context": context}
