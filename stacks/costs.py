"""What a day costs, by service, as far as CloudWatch knows what the services charge for.

Left out, because it does not: requests to S3 (their metrics cost extra), transitions of Step Functions, CloudWatch
itself, keys and secrets, messages, the objects that the delivery stream writes.
"""

from __future__ import annotations

from aws_cdk import aws_cloudwatch as cloudwatch

from atlas import metrics
from stacks.base import AtlasStack
from stacks.events_functions import SmallSizes
from stacks.functions import Sizes
from stacks.measures import A_DAY, Measures, event_functions
from stacks.prices import PRICES, lambda_second
from stacks.queries import QuerySizes

Parts = dict[str, tuple[cloudwatch.Metric, float]]
"""What is used, by the name that it has in an expression, and the price of one of it."""

_GB = 2**30
_DAYS_A_MONTH = 365 / 12
_FREE_SCRATCH_MB = 512
_LEAST_DELIVERY_BYTES = 5 * 1024
_STORED = {"StandardStorage": "s3_standard", "GlacierInstantRetrievalStorage": "s3_glacier_ir"}
_UNITS = {"ConsumedReadCapacityUnits": "ledger_read", "ConsumedWriteCapacityUnits": "ledger_write"}


def daily_costs(stack: AtlasStack) -> list[cloudwatch.MathExpression]:
    """US dollars a day, one expression a service."""
    measures = Measures(stack)
    stored = {
        f"stored{number}": (measures.stored(storage), _usd(price) / _GB / _DAYS_A_MONTH)
        for number, (storage, price) in enumerate(_STORED.items())
    }
    # An event is seldom longer than what is billed for it at least.
    record = _LEAST_DELIVERY_BYTES / _GB * (_usd("delivery") + _usd("delivery_conversion"))
    events = {
        "records": (measures.delivery("IncomingRecords", A_DAY), record),
        "bytes": (measures.delivery("IncomingBytes", A_DAY), _usd("delivery_partitions") / _GB),
    }
    units = {
        f"{price}{number}": (part, _usd(price))
        for metric, price in _UNITS.items()
        for number, part in enumerate(measures.ledger(metric, A_DAY))
    }
    workgroups = (stack.names.workgroup, stack.names.api_workgroup)
    read = " + ".join(measures.scanned(workgroup, A_DAY) for workgroup in workgroups)
    scanned = f"({read}) * {_decimal(_usd('athena') / _GB)}"
    return [
        _costs("Lambda", _function_parts(stack, measures)),
        _costs("Glue", {"dpu": (measures.ours(metrics.GLUE_DPU_SECONDS, A_DAY), _usd("glue_dpu") / 3600)}),
        _costs("S3, storage", stored),
        _costs("DynamoDB", units),
        _costs(
            "API Gateway",
            {
                "requests": (measures.request_count(A_DAY), _usd("api_request")),
                # All but those for a token, which the other API's function answers.
                "questions": (
                    measures.function(stack.names.query_function, "Invocations", A_DAY),
                    _usd("http_api_request"),
                ),
            },
        ),
        _costs("Firehose", events),
        cloudwatch.MathExpression(expression=scanned, label="Athena", period=A_DAY),
    ]


def _function_parts(stack: AtlasStack, measures: Measures) -> Parts:
    """A function is billed for its time, by its memory and scratch disk, and for each call."""
    config, names = stack.config, stack.names
    functions: dict[str, tuple[str, Sizes]] = {
        "ingest": (names.ingest_function, config.ingestion),
        "day": (names.day_function, config.day),
        **{f"event{number}": (name, SmallSizes(0)) for number, name in enumerate(event_functions(names))},
        "query": (names.query_function, QuerySizes(config.query_api.memory_mb)),
        "query_authorizer": (names.query_authorizer_function, SmallSizes(0)),
    }
    parts: Parts = {}
    for short, (name, sizes) in functions.items():
        second = (
            lambda_second(config.architecture).usd * sizes.memory_mb
            + _usd("lambda_storage") * (sizes.ephemeral_storage_mb - _FREE_SCRATCH_MB)
        ) / 1024
        parts[f"time_{short}"] = (measures.function(name, "Duration", A_DAY), second / 1000)
        parts[f"calls_{short}"] = (measures.function(name, "Invocations", A_DAY), _usd("lambda_call"))
    return parts


def _costs(service: str, parts: Parts) -> cloudwatch.MathExpression:
    """The sum of what is used, each at its price."""
    return cloudwatch.MathExpression(
        expression=" + ".join(f"FILL({name}, 0) * {_decimal(price)}" for name, (_, price) in parts.items()),
        using_metrics={name: part for name, (part, _) in parts.items()},
        label=service,
        period=A_DAY,
    )


def _usd(name: str) -> float:
    return PRICES[name].usd


def _decimal(price: float) -> str:
    """A price without an exponent: that metric math takes those is nowhere said."""
    return f"{price:.20f}".rstrip("0")
