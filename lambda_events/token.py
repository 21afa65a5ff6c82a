"""The entry point of `POST /token`: settings, client, metrics. It decides nothing."""

from __future__ import annotations

import json
import os
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics

from atlas import faults
from atlas import metrics as counted
from atlas.settings import TokenSettings
from lambda_events.secret_versions import hasty_client
from lambda_events.token_issue import TokenIssuer

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(service=counted.EVENTS)
metrics = Metrics(service=counted.EVENTS)  # the namespace is in the environment

_HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-store", "Pragma": "no-cache"}
"""RFC 6749, section 5.1."""
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="token"'}
"""Section 5.2. A REST API hands it on under another name:
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html"""


@cache
def _issuer() -> TokenIssuer:
    return TokenIssuer(TokenSettings.from_env(os.environ), hasty_client())


def _count(metric: counted.Metric, value: int) -> None:
    metrics.add_metric(metric.name, metric.unit, value)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001 - Lambda gives it
    """Answers a request for a token, as the gateway's Lambda proxy wants it."""
    status = 500
    try:
        answer = _issuer().answer(event)
        status = answer.status
    except Exception as fault:  # noqa: BLE001 - raised again
        logger.error("failed", extra={"error": type(fault).__name__, "cause": faults.told(fault)})
        raise faults.tellable(fault) from None
    finally:
        _count(counted.TOKENS_ISSUED, int(status == 200))
        _count(counted.AUTHORIZATIONS_FAILED, int(status in (401, 403)))
    logger.info("token", extra={"status": status, **answer.told})
    headers = _HEADERS | (_CHALLENGE if status == 401 else {})
    return {"statusCode": status, "headers": headers, "body": json.dumps(answer.body)}
