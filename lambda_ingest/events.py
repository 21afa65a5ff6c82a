"""From a queue message to the landed objects that it announces, or to an operator's order."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from atlas.orders import ORDER, Order


@dataclass(frozen=True)
class LandedObject:
    """An object under raw/. `version` is its version id, or its etag where the bucket keeps no versions."""

    bucket: str
    key: str
    version: str
    version_id: str | None
    sequencer: str


class UnknownEventError(ValueError):
    """A message that announces no object, and orders nothing: it ends up in the dead-letter queue."""


def newer(sequencer: str, other: str) -> bool:
    """Whether an object landed after another one of the same key, by their sequencers; after none at all if empty.

    Sequencers are hexadecimal texts, compared after padding the shorter one on the right:
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    """
    width = max(len(sequencer), len(other))
    return sequencer.ljust(width, "0") > other.ljust(width, "0")


def messages(body: str) -> list[LandedObject | Order]:
    """What a queue message says: an object that landed (EventBridge), several (S3's own), or an operator's order.

    S3's test event says nothing. S3's own notifications carry URL-encoded keys, EventBridge's do not. Raises
    UnknownEventError.
    """
    try:
        message = json.loads(body)
        if ORDER in message:
            return [Order.from_document(message)]
        if "detail" in message:
            detail = message["detail"]
            return [_landed(detail["bucket"]["name"], detail["object"]["key"], detail["object"])]
        if message.get("Event") == "s3:TestEvent":
            return []
        return [
            _landed(
                entry["s3"]["bucket"]["name"],
                unquote_plus(entry["s3"]["object"]["key"]),
                entry["s3"]["object"],
            )
            for entry in message["Records"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise UnknownEventError(f"no EventBridge or S3 object event, and no order: {fault!r}") from fault


def _landed(bucket: str, key: str, described: dict[str, Any]) -> LandedObject:
    version_id = described.get("version-id") or described.get("versionId")
    if version_id == "null":  # what S3 calls each version of an object while versioning is suspended
        version_id = None
    etag = described.get("etag") or described["eTag"]
    return LandedObject(bucket, key, version_id or etag, version_id, described["sequencer"])
