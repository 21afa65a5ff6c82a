"""A lake in moto: the bucket, the ledger and the topic, with ingestion called as the queue would call it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from unittest.mock import patch

import boto3
from moto import mock_aws
from moto.s3.models import FakeDeleteMarker, S3Backend

from atlas.clients import Clients
from atlas.formats import load_formats
from atlas.settings import JobSettings
from lambda_ingest.events import LandedObject
from lambda_ingest.ingest import Ingestion, Verdict
from lambda_ingest.ledger_writer import LedgerWriter
from lambda_ingest.objects import LakeObjects

FRIDAY = date(2024, 11, 29)
SATURDAY = date(2024, 11, 30)
_buckets = itertools.count(1)
_sequencers = itertools.count(1)


@dataclass
class LakeUnderTest:
    """`drop` puts a file under raw/ and delivers its event; `landed` only makes the event."""

    bucket: str
    s3: Any
    ledger: Any
    sns: Any
    sqs: Any
    topic_arn: str
    queue_url: str
    part_bytes: int = 1 << 27
    runs: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def ingestion(self) -> Ingestion:
        """A fresh ingestion, as a cold start makes it."""
        objects = LakeObjects(self.s3)
        return Ingestion(objects, LedgerWriter(self.ledger), load_formats(), part_bytes=self.part_bytes)

    def landed(self, key: str, body: bytes) -> LandedObject:
        """Puts an object and answers with what its event says."""
        version = self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)["VersionId"]
        return LandedObject(self.bucket, key, version, version, f"{next(_sequencers):016X}")

    def drop(self, key: str, body: bytes) -> Verdict:
        """Puts an object and delivers its event once."""
        return self.ingestion.take(self.landed(key, body))

    def keys(self, prefix: str = "") -> list[str]:
        """The keys under a prefix, as a reader sees them."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def ledger_items(self) -> list[dict[str, Any]]:
        """Everything the ledger holds, in the order of its keys."""
        return sorted(self.ledger.scan()["Items"], key=lambda item: (item["pk"], item["sk"]))

    def settings(self, day: date) -> JobSettings:
        """The arguments of a new run of a day."""
        return JobSettings(self.bucket, self.ledger.name, self.topic_arn, day, f"run-{next(self.runs)}")

    @property
    def clients(self) -> Clients:
        """What the jobs get."""
        return Clients(s3=self.s3, sns=self.sns, ledger=self.ledger)

    def notices(self) -> list[dict[str, Any]]:
        """What was published to the topic since the last call, each as subject and document."""
        found = []
        while messages := self.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                envelope = json.loads(message["Body"])
                found.append({"subject": envelope["Subject"], **json.loads(envelope["Message"])})
                self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return found


_list_objects = S3Backend.list_objects


def _list_live_objects(self: S3Backend, bucket: Any, *arguments: Any, **more: Any) -> Any:
    """moto 5.2.5 lists folders in which a versioned bucket has nothing but delete markers; S3 does not."""
    keys, folders, *rest = _list_objects(self, bucket, *arguments, **more)
    alive = [name for name, key in bucket.keys.items() if not isinstance(key, FakeDeleteMarker)]
    return keys, [folder for folder in folders if any(name.startswith(folder) for name in alive)], *rest


@contextmanager
def lake_under_test() -> Iterator[LakeUnderTest]:
    """A lake of its own: no two share a bucket."""
    with mock_aws(), patch.object(S3Backend, "list_objects", _list_live_objects):
        s3, sns, sqs = boto3.client("s3"), boto3.client("sns"), boto3.client("sqs")
        bucket = f"lake-{next(_buckets)}"
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        keys: Any = [("pk", "HASH"), ("sk", "RANGE")]
        ledger = boto3.resource("dynamodb").create_table(
            TableName="ledger",
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
            BillingMode="PAY_PER_REQUEST",
        )
        topic = sns.create_topic(Name="notifications")["TopicArn"]
        queue = sqs.create_queue(QueueName="notices")["QueueUrl"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:notices")
        yield LakeUnderTest(bucket, s3, ledger, sns, sqs, topic, queue)
