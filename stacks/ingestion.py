"""From a dropped file to the validated zone: rule, queue, function."""

from __future__ import annotations

from aws_cdk import CfnOutput
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from atlas import lake
from atlas.settings import IngestSettings
from stacks import layer
from stacks.arns import Arns
from stacks.base import AtlasStack
from stacks.config import StageConfig
from stacks.functions import python_function
from stacks.queues import queue
from stacks.roles import Statement, allow, allow_objects, listing

_BATCH = 5
"""Files a batch: small files share an invocation, and a large one keeps few others waiting."""
_ATTEMPTS = 5
"""How often the queue hands out a file before the dead-letter queue takes it."""


class IngestionStack(AtlasStack):
    """Redeployable at any time: what has not been ingested waits in the queue."""

    def __init__(self, scope: Construct, config: StageConfig) -> None:
        super().__init__(scope, "Ingestion", config=config, description="files into the validated zone")
        self._dead_letters = queue(self, "IngestDeadLetters", name=self.names.ingest_dead_letter_queue)
        files = queue(
            self,
            "IngestQueue",
            name=self.names.ingest_queue,
            timeout_seconds=config.ingestion.timeout_seconds,
            dead_letters=sqs.DeadLetterQueue(queue=self._dead_letters, max_receive_count=_ATTEMPTS),
        )
        self._announce_files(files)
        function = self._function(files)
        lambda_.EventSourceMapping(
            self,
            "IngestFromQueue",
            target=function,
            event_source_arn=files.queue_arn,
            batch_size=_BATCH,
            report_batch_item_failures=True,
            max_concurrency=config.ingestion.max_concurrency,
        )
        CfnOutput(self, "IngestQueueUrl", value=files.queue_url)
        CfnOutput(self, "IngestDeadLetterQueueUrl", value=self._dead_letters.queue_url)
        CfnOutput(self, "IngestFunction", value=self.names.ingest_function)

    def _announce_files(self, files: sqs.Queue) -> None:
        rule = events.Rule(
            self,
            "FileDropped",
            description="A file landed under " + lake.RAW,
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={
                    "bucket": {"name": [self.arns.bucket_name]},
                    "object": {"key": [{"prefix": lake.RAW}]},
                },
            ),
        )
        rule.add_target(targets.SqsQueue(files, dead_letter_queue=self._dead_letters))

    def _function(self, files: sqs.Queue) -> lambda_.Function:
        settings = IngestSettings(
            bucket=self.arns.bucket_name,
            ledger_table=self.names.ledger_table,
            part_megabytes=self.config.ingestion.part_megabytes,
        )
        return python_function(
            self,
            "Ingest",
            name=self.names.ingest_function,
            description="Reads a dropped file and writes its records, by day, to the validated zone",
            package="lambda_ingest",
            lock=layer.INGESTION,
            log_group=self.names.ingest_logs,
            role=self.names.ingest_role,
            purpose="The ingestion function: raw files into the validated zone, and the ledger",
            statements=ingest_statements(self.arns, files.queue_arn),
            environment=settings.to_env(),
            sizes=self.config.ingestion,
        )


def ingest_statements(arns: Arns, queue: str) -> list[Statement]:
    """What the ingestion function may do."""
    return [
        allow_objects(
            "ReadDroppedFiles", ["s3:GetObjectVersion", "s3:GetObjectVersionTagging"], arns.objects(lake.RAW)
        ),
        allow_objects("TakeFilesAway", ["s3:DeleteObjectVersion"], arns.objects(lake.RAW)),
        # The same where somebody has suspended the bucket's versioning, so that events name no version.
        allow_objects(
            "WithoutVersions", ["s3:GetObject", "s3:GetObjectTagging", "s3:DeleteObject"], arns.objects(lake.RAW)
        ),
        # For a file that is judged anew or counts in another's place, and for the rejected zone's copy.
        allow_objects("ReadArchive", ["s3:GetObject", "s3:GetObjectTagging"], arns.objects(lake.ARCHIVE)),
        # Without it, what is gone reads as forbidden instead of as missing.
        listing("TellMissingFromForbidden", arns.bucket, lake.RAW, lake.ARCHIVE),
        allow_objects(
            "WriteOutputs",
            ["s3:PutObject", "s3:AbortMultipartUpload"],  # an upload in parts may be given up
            arns.objects(lake.VALIDATED, lake.ARCHIVE, lake.REJECTED_FILES),
        ),
        # A server-side copy takes the object's tags along.
        allow_objects("CopyTags", ["s3:PutObjectTagging"], arns.objects(lake.ARCHIVE, lake.REJECTED_FILES)),
        # A file that is accepted after all, or withdrawn. What it had validated goes with the day's next run.
        allow_objects("RemoveRefusals", ["s3:DeleteObject"], arns.objects(lake.REJECTED_FILES)),
        allow(
            "KeepTheLedger",
            [
                "dynamodb:Query",
                "dynamodb:GetItem",
                "dynamodb:PutItem",
                "dynamodb:UpdateItem",
                "dynamodb:DeleteItem",
            ],
            [arns.ledger_table],
        ),
        allow(
            # As https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html has it of an event source.
            "TakeFromQueue",
            ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
            [queue],
        ),
    ]
