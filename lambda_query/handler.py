"""The entry point of the query API's function: settings, clients, log, metrics. It decides nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from botocore.config import Config
from mangum import Mangum

from atlas import metrics as counted
from atlas.settings import QuerySettings
from lambda_query import gate
from lambda_query.app import Clients, create_app

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(service=counted.QUERIES)
metrics = Metrics(service=counted.QUERIES)  # the namespace is in the environment

_HASTY = Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 3, "mode": "standard"})
_TEXTS = ["text/", "application/json", "application/problem+json", "image/svg+xml"]
"""Media types whose bodies are text; all others, and what is compressed, go to the gateway in base64."""


@cache
def _application() -> Mangum:
    clients = Clients(*(boto3.client(name, config=_HASTY) for name in ("athena", "s3", "glue")))
    app = create_app(QuerySettings.from_env(os.environ), clients, gate.by_authorizer, _tell, page=_page())
    return Mangum(app, lifespan="off", text_mime_types=_TEXTS)


def _page() -> Path | None:
    """The page's folder, which comes in a layer."""
    try:
        import atlas_page  # type: ignore[import-not-found]  # noqa: PLC0415 - it need not be there
    except ImportError:
        return None
    return Path(atlas_page.__file__).parent


def _tell(facts: Mapping[str, Any]) -> None:
    """One line a request, and the metrics of those for data."""
    answered = facts.get("answered")
    failed = facts["status"] >= 500
    if answered is not None:
        _count(counted.ANSWERS, 1)
        _count(counted.ANSWERS_KEPT, int(answered in ("kept", "nothing", "unchanged")))
    _count(counted.ANSWERS_FAILED, int(failed))
    (logger.error if failed else logger.info)("request", extra=dict(facts))


def _count(metric: counted.Metric, value: float) -> None:
    metrics.add_metric(metric.name, metric.unit, value)


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers a request as an HTTP API hands it on, payload 2.0."""
    return _application()(event, context)  # type: ignore[arg-type]
