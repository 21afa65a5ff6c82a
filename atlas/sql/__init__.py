"""The SQL that both engines run, and the contract of each statement's views.

Views a statement may read, all of one day: `manifest` (source_file, raw_format, records), `manifest_objects`
(object_key, source_file, ingested_at), `run` (run_id, day_of_week, lost_before), and of events EVENT_INPUTS and
ARRIVAL_VIEWS; while records are checked, EVENT_VIEWS, `checked` (what atlas/mapping.py gives, and refused events),
`refused` (those of them with a reason), `record_texts` (object_key, source_line, text) and CHECK_VIEWS; after that,
`logs`, `rejected_records` and DAY_VIEWS.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

EVENT_INPUTS = {
    "event_receipts": "client_id STRING, request_id STRING, received_at STRING, accepted BIGINT",
    "event_refusals": "client_id STRING, request_id STRING, position INT, event_id STRING, event_time TIMESTAMP, "
    "received_at TIMESTAMP, reason STRING, detail STRING, raw STRING",
    "event_rows": "client_id STRING, request_id STRING, position INT, event_id STRING, event_timestamp TIMESTAMP, "
    "user_id STRING, action STRING, received_at TIMESTAMP",
}
"""View -> its columns, as Spark DDL: what the ledger has of events, what was refused, and what arrived."""

ARRIVAL_VIEWS = {"event_requests": "event_requests", "arrived_events": "arrived_events"}
"""View -> its statement: what was accepted of events, and what of it is there."""

EVENT_VIEWS = {
    "refused_events": "given_refused_events",
    "event_states": "event_states",
    "settled_events": "settled_events",
}
"""What is known of them before anything is written. They build on each other in this order."""

CHECK_VIEWS = {
    "came": "came",
    "outcomes": "checked_outcomes",
    "file_counts": "file_counts",
    "file_books": "checked_books",
}
"""The same of everything, once records are checked."""

DAY_VIEWS = {
    "kept_files": "kept_files",
    "distinct_records": "distinct_records",
    "refused_events": "stored_refused_events",
    "event_states": "event_states",
    "settled_events": "settled_events",
    "came": "came",
    "outcomes": "stored_outcomes",
    "file_counts": "file_counts",
    "file_books": "file_books",
}
"""The same once the day's records are in the lake."""

SMALL_VIEWS = ("kept_files", "outcomes", "file_books")
"""Those whose rows are few, and dear to find: found once, used by every table."""

KEPT_EVENT_VIEWS = ("arrived_events", "event_states", "settled_events")
"""Those that are worth the same where there are events."""


@cache
def statement(name: str) -> str:
    """The text of atlas/sql/<name>.sql, such as `distinct_records` or `gold/daily_activity`."""
    return (resources.files("atlas.sql") / f"{name}.sql").read_text(encoding="utf-8")
