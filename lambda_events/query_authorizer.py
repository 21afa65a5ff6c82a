"""The entry point of the query API's authorizer: settings, client, metrics. It decides nothing."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics

from atlas import faults
from atlas import metrics as counted
from atlas.settings import AuthorizerSettings
from lambda_events.authorizer_decision import Authorizer
from lambda_events.authorizer_token import Reason
from lambda_events.secret_versions import hasty_client

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(service=counted.EVENTS)
metrics = Metrics(service=counted.EVENTS)  # the namespace is in the environment


@cache
def _authorizer() -> Authorizer:
    return Authorizer(AuthorizerSettings.from_env(os.environ), hasty_client())


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001 - Lambda gives it
    """Tells the query API's function whose request it is, or why it is to be refused."""
    guessed = False
    try:
        decision = _authorizer().tell(event)
        # Whoever follows a link without a token guesses nothing: the page's address is there for people to open.
        guessed = decision.refused not in (None, Reason.NO_TOKEN)
    except Exception as fault:  # noqa: BLE001 - raised again
        logger.error("failed", extra={"error": type(fault).__name__, "cause": faults.told(fault)})
        raise faults.tellable(fault) from None
    finally:
        metrics.add_metric(counted.AUTHORIZATIONS_FAILED.name, counted.AUTHORIZATIONS_FAILED.unit, int(guessed))
    if decision.refused:
        whose = {"client_id": decision.client_id} if decision.client_id else {}
        logger.warning("refused", extra={"reason": decision.refused.value, **whose})
    return decision.answer
