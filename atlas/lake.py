"""The lake's zones and keys: builds every key and parses it back. Nothing else spells a prefix.

Days are UTC days. A raw key is the whole key of a landed object, `raw/` included.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

RAW = "raw/"
VALIDATED = "validated/"
PROCESSED = "processed/"
ANALYTICS = "analytics/"
REJECTED = "rejected/"
ARCHIVE = "archive/"
EVENTS = "events/"

LOGS = PROCESSED + "logs/"
REJECTED_FILES = REJECTED + "system/lambda/"
REJECTED_RUNS = REJECTED + "system/glue/"
REJECTED_RECORDS = REJECTED + "data_quality/"
REFUSED_EVENTS = REJECTED + "events/refused/"
"""Events that the forwarder refused: each request's of a day are one object."""
UNDELIVERED_EVENTS = REJECTED + "events/failed/"
"""What the delivery stream could not write: its own documents, by the kind of error and the day it gave up."""
EVENT_ZONES = (EVENTS, REFUSED_EVENTS, UNDELIVERED_EVENTS)
"""Where a day's run finds events."""
MANIFESTS = PROCESSED + "_manifests/"
STAGING = ANALYTICS + "_staging/"
"""Names that start with `_` are invisible to Athena, Spark and crawlers."""

QUERY_RESULTS = "athena/"
"""Where the analysts' workgroup puts its results. Not a zone: nothing reads it as data."""
API_RESULTS = "answers/"
"""Where the query API's workgroup puts its own: apart from others', so that neither can read them."""

MAX_KEY_BYTES = 1024
"""S3's limit: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html"""

_REASON = ".reason.json"
_STEM = re.compile(r"[^A-Za-z0-9_-]+")
_DAY_PARTITION = r"year=(?P<year>\d{4})/month=(?P<month>\d{2})/day=(?P<day>\d{2})"
_VALIDATED_KEY = re.compile(
    rf"{VALIDATED}(?P<format>[a-z0-9_]+)/{_DAY_PARTITION}/"
    r"(?P<stem>[A-Za-z0-9_-]+)\.(?P<source>[0-9a-f]{16})\.(?P<version>[0-9a-f]{16})\.(?P<part>\d{5,})\.ndjson\.gz"
)
_GOLD_KEY = re.compile(
    rf"{ANALYTICS}(?P<table>[a-z][a-z0-9_]*)/date=(?P<date>\d{{4}}-\d{{2}}-\d{{2}})/part-00000\.parquet"
)


class KeyMismatchError(ValueError):
    """A key does not have the form that its zone prescribes."""


def parse_day(text: str) -> date:
    """`YYYY-MM-DD` and nothing else, as a date. Raises ValueError."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError(f"{text!r} is not a day: expected YYYY-MM-DD, such as 2024-11-29")
    return date.fromisoformat(text)


def day_values(day: date) -> tuple[str, str, str]:
    """A day as the values of the partition columns year, month, day: `("2024", "11", "09")`."""
    return f"{day:%Y}".zfill(4), f"{day:%m}", f"{day:%d}"


def day_partition(day: date) -> str:
    """`year=YYYY/month=MM/day=DD`, without a slash at either end."""
    year, month, number = day_values(day)
    return f"year={year}/month={month}/day={number}"


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def source_id(raw_key: str) -> str:
    """16 hex digits that tell one raw key from another: two folders may hold the same file name."""
    return _short_hash(raw_key)


def version_id(version_or_etag: str) -> str:
    """16 hex digits that tell a corrected file from its predecessor, the same for every retry."""
    return _short_hash(version_or_etag.strip('"'))


def stem(raw_key: str) -> str:
    """The file name before its first dot, in characters that no path, URL or SQL engine rewrites."""
    name = raw_key.rsplit("/", 1)[-1].lstrip(".").split(".", 1)[0]
    return _STEM.sub("-", name).strip("-")[:64] or "file"


def events_day_prefix(day: date) -> str:
    """Where the events of one day lie, an hour a folder, with a slash at the end."""
    return f"{EVENTS}{day_partition(day)}/"


def refused_events_prefix(day: date) -> str:
    """Where the events lie that the forwarder refused and that count for one day, with a slash at the end."""
    return f"{REFUSED_EVENTS}{day_partition(day)}/"


def refused_events_key(day: date, client_id: str, request_id: str) -> str:
    """The object of what the forwarder refused of one request: the same for every delivery of it."""
    return f"{refused_events_prefix(day)}{client_id}.{_short_hash(request_id)}.ndjson"


@dataclass(frozen=True)
class ValidatedKey:
    """`validated/<format>/year=/month=/day=/<stem>.<source id>.<version id>.<NNNNN>.ndjson.gz`."""

    format: str
    day: date
    stem: str
    source_id: str
    version_id: str
    part: int

    @classmethod
    def of(cls, raw_key: str, version_or_etag: str, format_name: str, day: date, part: int) -> ValidatedKey:
        """The key of one part of one day of a landed object."""
        return cls(format_name, day, stem(raw_key), source_id(raw_key), version_id(version_or_etag), part)

    @classmethod
    def parse(cls, key: str) -> ValidatedKey:
        """The inverse of `str`. Raises KeyMismatchError."""
        found = _VALIDATED_KEY.fullmatch(key)
        if not found:
            raise KeyMismatchError(f"{key!r} is not a validated key")
        day = date(int(found["year"]), int(found["month"]), int(found["day"]))
        return cls(found["format"], day, found["stem"], found["source"], found["version"], int(found["part"]))

    def __str__(self) -> str:
        return (
            f"{validated_prefix(self.format, self.day)}"
            f"{self.stem}.{self.source_id}.{self.version_id}.{self.part:05d}.ndjson.gz"
        )


def validated_prefix(format_name: str, day: date) -> str:
    """Where a format's validated objects of one day lie, with a slash at the end."""
    return f"{VALIDATED}{format_name}/{day_partition(day)}/"


