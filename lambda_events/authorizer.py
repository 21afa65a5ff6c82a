"""The entry point of the authorizer: settings, client, metrics. It decides nothing."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics

from atlas import faults
from atlas import metrics as counted
from atlas.settings import AuthorizerSettings
from lambda_events.authorizer_decision import Authorizer
from lambda_events.authorizer_token import RefusedError
from lambda_events.secret_versions import hasty_client

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(service=counted.EVENTS)
metrics = Metrics(service=counted.EVENTS)  # the namespace is in the environment


class UnauthorizedError(Exception):
    """Has the gateway answer 401: it goes by this very text, and every such answer is an error of the function's.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-use-lambda-authorizer.html
    """

    def __init__(self) -> None:
        super().__init__("Unauthorized")


@cache
def _authorizer() -> Authorizer:
    return Authorizer(AuthorizerSettings.from_env(os.environ), hasty_client())


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001 - Lambda gives it
    """Answers the gateway with a policy, or fails with "Unauthorized"."""
    refused = False
    try:
        decision = _authorizer().decide(event)
        refused = decision.refused is not None
    except RefusedError as refusal:
        refused = True
        _tell(refusal.reason.value, refusal.client_id)
        raise UnauthorizedError from None
    except Exception as fault:  # noqa: BLE001 - raised again
        logger.error("failed", extra={"error": type(fault).__name__, "cause": faults.told(fault)})
        raise faults.tellable(fault) from None
    finally:
        metrics.add_metric(counted.AUTHORIZATIONS_FAILED.name, counted.AUTHORIZATIONS_FAILED.unit, int(refused))
    if decision.refused:
        _tell(decision.refused.value, decision.client_id)
    return decision.answer


def _tell(reason: str, client_id: str | None) -> None:
    """Why, and whose token it was if its signature says so. Whoever is let in has a line in the gateway's log."""
    logger.warning("refused", extra={"reason": reason, **({"client_id": client_id} if client_id else {})})
