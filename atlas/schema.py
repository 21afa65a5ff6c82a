"""Every table: its columns with Hive type and comment, its partition keys, its place. The one schema.

Spark reads and writes, the Glue tables of the stack and docs/schema.md all come from here. Column types are
Hive's, which Spark's DDL reads as they stand. Every timestamp is UTC with microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from atlas import lake


@dataclass(frozen=True)
class Column:
    """One column: its name, its Hive type, and what it means (the catalog's comment)."""

    name: str
    type: str
    comment: str


@dataclass(frozen=True)
class View:
    """One view of the catalog, for Athena: its statement is queries/views/<name>.sql."""

    name: str
    description: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Table:
    """One table of the catalog; `location` is a prefix of the lake with a slash at its end."""

    name: str
    description: str
    location: str
    columns: tuple[Column, ...]
    partition_keys: tuple[Column, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the stored columns, in order, without the partition keys."""
        return tuple(column.name for column in self.columns)

    def ddl(self, *, partitions: bool = False) -> str:
        """The columns as Spark DDL: `log_id STRING, ...`; with the partition keys last if asked for."""
        chosen = self.columns + (self.partition_keys if partitions else ())
        return ", ".join(f"{column.name} {column.type.upper()}" for column in chosen)


DAY_KEYS = (
    Column("year", "string", "UTC year of the event, four digits"),
    Column("month", "string", "UTC month of the event, two digits"),
    Column("day", "string", "UTC day of the month of the event, two digits"),
)
DATE_KEY = (Column("date", "date", "UTC day"),)

LOGS = Table(
    name="logs",
    description="Silver: one row a record of any format that passed its checks. May hold duplicates.",
    location=lake.LOGS,
    columns=(
        Column("log_id", "string", "Hash of the record's bytes: the same record always has the same id"),
        Column("event_timestamp", "timestamp", "When it happened, UTC"),
        Column("ip_address", "string", "The client as the log names it; not always an IP address"),
        Column("device", "string", "The record's own device, or what its user agent tells of it"),
        Column("request_type", "string", "HTTP method, upper case"),
        Column("status_code", "int", "HTTP status, 100 to 599"),
        Column("app_name", "string", "The record's own app or service, or its format's default"),
        Column("endpoint", "string", "Path that was asked for"),
        Column("message", "string", "Message text"),
        Column("level", "string", "Log level, upper case"),
        Column("user_id", "string", "Who did it"),
        Column("action", "string", "What the user did, such as login"),
        Column("request_id", "string", "The request's own id"),
        Column("bytes_sent", "bigint", "Bytes of the answer"),
        Column("duration_ms", "double", "How long the answer took, in milliseconds"),
        Column("day_of_week", "string", "English name of the UTC day of the week"),
        Column("attributes", "map<string,string>", "Further fields that the format declares"),
        Column("raw_format", "string", "The format that the record came in"),
        Column("source_file", "string", "Key of the raw object that held the record"),
        Column("source_line", "bigint", "Line, element or array index in the source, from 1"),
        Column("ingested_at", "timestamp", "When the source file landed in the lake, UTC"),
    ),
    partition_keys=(Column("log_type", "string", "Kind of log: access, api, error, app, ..."), *DAY_KEYS),
)

REJECTED_RECORDS = Table(
    name="rejected_records",
    description="Every record that was refused, with its reason and the place it came from.",
    location=lake.REJECTED_RECORDS,
    columns=(
        Column("raw_format", "string", "The format that the record came in"),
        Column("reason", "string", "Why it was refused: a code of atlas/reasons.py"),
        Column("detail", "string", "The column or field at fault, where there is one"),
        Column("source_file", "string", "Key of the raw object that held the record; events/<client id>"),
        Column(
            "source_line",
            "bigint",
            "Line, element or array index in the source, from 1; of an event its place in the request",
        ),
        Column("raw", "string", "The record's text"),
        Column("log_id", "string", "Hash of the record's bytes, or an event's id; null if it could not be parsed"),
        Column("event_timestamp", "timestamp", "When it happened, UTC; null if that could not be read"),
        Column("ingested_at", "timestamp", "When the source file landed in the lake, or the event came in, UTC"),
        Column("request_id", "string", "Of an event: the request that brought it"),
    ),
    partition_keys=DAY_KEYS,
)

EVENTS = Table(
    name="events",
    description="One row an event that came over the events API, as it was delivered: at least once. An event is "
    "told apart by client_id and event_id.",
    location=lake.EVENTS,
    columns=(
        Column("event_id", "string", "UUID, lower case; the client's own, or given by the server"),
        Column("event_timestamp", "timestamp", "When it happened, UTC, as the client says"),
        Column("user_id", "string", "Who did it"),
        Column("action", "string", "What the user did, such as login"),
        Column("device", "string", "What it was done with"),
        Column("ip_address", "string", "The user's address, as the client says"),
        Column("properties", "map<string,string>", "Whatever else the client says of it"),
        Column("client_id", "string", "The client that sent it, by its token"),
        Column("received_at", "timestamp", "When the request came in, UTC"),
        Column("request_id", "string", "The request that brought it"),
        Column("position", "int", "Its place in the request, from 1"),
    ),
    partition_keys=(*DAY_KEYS, Column("hour", "string", "UTC hour of the event, two digits")),
)
"""Written by the delivery stream. Its partitions are projected: nobody announces them."""

EVENTS_FORMAT = "events"
"""What stands for the format in the books of events. No log format has this name."""

_COUNTS = "map<string,bigint>"
_RUN_ID = Column("run_id", "string", "The run that published the day; rows with the same one belong together")

DAILY_ACTIVITY = Table(
    name="daily_activity",
    description="Gold: one row a day over all published records. Each map's values sum to total_requests.",
    location=lake.gold_table_prefix("daily_activity"),
    columns=(
        Column("total_requests", "bigint", "Published records"),
        Column("total_errors", "bigint", "Of those, with status 400 or above, or level ERROR or worse"),
        Column("unique_ips", "bigint", "Distinct clients"),
        Column("requests_by_device", _COUNTS, "Records by device; (none) where it is not known"),
        Column("requests_by_type", _COUNTS, "Records by HTTP method; (none) where there is none"),
        Column("requests_by_status", _COUNTS, "Records by status; (none) where there is none"),
        Column("requests_by_app", _COUNTS, "Records by application; (none) where it is not known"),
        Column("error_rate", "double", "total_errors / total_requests; 0 on a day without records"),
        Column("day_of_week", "string", "English name of the UTC day of the week"),
        _RUN_ID,
    ),
    partition_keys=DATE_KEY,
)

HOURLY_ACTIVITY = Table(
    name="hourly_activity",
    description="Gold: one row an hour, application and log type.",
    location=lake.gold_table_prefix("hourly_activity"),
    columns=(
        Column("hour", "int", "UTC hour, 0 to 23"),
        Column("app_name", "string", "Application; (none) where it is not known"),
        Column("log_type", "string", "Kind of log"),
        Column("requests", "bigint", "Published records"),
        Column("errors_4xx", "bigint", "Of those, with status 400 to 499"),
        Column("errors_5xx", "bigint", "Of those, with status 500 to 599"),
        Column("unique_ips", "bigint", "Distinct clients"),
        Column(
            "p50_duration_ms",
            "double",
            "Milliseconds that half of the records with a duration took at most; null if none has one",
        ),
        Column("p95_duration_ms", "double", "Milliseconds that 95% of those records took at most"),
        _RUN_ID,
    ),
    partition_keys=DATE_KEY,
)

ENDPOINT_ACTIVITY = Table(
    name="endpoint_activity",
    description="Gold: one row an application, method, endpoint and status class. The 1,000 with the most requests "
    "of a day, and all others as one row (other): requests and errors sum to those of daily_activity.",
    location=lake.gold_table_prefix("endpoint_activity"),
    columns=(
        Column("app_name", "string", "Application; (none) where it is not known"),
        Column("request_type", "string", "HTTP method; (none) where there is none"),
        Column("endpoint", "string", "Path that was asked for; (none) where there is none"),
        Column("status_class", "string", "1xx to 5xx; (none) where there is no status"),
        Column("requests", "bigint", "Published records"),
        Column("errors", "bigint", "Of those, with status 400 or above, or level ERROR or worse"),
        Column(
            "p95_duration_ms",
            "double",
            "Milliseconds that 95% of the records with a duration took at most; null if none has one, in (other) "
            "always",
        ),
        _RUN_ID,
    ),
    partition_keys=DATE_KEY,
)

LOGIN_ACTIVITY = Table(
    name="login_activity",
    description="Gold: sign-ins, the action login. One row a quarter of an hour, source and user: in every time "
    "zone days begin at a quarter.",
    location=lake.gold_table_prefix("login_activity"),
    columns=(
        Column("quarter", "timestamp", "Where the quarter of an hour begins, UTC"),
        Column("source", "string", "logs: the action column of log files; events: the events API"),
        Column("user_id", "string", "Who signed in; null where it is not known"),
        Column("logins", "bigint", "How often: published records, or distinct events"),
        _RUN_ID,
    ),
    partition_keys=DATE_KEY,
)

DAILY_ACTIONS = Table(
    name="daily_actions",
    description="Gold: what users did, one row a day, source and action.",
    location=lake.gold_table_prefix("daily_actions"),
    columns=(
        Column("action", "string", "What was done, such as login"),
        Column("source", "string", "logs: the action column of log files; events: the events API"),
        Column("events", "bigint", "How often: published records, or distinct events"),
        Column("users", "bigint", "Distinct users who did it"),
        _RUN_ID,
    ),
    partition_keys=DATE_KEY,
)

FILE_BOOKS = Table(
    name="file_books",
    description="Gold: the books. records_in = published + duplicates + rejected, for each file and day.",
    location=lake.gold_table_prefix("file_books"),
    columns=(
        Column("source_file", "string", "Key of the raw object that held the records; events/<client id>"),
        Column("raw_format", "string", "Its format; events if they came over the events API"),
        Column("records_in", "bigint", "Records that it holds for the day, or events accepted, by the ledger"),
        Column("normalized", "bigint", "Those in silver, or in events"),
        Column("rejected", "bigint", "Those in rejected_records"),
        Column(
            "duplicates",
            "bigint",
            "Those of silver that another file holds as well, and that count there; events sent again",
        ),
        Column("published", "bigint", "Those that gold counts"),
        _RUN_ID,
    ),
    partition_keys=DATE_KEY,
)

DATA_QUALITY = Table(
    name="data_quality",
    description="Gold: the books. records_in = published + duplicates + rejected, for each format and day. "
    "The last attempt at a day, if it failed, is here beside what is published.",
    location=lake.gold_table_prefix("data_quality"),
    columns=(
        Column("raw_format", "string", "Format; events; (none) in the one row of a day on which nothing came"),
        Column("files", "bigint", "Files that gave records to the day; of events, clients"),
        Column("records_in", "bigint", "Records that those files hold for the day, events accepted, by the ledger"),
        Column("normalized", "bigint", "Records in silver, or events that arrived"),
        Column("rejected", "bigint", "Records in rejected_records"),
        Column("rejected_by_reason", _COUNTS, "Those by reason"),
        Column(
            "duplicates",
            "bigint",
            "Records of silver that another file had brought already, events sent again; null in an attempt that "
            "never counted them",
        ),
        Column("published", "bigint", "Records that gold counts, or would count had the attempt not failed"),
        Column("run_id", "string", "The run that published the day, or tried to"),
        Column(
            "outcome",
            "string",
            "published; or failed: the books of that run did not balance, and gold is as it was before",
        ),
    ),
    partition_keys=DATE_KEY,
)

GOLD_TABLES = (
    DAILY_ACTIVITY,
    HOURLY_ACTIVITY,
    ENDPOINT_ACTIVITY,
    DAILY_ACTIONS,
    LOGIN_ACTIVITY,
    FILE_BOOKS,
    DATA_QUALITY,
)
"""In the order of publishing: data_quality is the receipt and goes last."""

CRAWLED_TABLES = (LOGS, REJECTED_RECORDS, *GOLD_TABLES)
"""Those whose partitions the crawlers enter in the catalog."""

TABLES = (*CRAWLED_TABLES, EVENTS)

LOGINS = View(
    name="logins",
    description="Sign-ins, the action login, of log files and events together: one row each, as gold counts them, "
    "but as they have arrived until now.",
    columns=(
        Column("event_timestamp", "timestamp", "When it happened, UTC"),
        Column("user_id", "string", "Who signed in"),
        Column("source", "string", "logs: log files; events: the events API"),
        Column("device", "string", "What it was done with"),
        Column("ip_address", "string", "The user's address"),
        Column("app", "string", "The application of a log file, the client of an event"),
        Column("source_file", "string", "Key of the raw object that held the record; events/<client id>"),
        Column("source_line", "bigint", "Its line in the source; of an event its place in the request"),
        *DAY_KEYS,
    ),
)
"""Whoever asks it says which day: `year`, `month` and `day` go through to the partitions of its tables."""

VIEWS = (LOGINS,)
