"""From an accepted request to the events table: queue, forwarder, delivery stream."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_kinesisfirehose as firehose
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs

from atlas import events, lake, schema
from atlas.settings import ForwarderSettings
from stacks.arns import Arns
from stacks.base import AtlasStack
from stacks.events_functions import events_function
from stacks.queues import queue
from stacks.roles import Statement, allow, allow_objects, service_role

_FORWARDER_SECONDS = 60
_BATCH = 100
"""Requests a batch: their events share calls of the delivery stream."""
_WINDOW_SECONDS = 5
_ATTEMPTS = 5
"""How often the queue hands out a request before the dead-letter queue takes it."""
_BUFFER_MEGABYTES = 128
"""The most that a stream with dynamic partitions gathers for one of them; conversion to Parquet wants 64 at least:
https://docs.aws.amazon.com/firehose/latest/dev/buffering-hints.html"""
_RETRY_SECONDS = 7200
"""How long it tries to write to a partition before it counts as failed: as long as can be."""
_PARTITIONS = {"year": "0:4", "month": "5:7", "day": "8:10", "hour": "11:13"}
"""Where in an event's time each partition key stands."""
_ERRORS = "DestinationDelivery"
"""The log's stream of errors."""


@dataclass(frozen=True)
class Delivery:
    """Where the gateway puts requests, and where they end that cannot be forwarded."""

    requests: sqs.Queue
    dead_letters: sqs.Queue


def delivery(stack: AtlasStack) -> Delivery:
    """The queues, the forwarder and the delivery stream."""
    names = stack.names
    dead_letters = queue(
        stack, "EventsDeadLetters", name=names.events_dead_letter_queue, most_bytes=events.MESSAGE_BYTES
    )
    requests = queue(
        stack,
        "EventsQueue",
        name=names.events_queue,
        timeout_seconds=_FORWARDER_SECONDS,
        dead_letters=sqs.DeadLetterQueue(queue=dead_letters, max_receive_count=_ATTEMPTS),
        most_bytes=events.MESSAGE_BYTES,
    )
    _delivery_stream(stack)
    settings = ForwarderSettings(stack.arns.bucket_name, names.ledger_table, names.delivery_stream)
    forwarder = events_function(
        stack,
        "forwarder",
        name=names.forwarder_function,
        description="Hands the events of accepted requests to the delivery stream, and counts them",
        log_group=names.forwarder_logs,
        role=names.forwarder_role,
        purpose="The forwarder: accepted requests to the delivery stream, and the ledger",
        statements=forwarder_statements(stack.arns, requests.queue_arn),
        environment=settings.to_env(),
        timeout_seconds=_FORWARDER_SECONDS,
    )
    lambda_.EventSourceMapping(
        stack,
        "ForwarderFromQueue",
        target=forwarder,
        event_source_arn=requests.queue_arn,
        batch_size=_BATCH,
        max_batching_window=Duration.seconds(_WINDOW_SECONDS),
        report_batch_item_failures=True,
        max_concurrency=stack.config.events.max_concurrency,
    )
    return Delivery(requests, dead_letters)


