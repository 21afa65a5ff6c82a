r"""The validated zone's lines: one JSON object a record, written by ingestion, read by both engines.

    {"event_time":"2024-11-29T23:16:50Z","line":17,"record_id":"9f86d081...","record":{...}}
    {"line":18,"error":"malformed_record","raw":"{\"timestamp\": ..."}

`record` is the producer's object, byte for byte where the source was JSON. A line with `error` is a record
that normalize refuses; `raw` is its text.
"""

from __future__ import annotations

import json

from atlas.reasons import RecordReason

HEADER_DDL = "event_time TIMESTAMP, line BIGINT, record_id STRING, error STRING, raw STRING"
"""The columns of an envelope beside `record`, as Spark DDL."""

RECORD_TEXT = '(?s)^[{]"event_time":"[^"]*","line":([0-9]+),"record_id":"[0-9a-f]*","record":(.*)[}]$'
"""Takes the line number and the record's own text out of an envelope; in syntax that Java and RE2 share."""


RECORD_LINE = b'%b%d,"record_id":"%b","record":%b}\n'
"""The line of a record with a readable time: its time's `opening`, its line, its id, and its JSON on one line."""


_COMPACT = json.JSONEncoder(separators=(",", ":")).encode


def opening(event_time: str) -> bytes:
    """How the lines of all records of one time begin."""
    return b'{"event_time":"%b","line":' % event_time.encode()


def refused_line(line: int, reason: RecordReason, raw: str) -> bytes:
    """The line of a record that could not be parsed, or whose time could not be read."""
    return _COMPACT({"line": line, "error": reason.value, "raw": raw}).encode() + b"\n"
