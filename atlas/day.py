"""A day's work, whichever engine runs it: its order of effects, its books and its summary, in one place.

    normalize   the day's validated records become silver, or refused records
    aggregate   silver without duplicates becomes gold, if the books balance

Both go by the run's manifest. The statements are those of atlas/mapping.py and atlas/sql; an `Engine` reads, writes
and runs them: Spark in glue_jobs/spark_engine.py, DuckDB in lambda_day/duckdb_engine.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

from atlas import books, day_events, faults, lake, metrics, obsolete, publish, restore, sql
from atlas.clients import Clients
from atlas.day_events import DayEvents
from atlas.day_state import DayState
from atlas.formats import load_formats
from atlas.ledger import PARTITIONS
from atlas.log_format import LogFormat
from atlas.manifest import Manifest, read_manifest
from atlas.objects import delete_keys, list_folders, list_keys
from atlas.schema import DATA_QUALITY, EVENTS_FORMAT, GOLD_TABLES, REJECTED_RECORDS, Table
from atlas.settings import JobSettings


class Engine(Protocol):
    """What differs between Spark and DuckDB: how the lake is read and written, and a statement is run."""

    def open(self, manifest: Manifest) -> None:
        """Registers the views `manifest`, `manifest_objects` and `run`."""

    def open_events(self, events: DayEvents) -> None:
        """Registers sql.EVENT_INPUTS: of no rows where the day has no receipts."""

    def check(self, manifest: Manifest, formats: Mapping[str, LogFormat]) -> None:
        """Maps every record of the manifest, and registers `checked`: a row for each, as `mapping` gives it.

        With them come the rows of sql/refused_event_records.sql.
        """

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


Outcomes = Sequence[Mapping[str, Any]]
"""Counts of records by source_file, raw_format and reason (None: passed): as many as files, not as records."""


def begin(settings: JobSettings, clients: Clients) -> Manifest:
    """Ends what earlier runs left undone, reads the ledger, and keeps what it says as the run's manifest.

    Raises LockLostError if another run holds the day's lock, and ValidatedGoneError if objects that the manifest
    names are not there.
    """
    publish.complete(settings, clients)
    gone = obsolete.find(settings, clients)
    manifest = read_manifest(clients.ledger, settings.process_date, settings.run_id)
    obsolete.delete(gone, manifest, settings, clients)
    restore.check_all_there(manifest, settings, clients)
    manifest = replace(manifest, receipts=day_events.keep_receipts(settings, clients))
    clients.s3.put_object(Bucket=settings.bucket, Key=manifest.key, Body=manifest.to_json().encode())
    return manifest


class UnknownFormatError(LookupError):
    """The ledger has files of a format that this code does not know."""


def formats_of(manifest: Manifest) -> dict[str, LogFormat]:
    """The manifest's formats by name, each for the fields that its records have. Raises UnknownFormatError."""
    known = load_formats()
    names = sorted({file.format for file in manifest.files})
    for name in names:
        if name not in known:
            raise UnknownFormatError(
                f"the ledger has files of format {name!r}, but atlas/formats has no {name}.toml"
            )
    return {name: known[name].only(manifest.fields(name)) for name in names}


def normalize(engine: Engine, manifest: Manifest, settings: JobSettings, clients: Clients) -> dict[str, Any]:
    """Replaces the day's partitions of `logs` and `rejected_records`; answers with the summary.

    The engine has opened the manifest. Raises BooksError, before silver is written, if records of the manifest
    were not found, or others were.
    """
    formats = formats_of(manifest)
    _settle(engine, manifest, settings, clients)
    engine.check(manifest, formats)
    _register(engine, sql.CHECK_VIEWS, manifest)
    with _failure_entered(engine, settings, clients):
        books.check_files(engine.rows(sql.statement("unbalanced_files")))
    outcomes = engine.rows("SELECT source_file, raw_format, reason, records FROM outcomes")
    passed = {row["raw_format"] for row in outcomes if row["reason"] is None}
    log_types = sorted({formats[name].log_type for name in passed - {EVENTS_FORMAT}})
    for log_type in log_types:
        engine.replace_silver(log_type, lake.silver_day_prefix(log_type, settings.process_date))
    _clear_other_log_types(log_types, settings, clients)
    refused = any(row["reason"] for row in outcomes)
    prefix = lake.rejected_records_prefix(settings.process_date)
    if refused:
        engine.replace_refused(prefix)
    else:
        delete_keys(clients.s3, settings.bucket, list_keys(clients.s3, settings.bucket, prefix))
    gold = [table.name for table in GOLD_TABLES]  # so that a table that is new is crawled for days that are not
    _note_partitions([*log_types, *([REJECTED_RECORDS.name] if refused else []), *gold], settings, clients)
    return _summary(outcomes, settings)


