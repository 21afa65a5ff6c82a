"""A stage in moto, as the command sees it: bucket, ledger, queues; ingestion takes from the queue meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import boto3
import pytest

from atlas.orders import Order
from atlas_cli.cloud import LOCAL, Cloud
from atlas_cli.dead_letters import ways
from lambda_ingest.events import messages
from tests.lake_under_test import LakeUnderTest, lake_under_test


@dataclass
class StageUnderTest:
    """`lake` drops files; `deliver` brings what is in the ingestion queue to ingestion."""

    cloud: Cloud
    lake: LakeUnderTest
    meanwhile: list[Any] = field(default_factory=list)
    """What else happens, call by call, before the queue is delivered."""

    @property
    def queue(self) -> str:
        return self.cloud.queue_url(self.cloud.names.ingest_queue)

    @property
    def dead_letters(self) -> str:
        return self.cloud.queue_url(self.cloud.names.ingest_dead_letter_queue)

    def deliver(self, _: float = 0) -> None:
        """As a call of the function would be; what it fails for is delivered again later."""
        for happening in self.meanwhile[:1]:
            self.meanwhile.remove(happening)
            happening()
        for message in self.cloud.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get(
            "Messages", []
        ):
            for one in messages(message["Body"]):
                assert isinstance(one, Order)
                self.lake.ingestion.obey(one, self.cloud.bucket)
            self.cloud.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])


@cache
def _cloud() -> Cloud:
    """Made once, with its clients: that takes longer than most tests."""
    return Cloud(LOCAL, boto3.Session())


@contextmanager
def stage_under_test() -> Iterator[StageUnderTest]:
    """Waiting is when the queue is delivered."""
    with lake_under_test() as lake, pytest.MonkeyPatch.context() as patch:
        cloud = _cloud()
        cloud.s3.create_bucket(Bucket=cloud.bucket)
        cloud.s3.put_bucket_versioning(Bucket=cloud.bucket, VersioningConfiguration={"Status": "Enabled"})
        described = lake.ledger.meta.client.describe_table(TableName=lake.ledger.name)["Table"]
        lake.ledger.meta.client.create_table(
            TableName=cloud.names.ledger_table,
            BillingMode="PAY_PER_REQUEST",
            **{name: described[name] for name in ("KeySchema", "AttributeDefinitions")},
        )
        for way in ways(cloud.names):
            for name in (way.queue, way.dead_letters):
                cloud.sqs.create_queue(QueueName=name)
        made = StageUnderTest(cloud, replace(lake, bucket=cloud.bucket, ledger=cloud.ledger))
        patch.setattr("atlas_cli.entries.time.sleep", made.deliver)
        yield made
