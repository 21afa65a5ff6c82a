"""`atlas refusals`: which files and which records were refused, why, and where the fault is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from typing import Any

from atlas import lake
from atlas.ledger import FileState
from atlas.reasons import SALVAGEABLE
from atlas_cli.cloud import Cloud
from atlas_cli.console import Say, cut, shown
from atlas_cli.entries import find
from atlas_cli.query import ask

_READERS = 16
"""Reason documents that are read at once."""
_FOR_PEOPLE = 50
"""Records that people are shown; who wants all of them takes --json."""
_INDENT = "    "
_ENDING = lake.reason_key("").removeprefix(lake.rejected_file_key(""))
"""By which the key of a reason document is told from the key of a refused file."""


def show(cloud: Cloud, day: date | None, say: Say) -> None:
    """Prints both kinds of refusals; of a day, the files that landed on it and the records that belong to it."""
    span = {"from": day.isoformat(), "to": day.isoformat()} if day else {}
    refused = files(cloud, day)
    if say.as_json:
        say.rows("", [{"what": "file", **row} for row in refused])
        say.rows("", [{"what": "record", **row} for row in records(cloud, span)])
        return
    say.rows("Refused files", [_file_row(row) for row in refused])
    if refused:
        say.note("Judged anew, when a format was added or mended: atlas replay")
        if any(row["reason"] in SALVAGEABLE for row in refused):
            say.note("Of a file that was cut off, say, what is before the fault: atlas replay --salvage KEY")
        say.note()
    _tell_records(records(cloud, span, most=_FOR_PEOPLE), say)


def files(cloud: Cloud, day: date | None = None) -> list[dict[str, Any]]:
    """The reason documents of the files that are refused now, the oldest first; all, or a UTC day's."""
    pages = cloud.s3.get_paginator("list_objects_v2").paginate(Bucket=cloud.bucket, Prefix=lake.REJECTED_FILES)
    listed = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    with ThreadPoolExecutor(_READERS) as readers:
        read = readers.map(partial(_document, cloud), (key for key in listed if key.endswith(_ENDING)))
        found = [document for document in read if document is not None]
    return sorted(
        (document for document in found if day is None or document["landed_at"].startswith(day.isoformat())),
        key=lambda document: (document["landed_at"], document["raw_key"]),
    )


def records(cloud: Cloud, span: Mapping[str, str], most: int | None = None) -> list[dict[str, Any]]:
    """The answer to the question `refusals`, for `from` and `to` or for all days; the first `most` of them.

    In each row `in_all` says how many there are.
    """
    return ask(cloud, "refusals", {**span, "most": str(most)} if most is not None else span)


def _document(cloud: Cloud, key: str) -> dict[str, Any] | None:
    """A reason document; None for what is none, such as a refused file that is called like one.

    The ledger is asked too: it knows first that a file has been accepted after all.
    """
    try:
        found = cloud.s3.get_object(Bucket=cloud.bucket, Key=key)["Body"].read()
    except cloud.s3.exceptions.NoSuchKey:  # accepted meanwhile
        return None
    try:
        document = json.loads(found)
        raw = document["raw_key"]
        if lake.reason_key(raw) != key:
            return None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    entry = find(cloud, raw)
    return document if entry and entry.state is FileState.REJECTED else None


def _file_row(document: Mapping[str, Any]) -> dict[str, Any]:
    place = f" ({document['place']})" if document["place"] else ""
    return {
        "file": document["raw_key"],
        "landed_at": document["landed_at"],
        "size": document["size"],
        "why": f"{document['reason']}{place}: {document['meaning']}",
    }


def _tell_records(rows: Sequence[Mapping[str, Any]], say: Say) -> None:
    """Two lines a record: where it is and why it was refused, and as much of it as a line shows."""
    if not rows:
        say.note("Refused records: none")
        return
    total = rows[0]["in_all"]
    more = f", the first {len(rows):,} of {total:,}" if total > len(rows) else ""
    say.note(f"Refused records{more}")
    for row in rows:
        detail = f" ({shown(row['detail'])})" if row["detail"] else ""
        place = f"{shown(row['source_file'])}, line {row['source_line']:,}"
        say.note(f"  {row['date']}  {row['reason']}{detail}  {place}")
        say.note(_INDENT + cut(row["raw"] or "", len(_INDENT)))
    if more:
        say.note(f"{total - len(rows):,} more: atlas refusals --json has them all")
    say.note()
