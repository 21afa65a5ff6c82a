"""The SQL that both engines run, and the contract of each statement's views.

Views a statement may read, all of one day: `manifest` (source_file, raw_format, records), `manifest_objects`
(object_key, source_file, ingested_at), `run` (run_id, day_of_week); while records are checked, `checked` (what
atlas/mapping.py gives), `refused` (those of them with a reason), `record_texts` (object_key, source_line, text) and
CHECK_VIEWS; after that, `logs`, `rejected_records` and DAY_VIEWS.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

CHECK_VIEWS = {"outcomes": "checked_outcomes", "file_counts": "file_counts", "file_books": "checked_books"}
"""View -> its statement: what is known once records are checked. They build on each other in this order."""

DAY_VIEWS = {
    "kept_files": "kept_files",
    "distinct_records": "distinct_records",
    "outcomes": "stored_outcomes",
    "file_counts": "file_counts",
    "file_books": "file_books",
}
"""The same once the day's records are in the lake."""

SMALL_VIEWS = ("kept_files", "outcomes", "file_books")
"""Those whose rows are few, and dear to find: found once, used by every table."""


@cache
def statement(name: str) -> str:
    """The text of atlas/sql/<name>.sql, such as `distinct_records` or `gold/daily_activity`."""
    return (resources.files("atlas.sql") / f"{name}.sql").read_text(encoding="utf-8")
