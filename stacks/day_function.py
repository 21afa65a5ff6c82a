"""The function that does the work of both Glue jobs for a day that fits one machine."""

from __future__ import annotations

from aws_cdk import aws_lambda as lambda_

from atlas import lake
from atlas.names import Names
from atlas.settings import DaySettings
from stacks import layer
from stacks.arns import Arns
from stacks.base import AtlasStack
from stacks.functions import python_function
from stacks.roles import Statement, allow, allow_objects, counting, listing


def day_function(stack: AtlasStack) -> lambda_.Function:
    """The day function, in the stack of the jobs whose place it takes."""
    settings = DaySettings(
        bucket=stack.arns.bucket_name,
        ledger_table=stack.names.ledger_table,
        topic_arn=stack.arns.topic,
        ingest_queue=stack.names.ingest_queue,
        metrics_namespace=stack.names.metrics_namespace,
    )
    return python_function(
        stack,
        "Day",
        name=stack.names.day_function,
        description="A day of validated records into silver and gold, on one machine",
        package="lambda_day",
        lock=layer.DAY,
        log_group=stack.names.day_logs,
        role=stack.names.day_role,
        purpose="The day function: validated into silver and gold",
        statements=day_statements(stack.arns, stack.names),
        environment=settings.to_env(),
        sizes=stack.config.day,
        max_concurrency=stack.config.day.max_concurrency,
    )


def day_statements(arns: Arns, names: Names) -> list[Statement]:
    """What the day function may do."""
    replaced = (lake.LOGS, lake.REJECTED_RECORDS, lake.STAGING)
    return [
        allow_objects("ReadValidated", ["s3:GetObject"], arns.objects(lake.VALIDATED)),
        # What the ledger calls obsolete. The day's lock keeps other runs from reading it meanwhile.
        allow_objects("RemoveObsolete", ["s3:DeleteObject"], arns.objects(lake.VALIDATED)),
        # Without it, an object that is gone reads as forbidden instead of as missing.
        listing("TellMissingFromForbidden", arns.bucket, lake.VALIDATED),
        allow_objects("ReadEvents", ["s3:GetObject"], arns.objects(*lake.EVENT_ZONES)),
        listing("FindEvents", arns.bucket, *lake.EVENT_ZONES),
        # What the run itself has written there of events.
        allow_objects("ReadReceipts", ["s3:GetObject"], arns.objects(lake.MANIFESTS)),
        # What the day had before, and what a run that died has left in staging.
        listing("FindWhatGoes", arns.bucket, *replaced),
        allow_objects("RemoveWhatGoes", ["s3:DeleteObject"], arns.objects(*replaced)),
        allow_objects(
            "WriteDays",
            ["s3:PutObject"],
            arns.objects(lake.MANIFESTS, lake.LOGS, lake.REJECTED_RECORDS, lake.ANALYTICS),
        ),
        # What is uploaded in parts; the rest is small, or copied from staging.
        allow_objects("GiveUploadsUp", ["s3:AbortMultipartUpload"], arns.objects(*replaced)),
        allow_objects("PublishWhatIsStaged", ["s3:GetObject"], arns.objects(lake.STAGING)),
        allow_objects("RemoveFailedAttempts", ["s3:DeleteObject"], [arns.failed_attempts]),
        allow_objects("WriteReasons", ["s3:PutObject"], arns.objects(lake.REJECTED_RUNS)),
        allow(
            "KeepTheLedger",
            ["dynamodb:Query", "dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"],
            [arns.ledger_table],
        ),
        allow("Notify", ["sns:Publish"], [arns.topic]),
        # What is gone from the validated zone, ingestion writes anew.
        allow("OrderRestorations", ["sqs:GetQueueUrl", "sqs:SendMessage"], [arns.ingest_queue]),
        counting("CountRecords", names),
    ]