def silver_day_prefix(log_type: str, day: date) -> str:
    """A log type's partition of `logs` for one day, with a slash at the end."""
    return f"{LOGS}log_type={log_type}/{day_partition(day)}/"


def rejected_records_prefix(day: date) -> str:
    """The partition of `rejected_records` for one day, with a slash at the end."""
    return f"{REJECTED_RECORDS}{day_partition(day)}/"


def gold_table_prefix(table: str) -> str:
    """Where a gold table lives, with a slash at the end."""
    return f"{ANALYTICS}{table}/"


def gold_key(table: str, day: date) -> str:
    """The one object that holds a gold table's day."""
    return f"{ANALYTICS}{table}/date={day.isoformat()}/part-00000.parquet"


def parse_gold_key(key: str) -> tuple[str, date]:
    """The inverse of `gold_key`. Raises KeyMismatchError."""
    found = _GOLD_KEY.fullmatch(key)
    if not found:
        raise KeyMismatchError(f"{key!r} is not a gold key")
    return found["table"], date.fromisoformat(found["date"])


def failed_attempt_key(day: date) -> str:
    """The rows of `data_quality` of a day's last attempt, if it failed, beside those of what is published."""
    return f"{ANALYTICS}data_quality/date={day.isoformat()}/failed-attempt.parquet"


def staging_prefix(run_id: str, attempt: str) -> str:
    """Where a run writes gold before it is published, with a slash at the end; each attempt of it has its own."""
    return f"{STAGING}{run_id}/{attempt}/"


def staged_table_prefix(staging: str, table: str) -> str:
    """The folder of one gold table under a staging prefix, with a slash at the end."""
    return f"{staging}{table}/"


def manifest_key(day: date, run_id: str) -> str:
    """The list of validated objects, with counts, that a run of a day goes by."""
    return f"{MANIFESTS}date={day.isoformat()}/{run_id}.json"


def receipts_key(day: date, run_id: str) -> str:
    """What the ledger said of the day's events, a line of JSON a receipt, beside the run's manifest."""
    return f"{MANIFESTS}date={day.isoformat()}/{run_id}.receipts.ndjson"


def run_refusals_key(day: date, run_id: str, what: str) -> str:
    """Events that a run itself found to be refused, beside its manifest."""
    return f"{MANIFESTS}date={day.isoformat()}/{run_id}.{what}.ndjson"


def gave_up_on(undelivered_key: str) -> date:
    """The day on which the delivery stream wrote of what it could not deliver. Raises KeyMismatchError."""
    try:
        return date.fromisoformat(undelivered_key.removeprefix(UNDELIVERED_EVENTS).split("/")[1])
    except (IndexError, ValueError):
        raise KeyMismatchError(f"{undelivered_key!r} is no key of undelivered events") from None


def failed_run_key(day: date, run_id: str) -> str:
    """The reason document of a failed run."""
    return f"{REJECTED_RUNS}date={day.isoformat()}/{run_id}.json"


def rejected_file_key(raw_key: str) -> str:
    """Where a refused file is kept as it came."""
    return _fitted(REJECTED_FILES, _unlike_a_reason(raw_key), "")


def reason_key(raw_key: str) -> str:
    """The document that says why a file was refused, beside the file."""
    return _fitted(REJECTED_FILES, _unlike_a_reason(raw_key), _REASON)


def _unlike_a_reason(raw_key: str) -> str:
    """The key itself, unless a file of that name would lie where another file's reason does."""
    return f"{raw_key}~{source_id(raw_key)}" if raw_key.endswith(_REASON) else raw_key


def archive_key(format_name: str, raw_key: str, ingested_at: datetime, ingest_id: str) -> str:
    """Where the producer's own bytes are kept. `ingested_at` is when the object landed, aware."""
    landed = ingested_at.astimezone(UTC)
    return _fitted(f"{ARCHIVE}{format_name}/", raw_key, f"_{landed:%Y%m%dT%H%M%SZ}_{ingest_id}")


def _fitted(prefix: str, raw_key: str, suffix: str) -> str:
    """`prefix + raw_key + suffix`, the middle cut to S3's limit and made unique again by its hash."""
    key = prefix + raw_key + suffix
    room = MAX_KEY_BYTES - len((prefix + suffix).encode())
    if len(raw_key.encode()) <= room - len(_REASON):
        return key
    digest = "~" + source_id(raw_key)
    kept = raw_key.encode()[: room - len(digest) - len(_REASON)].decode("utf-8", "ignore")
    return prefix + kept + digest + suffix


def folder_format(raw_key: str) -> str | None:
    """The first folder under `raw/`, by which a producer may name a file's format."""
    parts = raw_key.removeprefix(RAW).split("/")
    return parts[0] if len(parts) > 1 else None
