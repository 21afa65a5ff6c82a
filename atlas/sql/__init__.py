"""The SQL that both engines run, and the contract of each statement's views.

Views a statement may read, all of one day: `manifest` (source_file, raw_format, records), `manifest_objects`
(object_key, source_file, ingested_at), `run` (run_id, day_of_week); while records are checked, `checked` (what
atlas/mapping.py gives), `refused` (those of them with a reason) and `record_texts` (object_key, source_line, text);
after that, `logs`, `rejected_records`, `kept_files` and `distinct_records`.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

DAY_VIEWS = ("kept_files", "distinct_records")
"""Statements that become views, in the order in which they build on each other."""

SMALL_VIEWS = ("kept_files",)
"""Those whose rows are few, and dear to find: found once, used by every table."""


@cache
def statement(name: str) -> str:
    """The text of atlas/sql/<name>.sql, such as `distinct_records` or `gold/daily_activity`."""
    return (resources.files("atlas.sql") / f"{name}.sql").read_text(encoding="utf-8")
