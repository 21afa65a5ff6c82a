"""A lake in moto: the bucket, the ledger and the topic, with ingestion called as the queue would call it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache, cached_property
from typing import Any
from unittest.mock import patch

import boto3
from boto3.dynamodb.types import TypeDeserializer
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import FakeDeleteMarker, S3Backend, s3_backends

from atlas.clients import Clients
from atlas.formats import LogFormat, load_formats
from atlas.ledger import file_key
from atlas.metrics import METRICS, Metric
from atlas.orders import Order, OrderKind
from atlas.settings import DaySettings, JobSettings
from lambda_ingest.events import LandedObject
from lambda_ingest.ingest import Ingestion, Verdict
from lambda_ingest.ledger_writer import LedgerWriter
from lambda_ingest.objects import LakeObjects
from tests.quick_moto import quick_aws

FRIDAY = date(2024, 11, 29)
SATURDAY = date(2024, 11, 30)
LANDED = datetime(2024, 12, 1, tzinfo=UTC)
AS_OF = LANDED + timedelta(days=1)
"""When runs are asked for."""
ORDERS = "orders"
"""The queue from which ingestion would take its orders; nobody takes any."""
_buckets = itertools.count(1)
_read_attribute = TypeDeserializer().deserialize


@dataclass
class LakeUnderTest:
    """`drop` puts a file under raw/ and delivers its event; `landed` only makes the event.

    Versions and landing times are counted, so that two lakes of the same history are equal byte by byte.
    """

    bucket: str
    s3: Any
    ledger: Any
    sns: Any
    sqs: Any
    part_bytes: int = 1 << 27
    formats: Mapping[str, LogFormat] = field(default_factory=load_formats)
    runs: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    events: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def ingestion(self) -> Ingestion:
        """A fresh ingestion, as a cold start makes it."""
        objects = LakeObjects(self.s3)
        return Ingestion(objects, LedgerWriter(self.ledger), self.formats, part_bytes=self.part_bytes)

    def landed(self, key: str, body: bytes) -> LandedObject:
        """Puts an object and answers with what its event says."""
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        number = next(self.events)
        stored = self._stored.getlist(key)[-1]
        stored._version_id = version = f"version-{number}"
        stored.last_modified = LANDED + timedelta(minutes=number)
        return LandedObject(self.bucket, key, version, version, f"{number:016X}")

    def order(self, kind: OrderKind, key: str) -> Order:
        """An operator's order for the version of a file that the ledger has."""
        item = self.ledger.get_item(Key=file_key(key))["Item"]
        at = LANDED + timedelta(days=1, minutes=next(self.events))
        return Order(kind, key, item["version"], f"{at:%Y-%m-%dT%H:%M:%S.%fZ}", "an operator")

    def obey(self, kind: OrderKind, key: str) -> Verdict:
        """Gives an order and delivers it once."""
        return self.ingestion.obey(self.order(kind, key), self.bucket)

    def drop(self, key: str, body: bytes) -> Verdict:
        """Puts an object and delivers its event once."""
        return self.ingestion.take(self.landed(key, body))

    @property
    def _stored(self) -> Any:
        """moto's own store of the bucket's objects, all versions."""
        return s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[self.bucket].keys

    def objects(self) -> dict[str, bytes]:
        """All that a reader sees, without the calls that it takes a reader."""
        newest = ((key, self._stored.getlist(key)[-1]) for key in list(self._stored))
        return {key: stored.value for key, stored in newest if not isinstance(stored, FakeDeleteMarker)}

    def keys(self, prefix: str = "") -> list[str]:
        """The keys under a prefix, as a reader sees them."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def ledger_items(self) -> list[dict[str, Any]]:
        """Everything the ledger holds, in the order of its keys, without the calls that it takes a reader."""
        stored = dynamodb_backends[DEFAULT_ACCOUNT_ID][self.ledger.meta.client.meta.region_name]
        items = (item for below in stored.tables[self.ledger.name].items.values() for item in below.values())
        read = [
            {name: _read_attribute(value.to_regular_json()) for name, value in item.attrs.items()} for item in items
        ]
        return sorted(read, key=lambda item: (item["pk"], item["sk"]))

    def settings(self, day: date) -> JobSettings:
        """The arguments of a new run of a day."""
        return self.run_settings(day, f"run-{next(self.runs)}")

    def run_settings(self, day: date, run_id: str) -> JobSettings:
        """The arguments of a run by its name."""
        return JobSettings(**asdict(self.day_settings), process_date=day, run_id=run_id, as_of=AS_OF)

    @property
    def day_settings(self) -> DaySettings:
        """What a stack tells whatever runs its days."""
        topic, _ = self._told
        return DaySettings(self.bucket, self.ledger.name, topic, ORDERS, "Atlas/test")

    @cached_property
    def _told(self) -> tuple[str, str]:
        """The topic, and a queue that hears it; made, with that of orders, when first asked for."""
        self.sqs.create_queue(QueueName=ORDERS)
        topic = self.sns.create_topic(Name="notifications")["TopicArn"]
        queue = self.sqs.create_queue(QueueName="notices")["QueueUrl"]
        self.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:notices")
        return topic, queue

    @property
    def clients(self) -> Clients:
        """What the jobs get."""
        return Clients(s3=self.s3, sns=self.sns, sqs=self.sqs, cloudwatch=_client("cloudwatch"), ledger=self.ledger)

    def counted(self) -> dict[Metric, float]:
        """The sum of each of our metrics that was put, as an alarm would find it, and in its unit."""
        found = {}
        for metric in METRICS:
            points = self.clients.cloudwatch.get_metric_statistics(
                Namespace=self.day_settings.metrics_namespace,
                MetricName=metric.name,
                Dimensions=[{"Name": name, "Value": value} for name, value in metric.dimensions.items()],
                Unit=metric.unit,
                StartTime=datetime.now(UTC) - timedelta(hours=1),
                EndTime=datetime.now(UTC) + timedelta(minutes=1),
                Period=86400,
                Statistics=["Sum"],
            )["Datapoints"]
            if points:
                found[metric] = sum(point["Sum"] for point in points)
        return found

    def notices(self) -> list[dict[str, Any]]:
        """What was published to the topic since the last call, each as subject, attributes and document."""
        envelopes = [json.loads(body) for body in self._taken(self._told[1])]
        return [
            {
                "subject": envelope["Subject"],
                "attributes": [*envelope.get("MessageAttributes", {})],
                **json.loads(envelope["Message"]),
            }
            for envelope in envelopes
        ]

    def orders(self) -> list[Order]:
        """What runs have ordered of ingestion since the last call, by the files' keys."""
        bodies = self._taken(self.sqs.get_queue_url(QueueName=ORDERS)["QueueUrl"])
        return sorted((Order.from_document(json.loads(body)) for body in bodies), key=lambda order: order.raw_key)

    def _taken(self, queue: str) -> list[str]:
        """The bodies of all messages of a queue, taken out of it."""
        found = []
        while messages := self.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                found.append(message["Body"])
                self.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return found


