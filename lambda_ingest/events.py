"""From a queue message to the landed objects that it announces."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus


@dataclass(frozen=True)
class LandedObject:
    """An object under raw/. `version` is its version id, or its etag where the bucket keeps no versions."""

    bucket: str
    key: str
    version: str
    version_id: str | None
    sequencer: str

    def newer_than(self, sequencer: str) -> bool:
        """Whether this object landed after the one with that sequencer.

        Sequencers of one key are hexadecimal texts, compared after padding the shorter one on the right:
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
        """
        width = max(len(self.sequencer), len(sequencer))
        return self.sequencer.ljust(width, "0") > sequencer.ljust(width, "0")


class UnknownEventError(ValueError):
    """A message that is no announcement of an object: it ends up in the dead-letter queue."""


def landed_objects(body: str) -> list[LandedObject]:
    """The objects that a message announces: one for EventBridge's, several for S3's own, none for its test event.

    S3's own notifications carry URL-encoded keys, EventBridge's do not. Raises UnknownEventError.
    """
    try:
        message = json.loads(body)
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
        raise UnknownEventError(f"neither an EventBridge nor an S3 object event: {fault!r}") from fault


def _landed(bucket: str, key: str, described: dict[str, Any]) -> LandedObject:
    version_id = described.get("version-id") or described.get("versionId")
    etag = described.get("etag") or described["eTag"]
    return LandedObject(bucket, key, version_id or etag, version_id, described["sequencer"])