def open_events(engine: Engine, events: DayEvents, manifest: Manifest) -> None:
    """Has the engine know what was accepted of events and what of it is there: `aggregate` goes by that."""
    engine.open_events(events)
    _register(engine, sql.ARRIVAL_VIEWS, manifest)


def _settle(engine: Engine, manifest: Manifest, settings: JobSettings, clients: Clients) -> None:
    """Finds out which events count: those of requests that have arrived or been refused as a whole."""
    events = day_events.find(manifest, settings, clients, refusals=True)
    open_events(engine, events, manifest)
    _register(engine, sql.EVENT_VIEWS, manifest)
    if manifest.receipts is None:
        return
    lost = engine.rows(sql.statement("lost_requests"))
    if lost:
        refused = day_events.refuse_lost(lost, settings, clients)
        engine.open_events(replace(events, refusals=[*events.refusals, *refused]))
        _register(engine, sql.EVENT_VIEWS, manifest)


def aggregate(engine: Engine, manifest: Manifest, settings: JobSettings, clients: Clients) -> list[dict[str, Any]]:
    """Publishes the day's gold and answers with its books.

    The engine has opened the manifest, and the events. Raises BooksError or LockLostError, and publishes nothing.
    """
    engine.read_day()
    _register(engine, sql.DAY_VIEWS, manifest)
    _stay_dirty_for_what_is_on_its_way(engine, manifest, settings, clients)
    staged = publish.Publication.of(settings.run_id)
    with _failure_entered(engine, settings, clients):
        books.check_files(engine.rows(sql.statement("unbalanced_files")))
        with publish.cleared_if_it_fails(staged, settings, clients):
            for table in GOLD_TABLES:
                engine.stage(table, sql.statement(f"gold/{table.name}"), staged.folder(table))
            quality = engine.staged_rows(DATA_QUALITY, staged.folder(DATA_QUALITY))
            books.check_formats(quality)
    publish.publish(staged, settings, clients)
    metrics.count_published(quality, settings, clients)
    return quality


def _register(engine: Engine, views: Mapping[str, str], manifest: Manifest) -> None:
    kept = sql.SMALL_VIEWS + (sql.KEPT_EVENT_VIEWS if manifest.receipts else ())
    for name, statement in views.items():
        engine.view(name, sql.statement(statement), keep=name in kept)


def _stay_dirty_for_what_is_on_its_way(
    engine: Engine, manifest: Manifest, settings: JobSettings, clients: Clients
) -> None:
    """Whoever releases the day finds it changed since it was locked, and the next sweep processes it again."""
    if manifest.receipts is None:
        return
    [pending] = engine.rows(sql.statement("pending_requests"))
    if pending["requests"]:
        state = DayState(clients.ledger, settings.process_date, settings.run_id)
        state.update("ADD changes :one", {}, {":one": 1})


@contextmanager
def _failure_entered(engine: Engine, settings: JobSettings, clients: Clients) -> Iterator[None]:
    """Books that do not balance are entered in `data_quality` as they were found, and the day stays as it was.

    The next publication takes them out again.
    """
    try:
        yield
    except books.BooksError as fault:
        try:
            _enter_failure(engine, settings, clients)
        except Exception as second:  # noqa: BLE001 - what people must hear of first is the books
            fault.add_note(f"They could not be entered in {DATA_QUALITY.name}: {faults.told(second)}")
        raise


def _enter_failure(engine: Engine, settings: JobSettings, clients: Clients) -> None:
    columns = ("'failed' AS outcome" if name == "outcome" else name for name in DATA_QUALITY.column_names)
    found = f"SELECT {', '.join(columns)} FROM ({sql.statement(f'gold/{DATA_QUALITY.name}')}) AS found"  # noqa: S608
    staged = publish.Publication.of(settings.run_id)
    try:
        engine.stage(DATA_QUALITY, found, staged.folder(DATA_QUALITY))
        publish.enter_failure(staged, settings, clients)
    finally:
        publish.clear(staged, settings, clients)


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
    DayState(clients.ledger, settings.process_date, settings.run_id).update(
        "SET #partitions = :partitions",
        {"#partitions": PARTITIONS},
        {":partitions": ",".join(sorted(partitions))},
    )


def _summary(outcomes: Outcomes, settings: JobSettings) -> dict[str, Any]:
    formats: dict[str, dict[str, Any]] = {}
    for row in sorted(outcomes, key=lambda row: (row["raw_format"], row["reason"] or "")):
        name, reason, records = row["raw_format"], row["reason"], int(row["records"])
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
