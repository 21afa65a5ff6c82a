"""`atlas dead-letters`: what ingestion could not be given, and back to it.

SQS's own way back (StartMessageMoveTask) is for what SQS itself has put aside, and EventBridge puts here what it
could not deliver. So messages are received, sent and then deleted. One that is in both queues after a crash does no
harm: ingestion knows what it has done.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

from atlas.orders import Order
from atlas.timestamps import iso_utc
from atlas_cli.cloud import Cloud
from atlas_cli.console import Say, cut
from lambda_ingest.events import UnknownEventError, messages

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

MOST = 1000
"""Messages that one look shows."""
_BATCH = 10
_HELD_SECONDS = 60
"""For so long nobody else gets a message that is looked at or moved."""
_WAIT_SECONDS = 1
"""A receive that waits asks all of SQS's servers: an empty answer means that the queue is empty."""
_TELL_EVERY = 100
_BESIDE = 60
"""Columns that the rest of a row takes."""
_ERRORS = ("ERROR_CODE", "ERROR_MESSAGE")
"""What EventBridge says of an event that it could not deliver: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html"""


def show(cloud: Cloud) -> list[dict[str, Any]]:
    """A row a message, the oldest first, at most MOST; they stay where they are."""
    queue = cloud.queue_url(cloud.names.ingest_dead_letter_queue)
    held: dict[str, MessageTypeDef] = {}
    try:
        for batch in _received(cloud, queue):
            again = any(message["MessageId"] in held for message in batch)
            held |= {message["MessageId"]: message for message in batch}
            if again or len(held) >= MOST:
                break
    finally:
        _release(cloud, queue, list(held.values()))
    return _rows(held.values())[:MOST]


def redrive(cloud: Cloud, say: Say) -> list[dict[str, Any]]:
    """Sends all messages back to the ingestion queue; a row each."""
    source = cloud.queue_url(cloud.names.ingest_dead_letter_queue)
    target = cloud.queue_url(cloud.names.ingest_queue)
    moved: dict[str, MessageTypeDef] = {}
    returned: list[MessageTypeDef] = []
    try:
        for message in chain.from_iterable(_received(cloud, source)):
            if message["MessageId"] in moved:  # sent back, and put aside once more already
                returned.append(message)
                continue
            # Sent before it is deleted: it may come twice, but is never lost.
            sent = cloud.sqs.send_message(QueueUrl=target, MessageBody=message["Body"])
            cloud.sqs.delete_message(QueueUrl=source, ReceiptHandle=message["ReceiptHandle"])
            moved[sent["MessageId"]] = message
            if len(moved) % _TELL_EVERY == 0:
                say.step(f"  sent back {len(moved):,} messages")
    finally:
        _release(cloud, source, returned)
    say.step(f"sent {len(moved):,} messages back to {cloud.names.ingest_queue}")
    return _rows(moved.values())


def for_people(rows: Sequence[Mapping[str, Any]], say: Say) -> list[dict[str, Any]]:
    """Rows with their messages cut to what a line shows; as they are with --json."""
    return [dict(row) if say.as_json else {**row, "message": cut(row["message"], _BESIDE)} for row in rows]


def _received(cloud: Cloud, queue: str) -> Iterator[list[MessageTypeDef]]:
    """Every message of a queue, in batches; each is held for a while, so that it does not come again."""
    while found := cloud.sqs.receive_message(
        QueueUrl=queue,
        MaxNumberOfMessages=_BATCH,
        VisibilityTimeout=_HELD_SECONDS,
        WaitTimeSeconds=_WAIT_SECONDS,
        MessageSystemAttributeNames=["All"],
        MessageAttributeNames=["All"],
    ).get("Messages"):
        yield found


def _release(cloud: Cloud, queue: str, held: Sequence[MessageTypeDef]) -> None:
    """Lets others have messages again at once. What this fails for comes back by itself a little later."""
    for start in range(0, len(held), _BATCH):
        batch = held[start : start + _BATCH]
        cloud.sqs.change_message_visibility_batch(
            QueueUrl=queue,
            Entries=[
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}
                for number, message in enumerate(batch)
            ],
        )


def _rows(letters: Iterable[MessageTypeDef]) -> list[dict[str, Any]]:
    return [_row(message) for message in sorted(letters, key=_sent)]


def _sent(message: MessageTypeDef) -> int:
    """When it was first sent, in milliseconds since 1970."""
    return int(message["Attributes"]["SentTimestamp"])


def _row(message: MessageTypeDef) -> dict[str, Any]:
    told = message.get("MessageAttributes", {})
    what, text, fault = _read(message["Body"])
    errors = [told[name].get("StringValue", "") for name in _ERRORS if name in told]
    return {
        "what": what,
        "message": text,
        "since": iso_utc(datetime.fromtimestamp(_sent(message) // 1000, UTC)),
        # Without this look at it; SQS counts earlier ones in.
        "received": int(message["Attributes"]["ApproximateReceiveCount"]) - 1,
        "error": ": ".join(errors) or fault,
    }


def _read(body: str) -> tuple[str, str, str]:
    """What a message is, the part of it that tells it from others, and why sending it back would be of no use."""
    try:
        said = messages(body)
    except UnknownEventError:
        return "unknown", body, "no event of a file, and no order: ingestion will never take it"
    orders = [f"{one.kind.value} {one.raw_key}" for one in said if isinstance(one, Order)]
    files = [one.key for one in said if not isinstance(one, Order)]
    return "order" if orders else "file", ", ".join([*orders, *files]) or body, ""