@cache
def _client(service: str) -> Any:
    """Made once: that takes longer than most tests."""
    return boto3.Session().client(service)  # type: ignore[call-overload]


@cache
def _dynamodb() -> Any:
    return boto3.resource("dynamodb")


_list_objects = S3Backend.list_objects


def _list_live_objects(self: S3Backend, bucket: Any, *arguments: Any, **more: Any) -> Any:
    """moto 5.2.5 lists folders in which a versioned bucket has nothing but delete markers; S3 does not."""
    keys, folders, *rest = _list_objects(self, bucket, *arguments, **more)
    alive = [name for name, key in bucket.keys.items() if not isinstance(key, FakeDeleteMarker)]
    return keys, [folder for folder in folders if any(name.startswith(folder) for name in alive)], *rest


@contextmanager
def lake_under_test() -> Iterator[LakeUnderTest]:
    """A lake of its own: no two share a bucket."""
    with quick_aws(), patch.object(S3Backend, "list_objects", _list_live_objects):
        s3, sns, sqs = _client("s3"), _client("sns"), _client("sqs")
        bucket = f"lake-{next(_buckets)}"
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        keys: Any = [("pk", "HASH"), ("sk", "RANGE")]
        ledger = _dynamodb().create_table(
            TableName="ledger",
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
            BillingMode="PAY_PER_REQUEST",
        )
        yield LakeUnderTest(bucket, s3, ledger, sns, sqs)
