"""`atlas put`: drop files into raw/ and wait until each is ingested or refused."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from atlas import lake
from atlas.ledger import FileEntry, FileState, file_key
from atlas.reasons import FileReason
from atlas_cli.cloud import Cloud
from atlas_cli.console import CommandError, Say

_PATIENCE_SECONDS = 180
"""Without any file getting a verdict; a big file may take as long as the function's timeout."""


def put(cloud: Cloud, files: Mapping[str, Path], say: Say) -> list[FileEntry]:
    """Uploads each file to its raw key and waits for the verdicts. Raises CommandError if one does not come."""
    waiting = {}
    for key, path in files.items():
        cloud.s3.upload_file(str(path), cloud.bucket, key)
        waiting[key] = cloud.s3.head_object(Bucket=cloud.bucket, Key=key).get("VersionId", "")
    say.step(f"dropped {len(waiting)} files into s3://{cloud.bucket}/{lake.RAW}")
    verdicts = _await_verdicts(cloud, waiting)
    return [verdicts[key] for key in files]


def raw_keys(paths: Iterable[Path], prefix: str) -> dict[str, Path]:
    """The raw key of each file: its name under `prefix`. Raises CommandError for what cannot be dropped."""
    keys: dict[str, Path] = {}
    for path in paths:
        if not path.is_file():
            raise CommandError(f"{path} is not a file")
        key = f"{lake.RAW}{prefix.strip('/') + '/' if prefix.strip('/') else ''}{path.name}"
        if key in keys:
            raise CommandError(f"{keys[key]} and {path} would both be {key}: drop them one by one with --prefix")
        keys[key] = path
    return keys


def _await_verdicts(cloud: Cloud, waiting: dict[str, str]) -> dict[str, FileEntry]:
    verdicts: dict[str, FileEntry] = {}
    waiting = dict(waiting)
    patience = time.monotonic() + _PATIENCE_SECONDS
    while waiting:
        for key, version in list(waiting.items()):
            item = cloud.ledger.get_item(Key=file_key(key), ConsistentRead=True).get("Item")
            if item and item["version"] == version and not item.get("committing"):
                verdicts[key] = FileEntry.from_item(item)
                del waiting[key]
                patience = time.monotonic() + _PATIENCE_SECONDS
        if waiting and time.monotonic() > patience:
            raise CommandError(
                f"no verdict after {_PATIENCE_SECONDS} s on {', '.join(sorted(waiting))}. "
                f"See the log of {cloud.names.ingest_function}, and {cloud.names.ingest_dead_letter_queue}."
            )
        if waiting:
            time.sleep(0.2)
    return verdicts


def verdict_row(entry: FileEntry) -> dict[str, Any]:
    """A verdict as a row for people and programs."""
    holds = entry.state is FileState.INGESTED
    return {
        "file": entry.raw_key,
        "verdict": entry.state.value,
        "format": entry.format or "",
        "records": sum(share.records for share in entry.shares.values()) if holds else 0,
        "unparsable": sum(share.unparsable for share in entry.shares.values()) if holds else 0,
        "days": " ".join(day.isoformat() for day in sorted(entry.shares)) if holds else "",
        "why": _why(entry),
    }


def _why(entry: FileEntry) -> str:
    if entry.duplicate_of:
        return f"same bytes as {entry.duplicate_of}"
    if entry.reason is None:
        return ""
    place = f" ({entry.place})" if entry.place else ""
    return f"{entry.reason}{place}: {FileReason(entry.reason).meaning}"
