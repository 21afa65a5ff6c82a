"""Who may make a request: the policy that the gateway goes by.

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


@dataclass(frozen=True)
class Decision:
    """What the gateway is told, of whom, and why not if it is to refuse."""

    client_id: str
    answer: dict[str, Any]
    refused: Reason | None = None


class Authorizer:
    """Keeps keys and clients for seconds. `client` is one of Secrets Manager."""

    def __init__(self, settings: AuthorizerSettings, client: Any, clocks: Clocks | None = None) -> None:
        self._settings, self._clocks = settings, clocks or Clocks()
        self._keys = SigningKeys(client, settings.signing_key, self._clocks)
        self._clients = RegisteredClients(client, settings.client_secrets, settings.stage, self._clocks)

    def decide(self, event: Mapping[str, Any]) -> Decision:
        """On an event of a REQUEST authorizer. Raises RefusedError, which is 401."""
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
        refused = None if self._settings.audience in audiences else Reason.NOT_FOR_THIS_API
        return Decision(client_id, self._answer(client_id, event["methodArn"], allow=refused is None), refused)

    def _answer(self, client_id: str, method: str, *, allow: bool) -> dict[str, Any]:
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
