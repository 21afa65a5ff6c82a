"""What a run of a day takes of the events API: receipts of the ledger, objects of the delivery stream, refusals.

The receipts are kept beside the run's manifest, and the run goes by them. A request counts once each of its events
of the day has arrived or been refused; until then it is on its way, and the day stays dirty. What has not arrived
long after the delivery stream gave up is refused, too: nothing that was accepted is missing from the books.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from typing import Any

from atlas import event_receipts, lake
from atlas.clients import Clients
from atlas.events import DELIVERY_HOURS, RefusedEvent
from atlas.manifest import Manifest, Receipts
from atlas.objects import list_keys
from atlas.reasons import RecordReason
from atlas.settings import JobSettings
from atlas.timestamps import iso_utc

_MOST_UNCONVERTED = 100_000
"""More of one day are not read: they come to be refused as not delivered."""


@dataclass(frozen=True)
class DayEvents:
    """Keys of the lake: of the run's receipts, of the day's Parquet, and of its refused events."""

    receipts: str | None
    objects: Sequence[str]
    refusals: Sequence[str]


def keep_receipts(settings: JobSettings, clients: Clients) -> Receipts | None:
    """Reads the day's receipts from the ledger and puts them beside the manifest; None if there are none."""
    found = event_receipts.read(clients.ledger, settings.process_date)
    lines = [json.dumps(vars(receipt)) + "\n" for receipt in found]
    if not lines:
        return None
    key = lake.receipts_key(settings.process_date, settings.run_id)
    clients.s3.put_object(Bucket=settings.bucket, Key=key, Body="".join(lines).encode())
    return Receipts(key, iso_utc(settings.as_of - timedelta(hours=DELIVERY_HOURS)))


def find(manifest: Manifest, settings: JobSettings, clients: Clients, *, refusals: bool) -> DayEvents:
    """Where the day's events are now, by the run's receipts; those that were refused too, if they are asked for."""
    if manifest.receipts is None:
        return DayEvents(None, (), ())
    day = settings.process_date
    objects = list(list_keys(clients.s3, settings.bucket, lake.events_day_prefix(day)))
    refused: list[str] = []
    if refusals:
        refused += list_keys(clients.s3, settings.bucket, lake.refused_events_prefix(day))
        unconverted = islice(_unconverted(day, settings, clients), _MOST_UNCONVERTED)
        refused += _keep(unconverted, "unconverted", settings, clients)
    return DayEvents(manifest.receipts.key, objects, refused)


def refuse_lost(lost: Iterable[Mapping[str, Any]], settings: JobSettings, clients: Clients) -> list[str]:
    """Keys of refusals for the rows of sql/lost_requests.sql: one for each event that never arrived."""
    refused = (
        RefusedEvent(
            row["client_id"],
            row["request_id"],
            row["received_at"],
            RecordReason.NOT_DELIVERED,
            raw=None,
            position=-number,  # its own is not known
        )
        for row in lost
        for number in range(1, int(row["missing"]) + 1)
    )
    return _keep(refused, "lost", settings, clients)


def _keep(refused: Iterable[RefusedEvent], what: str, settings: JobSettings, clients: Clients) -> list[str]:
    body = "".join(event.to_line() for event in refused)
    if not body:
        return []
    key = lake.run_refusals_key(settings.process_date, settings.run_id, what)
    clients.s3.put_object(Bucket=settings.bucket, Key=key, Body=body.encode())
    return [key]


def _unconverted(day: date, settings: JobSettings, clients: Clients) -> Iterator[RefusedEvent]:
    """The events of the day that the delivery stream says it could not write.

    https://docs.aws.amazon.com/firehose/latest/dev/record-format-conversion.html#troubleshooting
    """
    for key in list_keys(clients.s3, settings.bucket, lake.UNDELIVERED_EVENTS):
        if lake.gave_up_on(key) < day - timedelta(days=1):
            continue  # an event is of no later day than the one after it came
        for line in clients.s3.get_object(Bucket=settings.bucket, Key=key)["Body"].iter_lines():
            refused = _refused(json.loads(line), day) if line.strip() else None
            if refused:
                yield refused


def _refused(document: Mapping[str, Any], day: date) -> RefusedEvent | None:
    """One failed record, if it is an event of the day. What is none has not come from the forwarder."""
    try:
        event = json.loads(base64.b64decode(document["rawData"]))
        if not event["event_timestamp"].startswith(day.isoformat()):
            return None
        return RefusedEvent(
            client_id=event["client_id"],
            request_id=event["request_id"],
            received_at=_iso(event["received_at"]),
            reason=RecordReason.NOT_CONVERTED,
            raw=json.dumps(event, ensure_ascii=False),
            position=int(event["position"]),
            event_id=event["event_id"],
            event_time=_iso(event["event_timestamp"]),
            detail=document.get("errorCode") or document.get("ErrorCode") or document.get("lastErrorCode"),
        )
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error):
        return None


def _iso(parquet_time: str) -> str:
    return parquet_time.replace(" ", "T") + "Z"