def _delivery_stream(stack: AtlasStack) -> None:
    names, arns = stack.names, stack.arns
    group = stack.log_group("DeliveryLogs", names.delivery_logs)
    errors = logs.CfnLogStream(
        stack, "DeliveryErrors", log_group_name=group.log_group_name, log_stream_name=_ERRORS
    )
    role = service_role(
        stack,
        "DeliveryRole",
        name=names.delivery_role,
        service="firehose.amazonaws.com",
        description="The delivery stream: events into the lake, by the catalog's schema",
        statements=delivery_statements(arns, f"{arns.log_group(names.delivery_logs)}:log-stream:{_ERRORS}"),
    )
    made = firehose.CfnDeliveryStream
    stream = made(
        stack,
        "DeliveryStream",
        delivery_stream_name=names.delivery_stream,
        delivery_stream_type="DirectPut",
        delivery_stream_encryption_configuration_input=made.DeliveryStreamEncryptionConfigurationInputProperty(
            key_type="CUSTOMER_MANAGED_CMK" if stack.key_arn else "AWS_OWNED_CMK", key_arn=stack.key_arn
        ),
        extended_s3_destination_configuration=made.ExtendedS3DestinationConfigurationProperty(
            bucket_arn=arns.bucket,
            role_arn=role.role_arn,
            prefix=_prefix(),
            error_output_prefix=f"{lake.UNDELIVERED_EVENTS}!{{firehose:error-output-type}}/!{{timestamp:yyyy-MM-dd}}/",
            buffering_hints=made.BufferingHintsProperty(
                interval_in_seconds=stack.config.events.buffer_seconds, size_in_m_bs=_BUFFER_MEGABYTES
            ),
            # Parquet is compressed in itself.
            compression_format="UNCOMPRESSED",
            dynamic_partitioning_configuration=made.DynamicPartitioningConfigurationProperty(
                enabled=True, retry_options=made.RetryOptionsProperty(duration_in_seconds=_RETRY_SECONDS)
            ),
            processing_configuration=made.ProcessingConfigurationProperty(
                enabled=True,
                processors=[
                    made.ProcessorProperty(
                        type="MetadataExtraction",
                        parameters=[
                            made.ProcessorParameterProperty(
                                parameter_name="MetadataExtractionQuery", parameter_value=_query()
                            ),
                            made.ProcessorParameterProperty(
                                parameter_name="JsonParsingEngine", parameter_value="JQ-1.6"
                            ),
                        ],
                    )
                ],
            ),
            data_format_conversion_configuration=_conversion(stack, role.role_arn),
            s3_backup_mode="Disabled",
            cloud_watch_logging_options=made.CloudWatchLoggingOptionsProperty(
                enabled=True, log_group_name=names.delivery_logs, log_stream_name=_ERRORS
            ),
        ),
    )
    stream.add_resource_dependency(errors)


def _query() -> str:
    """Of jq 1.6: the partition keys of an event, by its own time."""
    return "{" + ",".join(f"{key}:.event_timestamp[{part}]" for key, part in _PARTITIONS.items()) + "}"


def _prefix() -> str:
    """Of each partition, then the date of writing before the name: without a time, Firehose would append one."""
    keys = "".join(f"{key}=!{{partitionKeyFromQuery:{key}}}/" for key in _PARTITIONS)
    return f"{lake.EVENTS}{keys}!{{timestamp:yyyyMMdd}}-"


def _conversion(
    stack: AtlasStack, role: str
) -> firehose.CfnDeliveryStream.DataFormatConversionConfigurationProperty:
    made = firehose.CfnDeliveryStream
    return made.DataFormatConversionConfigurationProperty(
        enabled=True,
        input_format_configuration=made.InputFormatConfigurationProperty(
            deserializer=made.DeserializerProperty(
                # Else it lowers the case of names, in `properties` too: two that differ by it would be one.
                open_x_json_ser_de=made.OpenXJsonSerDeProperty(case_insensitive=False)
            )
        ),
        output_format_configuration=made.OutputFormatConfigurationProperty(
            serializer=made.SerializerProperty(parquet_ser_de=made.ParquetSerDeProperty(compression="SNAPPY"))
        ),
        schema_configuration=made.SchemaConfigurationProperty(
            catalog_id=stack.account,
            database_name=stack.config.database,
            table_name=schema.EVENTS.name,
            region=stack.region,
            role_arn=role,
            version_id="LATEST",
        ),
    )


def forwarder_statements(arns: Arns, requests: str) -> list[Statement]:
    """What the forwarder may do."""
    return [
        allow("PutEvents", ["firehose:PutRecordBatch"], [arns.delivery_stream]),
        allow_objects("WriteRefused", ["s3:PutObject"], arns.objects(lake.REFUSED_EVENTS)),
        allow("EnterReceipts", ["dynamodb:PutItem", "dynamodb:UpdateItem"], [arns.ledger_table]),
        allow(
            # As https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html has it of an event source.
            "TakeFromQueue",
            ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
            [requests],
        ),
    ]


def delivery_statements(arns: Arns, errors: str) -> list[Statement]:
    """What the delivery stream may do.

    By https://docs.aws.amazon.com/firehose/latest/dev/controlling-access.html
    """
    written = arns.objects(lake.EVENTS, lake.UNDELIVERED_EVENTS)
    return [
        allow_objects("WriteEvents", ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"], written),
        allow(
            "KnowTheLake", ["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"], [arns.bucket]
        ),
        allow(
            "ReadTheSchema",
            ["glue:GetTable", "glue:GetTableVersion", "glue:GetTableVersions"],
            [arns.catalog, arns.database, arns.table(schema.EVENTS.name)],
        ),
        allow("Log", ["logs:PutLogEvents"], [errors]),
    ]
