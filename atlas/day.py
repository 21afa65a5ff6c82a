"""A day's work, whichever engine runs it: its order of effects, its books and its summary, in one place.

    normalize   the day's validated records become silver, or refused records
    aggregate   silver without duplicates becomes gold, if the books balance

Both go by the run's manifest. The statements are those of atlas/mapping.py and atlas/sql; an `Engine` reads, writes
and runs them: Spark in glue_jobs/spark_engine.py, DuckDB in lambda_day/duckdb_engine.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from atlas import books, lake, publish, sql
from atlas.clients import Clients
from atlas.formats import load_formats
from atlas.ledger import PARTITIONS, day_state_key
from atlas.log_format import LogFormat
from atlas.manifest import Manifest, read_manifest, records_in
from atlas.objects import delete_keys, list_folders, list_keys
from atlas.schema import DATA_QUALITY, GOLD_TABLES, REJECTED_RECORDS, Table
from atlas.settings import JobSettings


class Engine(Protocol):
    """What differs between Spark and DuckDB: how the lake is read and written, and a statement is run."""

    def open(self, manifest: Manifest) -> None:
        """Registers the views `manifest`, `manifest_objects` and `run`."""

    def check(self, manifest: Manifest, formats: Mapping[str, LogFormat]) -> None:
        """Maps every record of the manifest, and registers `checked`: a row for each, as `mapping` gives it."""

    def replace_silver(self, log_type: str, prefix: str) -> None:
        """Puts the records of a log type that passed in the place of whatever is under the prefix."""

    def replace_refused(self, prefix: str) -> None:
        """Puts the refused records, with their text, in the place of whatever is under the prefix."""

    def read_day(self) -> None:
        """Registers the day's `logs`, with its partition columns, and `rejected_records`."""

    def view(self, name: str, statement: str, *, keep: bool) -> None:
        """Registers a statement as a view; `keep` means that its rows are few and found once."""

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """The rows of a statement whose answer is small."""

    def stage(self, table: Table, statement: str, prefix: str) -> None:
        """Writes a gold table's rows as one Parquet object under the prefix."""

    def staged_rows(self, table: Table, prefix: str) -> list[dict[str, Any]]:
        """The rows that `stage` wrote."""


Outcomes = Mapping[tuple[str, str, str | None], int]
"""Records by source file, format and reason (None: passed). It grows with the files, not with the records."""


def begin(settings: JobSettings, clients: Clients) -> Manifest:
    """Reads the ledger and keeps what it says as the run's manifest."""
    manifest = read_manifest(clients.ledger, settings.process_date, settings.run_id)
    clients.s3.put_object(Bucket=settings.bucket, Key=manifest.key, Body=manifest.to_json().encode())
    return manifest


def formats_of(manifest: Manifest) -> dict[str, LogFormat]:
    """The manifest's formats by name, each for the fields that its records have. Raises LookupError."""
    known = load_formats()
    names = sorted({file.format for file in manifest.files})
    for name in names:
        if name not in known:
            raise LookupError(f"the ledger has files of format {name!r}, but atlas/formats has no {name}.toml")
    return {name: known[name].only(manifest.fields(name)) for name in names}


def normalize(engine: Engine, manifest: Manifest, settings: JobSettings, clients: Clients) -> dict[str, Any]:
    """Replaces the day's partitions of `logs` and `rejected_records`; answers with the summary.

    The engine has opened the manifest. Raises BooksError, before anything is written, if records of the manifest
    were not found, or others were.
    """
    formats = formats_of(manifest)
    engine.check(manifest, formats)
    outcomes = {
        (row["source_file"], row["raw_format"], row["reason"]): int(row["records"])
        for row in engine.rows(sql.statement("outcomes"))
    }
    books.check_files(_unbalanced(manifest, outcomes))
    log_types = sorted({formats[name].log_type for _, name, reason in outcomes if reason is None})
    for log_type in log_types:
        engine.replace_silver(log_type, lake.silver_day_prefix(log_type, settings.process_date))
    _clear_other_log_types(log_types, settings, clients)
    refused = any(reason for _, _, reason in outcomes)
    prefix = lake.rejected_records_prefix(settings.process_date)
    if refused:
        engine.replace_refused(prefix)
    else:
        delete_keys(clients.s3, settings.bucket, list_keys(clients.s3, settings.bucket, prefix))
    _note_partitions([*log_types, *([REJECTED_RECORDS.name] if refused else [])], settings, clients)
    return _summary(outcomes, settings)


