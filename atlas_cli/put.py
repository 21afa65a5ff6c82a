"""`atlas put`: drop files into raw/ and wait until each is ingested or refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from atlas import lake
from atlas.file_entry import FileEntry
from atlas.ledger import FileState
from atlas.reasons import FileReason
from atlas_cli.cloud import Cloud
from atlas_cli.console import CommandError, Say
from atlas_cli.entries import await_entries


def put(cloud: Cloud, files: Mapping[str, Path], say: Say) -> list[FileEntry]:
    """Uploads each file to its raw key and waits for the verdicts. Raises CommandError if one does not come."""
    waiting = {key: _upload(cloud, path, key) for key, path in files.items()}
    say.step(f"dropped {len(waiting):,} file{'' if len(waiting) == 1 else 's'} into s3://{cloud.bucket}/{lake.RAW}")
    verdicts = await_entries(cloud, {key: _judged(version) for key, version in waiting.items()}, say)
    return [verdicts[key] for key in files]


def _upload(cloud: Cloud, path: Path, key: str) -> str:
    """The version that a file became: by the time one could ask for it, ingestion may have taken the file away.

    In one call, whose answer says so. What S3 does not take in one, 5 GB, is refused as too large anyway.
    """
    with path.open("rb") as body:
        return cloud.s3.put_object(Bucket=cloud.bucket, Key=key, Body=body).get("VersionId", "")


def _judged(version: str) -> Callable[[FileEntry], bool]:
    return lambda entry: entry.version == version


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
    if entry.state is FileState.DUPLICATE:
        return f"same bytes as {entry.duplicate_of}"
    if entry.reason is None:
        return ""
    place = f" ({entry.place})" if entry.place else ""
    salvaged = f"taken up to the fault, as {entry.salvaged_by} ordered: " if entry.salvaged_by else ""
    return f"{salvaged}{entry.reason}{place}: {FileReason(entry.reason).meaning}"
