"""The SQL that both engines run, and the contract of each statement's views.

Views a statement may read: `manifest` (source_file, raw_format, records), `manifest_objects` (object_key,
source_file, ingested_at), `run` (run_id, day_of_week), `logs`, `rejected_records`, `kept_files` and
`distinct_records`, all of one day.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

DAY_VIEWS = ("kept_files", "distinct_records")
"""Statements that become views, in the order in which they build on each other."""


@cache
def statement(name: str) -> str:
    """The text of atlas/sql/<name>.sql, such as `distinct_records` or `gold/daily_activity`."""
    return (resources.files("atlas.sql") / f"{name}.sql").read_text(encoding="utf-8")