def aggregate(engine: Engine, settings: JobSettings, clients: Clients) -> list[dict[str, Any]]:
    """Publishes the day's gold and answers with its books. Raises BooksError, and publishes nothing.

    The engine has opened the manifest.
    """
    engine.read_day()
    for name in sql.DAY_VIEWS:
        engine.view(name, sql.statement(name), keep=name in sql.SMALL_VIEWS)
    books.check_files(engine.rows(sql.statement("unbalanced_files")))
    try:
        staged = {table: lake.staging_prefix(settings.run_id, table.name) for table in GOLD_TABLES}
        for table, prefix in staged.items():
            engine.stage(table, sql.statement(f"gold/{table.name}"), prefix)
        quality = engine.staged_rows(DATA_QUALITY, staged[DATA_QUALITY])
        books.check_formats(quality)
        publish.publish(clients.s3, settings.bucket, settings.run_id, settings.process_date)
    finally:
        publish.clear_staging(clients.s3, settings.bucket, settings.run_id)
    return quality


def _unbalanced(manifest: Manifest, outcomes: Outcomes) -> list[dict[str, Any]]:
    """What sql/unbalanced_files.sql says of the lake, here of what has not been written yet."""
    normalized: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    for (file, _, reason), records in outcomes.items():
        (rejected if reason else normalized)[file] += records
    return [
        {
            "source_file": file.raw_key,
            "records_in": records_in(file),
            "normalized": normalized[file.raw_key],
            "rejected": rejected[file.raw_key],
        }
        for file in manifest.files
        if records_in(file) != normalized[file.raw_key] + rejected[file.raw_key]
    ]


def _clear_other_log_types(log_types: Sequence[str], settings: JobSettings, clients: Clients) -> None:
    """A log type that has vanished from the day vanishes from silver."""
    for log_type, prefix in silver_prefixes(clients.s3, settings).items():
        if log_type not in log_types:
            delete_keys(clients.s3, settings.bucket, list_keys(clients.s3, settings.bucket, prefix))


def silver_prefixes(s3: Any, settings: JobSettings) -> dict[str, str]:
    """Log type -> the prefix of its partition of the day, for every log type that silver has on any day."""
    folders = list_folders(s3, settings.bucket, lake.LOGS)
    types = sorted(folder.rstrip("/").rpartition("log_type=")[2] for folder in folders)
    return {log_type: lake.silver_day_prefix(log_type, settings.process_date) for log_type in types}


def _note_partitions(partitions: Sequence[str], settings: JobSettings, clients: Clients) -> None:
    """Tells the state machine which catalog partitions the day has, so that it crawls when there is a new one."""
    value = {"ExpressionAttributeValues": {":partitions": ",".join(sorted(partitions))}} if partitions else {}
    clients.ledger.update_item(
        Key=day_state_key(settings.process_date),
        UpdateExpression="SET #partitions = :partitions" if partitions else "REMOVE #partitions",
        ExpressionAttributeNames={"#partitions": PARTITIONS},
        **value,
    )


def _summary(outcomes: Outcomes, settings: JobSettings) -> dict[str, Any]:
    formats: dict[str, dict[str, Any]] = {}
    for (_, name, reason), records in sorted(outcomes.items(), key=str):
        told = formats.setdefault(name, {"records_in": 0, "normalized": 0, "rejected": 0, "rejected_by_reason": {}})
        told["records_in"] += records
        told["rejected" if reason else "normalized"] += records
        if reason:
            told["rejected_by_reason"][reason] = told["rejected_by_reason"].get(reason, 0) + records
    return {
        "process_date": settings.process_date.isoformat(),
        "run_id": settings.run_id,
        "records_in": sum(told["records_in"] for told in formats.values()),
        "normalized": sum(told["normalized"] for told in formats.values()),
        "rejected": sum(told["rejected"] for told in formats.values()),
        "formats": formats,
    }
